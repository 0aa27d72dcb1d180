// The virtio_net_hdr before a frame on TAPs and packet sockets: offload fields to and from the pool's metadata.
#pragma once

#include <cstring>

#include "arena.h"

namespace netloom {

// virtio_net_hdr, little endian (TUNSETVNETLE): flags 0, gso_type 1, hdr_len 2, gso_size 4, csum_start 6, csum_offset 8,
// then num_buffers and, in the longer forms, fields that stay zero.
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

inline uint16_t loadLe16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }
inline void storeLe16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

inline bool isKnownGso(uint8_t type) {
  switch (type & ~kGsoEcn) {
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
inline bool takeVnetHeader(Arena& arena, int32_t handle, const uint8_t* header, int32_t length) {
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
    if (!isKnownGso(header[1]) || gsoSize == 0 || hdrLen > length) return false;
    arena.gsoType[handle] = header[1];
    arena.gsoSize[handle] = gsoSize;
    arena.hdrLen[handle] = hdrLen;
    flags |= kFlagGso;
  }
  arena.flags[handle] = flags;
  return true;
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
  }
}

}  // namespace netloom
