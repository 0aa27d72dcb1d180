// The virtio_net_hdr before a frame on TAPs and packet sockets: offload fields to and from the pool's metadata.
#pragma once

#include <cstring>

#include "arena.h"

namespace netloom {

// virtio_net_hdr, little endian (TUNSETVNETLE): flags 0, gso_type 1, hdr_len 2, gso_size 4, csum_start 6, csum_offset 8,
// then num_buffers, a hash that stays zero, and in the longest form (24 bytes) the tunnel's fields.
// <linux/virtio_net.h> itself is no C++ in some releases (a field named `class`), so its values stand here.
constexpr int kMaxVnetHeader = 24;
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kDataValid = 2;
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcpV4 = 1;
constexpr uint8_t kGsoUdpFragments = 3;
constexpr uint8_t kGsoTcpV6 = 4;
constexpr uint8_t kGsoUdpSegments = 5;
constexpr uint8_t kGsoEcn = 0x80;
// struct virtio_net_hdr_v1_hash_tunnel (Linux 6.17): the other fields are about the packet inside the tunnel then.
constexpr int kTunnelVnetHeader = 24;
constexpr uint8_t kTunnelChecksum = 8;
constexpr uint8_t kGsoTunnelV4 = 0x20;
constexpr uint8_t kGsoTunnelV6 = 0x40;
constexpr uint8_t kGsoTunnel = kGsoTunnelV4 | kGsoTunnelV6;

inline uint16_t loadLe16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }
inline void storeLe16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

inline bool isKnownGso(uint8_t type, int vnetHeaderLength) {
  const int tunnel = type & kGsoTunnel;
  if (tunnel == kGsoTunnel || (tunnel != 0 && vnetHeaderLength < kTunnelVnetHeader)) return false;
  switch (type & ~(kGsoEcn | kGsoTunnel)) {
    case kGsoTcpV4:
    case kGsoUdpFragments:
    case kGsoTcpV6:
    case kGsoUdpSegments:
      return true;
    default:
      return false;
  }
}

/// Copies the header into the metadata of `handle`; false when it contradicts itself or the frame's length.
inline bool takeVnetHeader(Arena& arena, int32_t handle, const uint8_t* header, int vnetHeaderLength, int32_t length) {
  int32_t flags = 0;
  if (header[0] & kNeedsChecksum) {
    const int32_t csumStart = loadLe16(header + 6);
    const int32_t csumOffset = loadLe16(header + 8);
    if (csumStart + csumOffset + 2 > length) return false;
    arena.csumStart[handle] = static_cast<uint16_t>(csumStart);
    arena.csumOffset[handle] = static_cast<uint16_t>(csumOffset);
    flags |= kFlagChecksum;
  } else if (header[0] & kDataValid) {
    flags |= kFlagChecksumValid;
  }
  if (header[1] != kGsoNone) {
    const uint16_t hdrLen = loadLe16(header + 2);
    const uint16_t gsoSize = loadLe16(header + 4);
    if (!isKnownGso(header[1], vnetHeaderLength) || gsoSize == 0 || hdrLen > length) return false;
    arena.gsoType[handle] = header[1];
    arena.gsoSize[handle] = gsoSize;
    arena.hdrLen[handle] = hdrLen;
    flags |= kFlagGso;
  }
  arena.flags[handle] = flags;
  return true;
}

/// Where the outer UDP header and the inner network header are, of a frame of VXLAN that our own code has encapsulated:
/// Ethernet, IP without extension headers, UDP, VXLAN, Ethernet with tags or without.
inline void fillTunnelFields(const uint8_t* frame, uint8_t gsoType, uint8_t* header) {
  constexpr int kEthernet = 14, kUdp = 8, kVxlan = 8, kTag = 4;
  const int transport = kEthernet + (gsoType & kGsoTunnelV4 ? (frame[kEthernet] & 15) * 4 : 40);
  int network = transport + kUdp + kVxlan + kEthernet;
  while ((frame[network - 2] == 0x81 && frame[network - 1] == 0) || (frame[network - 2] == 0x88 && frame[network - 1] == 0xa8)) network += kTag;
  if (frame[transport + 6] | frame[transport + 7]) header[0] |= kTunnelChecksum;
  storeLe16(header + 20, static_cast<uint16_t>(transport));
  storeLe16(header + 22, static_cast<uint16_t>(network));
}

inline void fillVnetHeader(const Arena& arena, int32_t handle, uint8_t* header, int vnetHeaderLength) {
  std::memset(header, 0, static_cast<size_t>(vnetHeaderLength));
  const int32_t flags = arena.flags[handle];
  if (flags & kFlagChecksum) {
    header[0] = kNeedsChecksum;
    storeLe16(header + 6, arena.csumStart[handle]);
    storeLe16(header + 8, arena.csumOffset[handle]);
  } else if (flags & kFlagChecksumValid) {
    header[0] = kDataValid;
  }
  if (flags & kFlagGso) {
    header[1] = arena.gsoType[handle];
    storeLe16(header + 2, arena.hdrLen[handle]);
    storeLe16(header + 4, arena.gsoSize[handle]);
    if (arena.gsoType[handle] & kGsoTunnel && vnetHeaderLength >= kTunnelVnetHeader) {
      fillTunnelFields(arena.chunkOf(handle) + arena.start[handle], arena.gsoType[handle], header);
    }
  }
}

}  // namespace netloom
