// Datagrams of one flow that are written one after the other, as one super-frame: the kernel takes them through its stack once and
// parts them again at the socket, as it does with what GRO has joined (net/ipv4/udp_offload.c, udp_rcv_segment in <net/udp.h>).
#pragma once

#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

#include "arena.h"
#include "ip_bytes.h"
#include "vnet_header.h"

namespace netloom {

// What a device takes as a super-frame: bits of `joins`.
constexpr int kJoinsIpv4 = 1;
constexpr int kJoinsIpv6 = 2;

// A few datagrams are left alone: whoever looks inside a namespace sees what was sent, as long as it is no bulk transfer.
constexpr int kShortestRun = 4;
constexpr int kLongestRun = 64;  // UDP_MAX_SEGMENTS of kernels before 6.9
constexpr int kMaxPacket = 65535;

class DatagramRun {
 public:
  explicit DatagramRun(const Arena& arena) : arena_(arena) {}

  /// How many of `handles[0..count)` go as one: 0 when the first is no candidate or too few follow it.
  int find(const int32_t* handles, int count, int joins) {
    if (count < kShortestRun || !begin(handles[0], joins)) return 0;
    int found = 1;
    packet_ = arena_.length[handles[0]] - kIp;
    for (bool last = false; found < count && found < kLongestRun && !last; found++) {
      const int32_t length = follows(handles[found], found);
      if (length == 0 || packet_ + length > kMaxPacket) break;
      packet_ += length;
      last = length < payload_;
    }
    return found < kShortestRun ? 0 : found;
  }

  /// Writes what `find` has found; as writev(2). The frames stay as they are.
  ssize_t write(int fd, int vnetHeaderLength, const int32_t* handles, int count) const {
    uint8_t header[kMaxVnetHeader + kIp + kIpv6 + kUdp];
    uint8_t* copy = header + vnetHeaderLength;
    std::memset(header, 0, static_cast<size_t>(vnetHeaderLength));
    header[0] = kNeedsChecksum;
    header[1] = kGsoUdpSegments;
    storeLe16(header + 2, static_cast<uint16_t>(udp_ + kUdp));
    storeLe16(header + 4, static_cast<uint16_t>(payload_));
    storeLe16(header + 6, static_cast<uint16_t>(udp_));
    storeLe16(header + 8, kChecksumAt);
    std::memcpy(copy, first_, static_cast<size_t>(udp_ + kUdp));
    const auto length = static_cast<uint32_t>(kIp + packet_ - udp_);
    if (isFour_) {
      put16(copy + kIp + 2, static_cast<uint32_t>(packet_));
      fillIpv4Checksum(copy + kIp);
    } else {
      put16(copy + kIp + 4, length);
    }
    put16(copy + udp_ + 4, length);
    storeSum(copy + udp_ + kChecksumAt, foldSum(pseudoHeader(copy + kIp, kProtocol, length)));
    iovec parts[1 + kLongestRun];
    parts[0] = {header, static_cast<size_t>(vnetHeaderLength + udp_ + kUdp)};
    for (int i = 0; i < count; i++) parts[1 + i] = {frameOf(handles[i]) + udp_ + kUdp, static_cast<size_t>(arena_.length[handles[i]] - udp_ - kUdp)};
    return writev(fd, parts, 1 + count);
  }

 private:
  static constexpr int kIp = 14, kIpv4 = 20, kIpv6 = 40, kUdp = 8, kChecksumAt = 6;
  static constexpr uint8_t kProtocol = 17;

  uint8_t* frameOf(int32_t handle) const { return arena_.chunkOf(handle) + arena_.start[handle]; }

  /// Unfinished checksum at the right place, no tags, options or extension headers, no fragment, to one station, lengths that agree.
  bool begin(int32_t handle, int joins) {
    const int32_t length = arena_.length[handle];
    first_ = frameOf(handle);
    if (length < kIp + kIpv4 + kUdp || (first_[0] & 1)) return false;
    const uint32_t type = get16(first_ + kIp - 2);
    isFour_ = type == 0x0800;
    if (isFour_ ? !(joins & kJoinsIpv4) : type != 0x86dd || !(joins & kJoinsIpv6)) return false;
    udp_ = kIp + (isFour_ ? kIpv4 : kIpv6);
    payload_ = length - udp_ - kUdp;
    return payload_ > 0 && isWhole(handle, first_, length);
  }

  bool isWhole(int32_t handle, const uint8_t* frame, int32_t length) const {
    const int32_t flags = arena_.flags[handle];
    if ((flags & (kFlagChecksum | kFlagGso)) != kFlagChecksum) return false;
    if (arena_.csumStart[handle] != udp_ || arena_.csumOffset[handle] != kChecksumAt) return false;
    const uint8_t* ip = frame + kIp;
    if (static_cast<int32_t>(get16(frame + udp_ + 4)) != length - udp_) return false;
    if (!isFour_) return (ip[0] >> 4) == 6 && ip[6] == kProtocol && static_cast<int32_t>(get16(ip + 4)) == length - udp_;
    if (ip[0] != 0x45 || (get16(ip + 6) & ~kDontFragment) != 0 || ip[9] != kProtocol) return false;
    // What is joined gets a new sum: one that was wrong must stay alone.
    return static_cast<int32_t>(get16(ip + 2)) == length - kIp && foldSum(sumBytes(ip, kIpv4)) == 0xffff;
  }

  /// Bytes of payload when the frame goes on where the one before it ended, else 0. `place`: how many there are before it.
  int32_t follows(int32_t handle, int place) const {
    const uint8_t* frame = frameOf(handle);
    const int32_t length = arena_.length[handle];
    const int32_t payload = length - udp_ - kUdp;
    if (payload <= 0 || payload > payload_ || std::memcmp(frame, first_, kIp) != 0 || !isWhole(handle, frame, length)) return 0;
    const uint8_t* a = first_ + kIp;
    const uint8_t* b = frame + kIp;
    if (std::memcmp(first_ + udp_, frame + udp_, 4) != 0) return 0;
    if (!isFour_) return std::memcmp(a, b, 4) == 0 && std::memcmp(a + 6, b + 6, kIpv6 - 6) == 0 ? payload : 0;
    if (a[1] != b[1] || std::memcmp(a + 6, b + 6, 4) != 0 || std::memcmp(a + 12, b + 12, 8) != 0) return 0;
    // The kernel counts identifications up from the first. Where fragmentation is forbidden they mean nothing (RFC 6864 section 4.1).
    const bool isCounted = get16(b + 4) == ((get16(a + 4) + static_cast<uint32_t>(place)) & 0xffff);
    return isCounted || (get16(a + 6) & kDontFragment) ? payload : 0;
  }

  static constexpr uint32_t kDontFragment = 0x4000;

  const Arena& arena_;
  const uint8_t* first_ = nullptr;
  bool isFour_ = false;
  int udp_ = 0;      // where its header begins, from the frame's first byte
  int payload_ = 0;  // bytes in each datagram but the last, which may be shorter
  int packet_ = 0;   // bytes of the joined packet from the IP header on
};

}  // namespace netloom
