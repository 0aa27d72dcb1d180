// From frames to the UDP underlay's sockets. The outer headers stay behind: the kernel makes its own, and the flow's source port
// chooses the socket. Frames of one length to one VTEP go in one call as one message that the kernel cuts (UDP_SEGMENT); a super-frame
// is such a message, each segment with its own VXLAN and inner headers. Where the kernel does not cut, the datagrams go one by one
// (sendmmsg):
//
//   | headers 1 | payload 1 | headers 2 | payload 2 | ...      headers from a scratch buffer, payload where it lies in the frame
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "frame_call.h"
#include "ip_bytes.h"
#include "udp_underlay.h"
#include "vnet_header.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103  // Linux 4.18
#endif

namespace netloom {

namespace {

/// Datagrams of one message (UDP_MAX_SEGMENTS is 64 before Linux 6.9), and bytes of one.
constexpr int kSegments = 64;
constexpr int kMessageBytes = 65'535 - kIpv6Header - kUdpHeader;
/// VXLAN, Ethernet with two tags, IP, TCP with options.
constexpr int kHeaderRoom = 144;
/// Peers by a hash of their address (a power of two), and messages that go to one uncut before the kernel is asked again: its route
/// may be another one by then.
constexpr uint32_t kPeers = 64;
constexpr int32_t kUncutMessages = 1024;

/// The outer headers of a frame as a message's address, and its UDP payload.
struct Target {
  sockaddr_storage name;
  socklen_t nameLength = 0;
  uint32_t peer = 0;
  int fd = -1;
  uint8_t tos = 0;
  uint8_t* payload = nullptr;
  int length = 0;
};

/// Neighbors of one subnet have places of their own.
uint32_t peerOf(uint32_t address) { return (address ^ address >> 8 ^ address >> 16) & (kPeers - 1); }

/// False for what is no UDP over IP without options.
bool readTarget(const Arena& arena, const int32_t* fds, int fdMask, int32_t handle, Target& target) {
  uint8_t* frame = arena.chunkOf(handle) + arena.start[handle];
  const int length = arena.length[handle];
  const uint8_t* ip = frame + kEthernetHeader;
  if (length < kEthernetHeader + kIpv4Header + kUdpHeader) return false;
  const uint32_t type = get16(frame + 12);
  target.name = {};
  const uint8_t* udp;
  if (type == 0x0800 && ip[0] == 0x45 && ip[9] == kUdp) {
    udp = ip + kIpv4Header;
    auto& four = reinterpret_cast<sockaddr_in&>(target.name);
    four.sin_family = AF_INET;
    std::memcpy(&four.sin_addr, ip + 16, 4);
    std::memcpy(&four.sin_port, udp + 2, 2);
    target.peer = peerOf(get32(ip + 16));
    target.nameLength = sizeof four;
    target.tos = ip[1];
  } else if (type == 0x86dd && length >= kEthernetHeader + kIpv6Header + kUdpHeader && ip[6] == kUdp) {
    udp = ip + kIpv6Header;
    auto& six = reinterpret_cast<sockaddr_in6&>(target.name);
    six.sin6_family = AF_INET6;
    std::memcpy(&six.sin6_addr, ip + 24, 16);
    std::memcpy(&six.sin6_port, udp + 2, 2);
    target.peer = peerOf(get32(ip + 24) ^ get32(ip + 28) ^ get32(ip + 32) ^ get32(ip + 36));
    target.nameLength = sizeof six;
    target.tos = static_cast<uint8_t>(get16(ip) >> 4);
  } else {
    return false;
  }
  target.fd = fds[get16(udp) & static_cast<uint32_t>(fdMask)];
  target.payload = const_cast<uint8_t*>(udp) + kUdpHeader;
  target.length = length - static_cast<int>(target.payload - frame);
  return true;
}

/// Datagrams to be, of the same number of parts each: `parts`, one after the other.
struct Outgoing {
  msghdr header{};
  iovec parts[2 * kSegments];
  mmsghdr messages[kSegments];
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];

  /// `count` datagrams of `segment` bytes, the last perhaps less, as one message that the kernel cuts. 0, or errno.
  int sendJoined(Target& target, int count, int partsEach, int segment) {
    address(target, count > 1 ? segment : 0);
    header.msg_iov = parts;
    header.msg_iovlen = static_cast<size_t>(count * partsEach);
    while (sendmsg(target.fd, &header, MSG_DONTWAIT) < 0) {
      if (errno != EINTR) return errno;
    }
    return 0;
  }

  /// The same datagrams one by one. `sent` of them have left; 0, or errno of the next one.
  int sendSingly(Target& target, int count, int partsEach, int& sent) {
    address(target, 0);
    for (int i = 0; i < count; i++) {
      messages[i].msg_hdr = header;
      messages[i].msg_hdr.msg_iov = parts + i * partsEach;
      messages[i].msg_hdr.msg_iovlen = static_cast<size_t>(partsEach);
    }
    for (sent = 0; sent < count;) {
      const int done = sendmmsg(target.fd, messages + sent, static_cast<unsigned>(count - sent), MSG_DONTWAIT);
      if (done > 0) sent += done;
      else if (errno != EINTR) return errno;
    }
    return 0;
  }

 private:
  /// What all datagrams have in common; `segment` above 0: the kernel is to cut.
  void address(Target& target, int segment) {
    header = {};
    header.msg_name = &target.name;
    header.msg_namelen = target.nameLength;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    size_t used = 0;
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    if (segment > 0) {
      const auto size = static_cast<uint16_t>(segment);
      add(part, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
      used += CMSG_SPACE(sizeof size);
      part = reinterpret_cast<cmsghdr*>(control + used);
    }
    if (target.tos != 0) {
      const int tos = target.tos;
      const bool isSix = target.name.ss_family == AF_INET6;
      add(part, isSix ? IPPROTO_IPV6 : IPPROTO_IP, isSix ? IPV6_TCLASS : IP_TOS, &tos, sizeof tos);
      used += CMSG_SPACE(sizeof tos);
    }
    header.msg_controllen = used;
    if (used == 0) header.msg_control = nullptr;
  }

  static void add(cmsghdr* part, int level, int type, const void* data, size_t length) {
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(length);
    std::memcpy(CMSG_DATA(part), data, length);
  }
};

/// Finishes the inner checksum in place.
void finishChecksum(const Arena& arena, int32_t handle) {
  uint8_t* frame = arena.chunkOf(handle) + arena.start[handle];
  const int from = arena.csumStart[handle];
  const int field = from + arena.csumOffset[handle];
  if (field + 2 > arena.length[handle]) return;
  storeChecksum(frame + field, sumBytes(frame + from, static_cast<size_t>(arena.length[handle] - from)));
  arena.flags[handle] &= ~kFlagChecksum;
}

/// The inner headers of a super-frame.
struct SuperFrame {
  int ip;        ///< from the UDP payload
  int transport;
  int header;    ///< of all headers
  bool isFour;
  bool isTcp;
  int size;      ///< of a segment's payload
};

bool readSuperFrame(const Arena& arena, int32_t handle, const Target& target, SuperFrame& super) {
  const uint8_t* frame = arena.chunkOf(handle) + arena.start[handle];
  const uint8_t type = arena.gsoType[handle] & static_cast<uint8_t>(~(kGsoEcn | kGsoTunnel));
  if (!(arena.flags[handle] & kFlagChecksum) || !(arena.gsoType[handle] & kGsoTunnel)) return false;
  super.transport = arena.csumStart[handle] - static_cast<int>(target.payload - frame);
  super.isTcp = type != kGsoUdpSegments;
  const int least = super.isTcp ? 20 : 8;
  if (super.transport < kVxlanHeader + kEthernetHeader + kIpv4Header || super.transport + least > target.length) return false;
  int at = kVxlanHeader + kEthernetHeader;
  while (at + 4 < super.transport && (get16(target.payload + at - 2) == 0x8100 || get16(target.payload + at - 2) == 0x88a8)) at += 4;
  super.ip = at;
  super.isFour = get16(target.payload + at - 2) == 0x0800;
  super.header = super.transport + (super.isTcp ? (target.payload[super.transport + 12] >> 4) * 4 : kUdpHeader);
  super.size = arena.gsoSize[handle];
  return super.header <= kHeaderRoom && super.header < target.length && super.size >= 8;
}

/// Headers of segment `index`, and its checksum (Linux tcp_gso_segment, __udp_gso_segment, inet_gso_segment).
void writeSegmentHeader(const SuperFrame& super, const Target& target, int index, int from, int length, bool isLast, uint8_t* into) {
  std::memcpy(into, target.payload, static_cast<size_t>(super.header));
  uint8_t* ip = into + super.ip;
  uint8_t* transport = into + super.transport;
  const auto size = static_cast<uint32_t>(super.header - super.transport + length);
  if (super.isFour) {
    put16(ip + 2, static_cast<uint32_t>(super.header - super.ip + length));
    put16(ip + 4, get16(ip + 4) + static_cast<uint32_t>(index));
    fillIpv4Checksum(ip);
  } else {
    put16(ip + 4, size);
  }
  uint8_t* field = transport + 6;
  if (super.isTcp) {
    constexpr uint8_t kFin = 0x01, kPush = 0x08, kCwr = 0x80;
    field = transport + 16;
    put32(transport + 4, get32(transport + 4) + static_cast<uint32_t>(from));
    if (!isLast) transport[13] &= static_cast<uint8_t>(~(kFin | kPush));
    if (index > 0) transport[13] &= static_cast<uint8_t>(~kCwr);
  } else {
    put16(transport + 4, size);
  }
  put16(field, 0);
  const uint64_t headers = sumBytes(transport, static_cast<size_t>(super.header - super.transport), pseudoHeader(ip, super.isTcp ? kTcp : kUdp, size));
  storeChecksum(field, sumBytes(target.payload + super.header + from, static_cast<size_t>(length), headers));
}

class Sender {
 public:
  /// `uncut`: by peer, messages that are still to go uncut; see `send`.
  Sender(const Arena& arena, int32_t* uncut) : arena_(arena), uncut_(uncut) {}

  /// A whole super-frame; 0, or errno of the message that failed. `isPartly`: some of it has left.
  int sendSuperFrame(int32_t handle, Target& target, bool& isPartly) {
    SuperFrame super;
    isPartly = false;
    if (!readSuperFrame(arena_, handle, target, super)) return EINVAL;
    const int payload = target.length - super.header;
    const int segment = super.header + super.size;
    const int perMessage = std::max(1, std::min(kSegments, kMessageBytes / segment));
    int index = 0;
    for (int from = 0; from < payload;) {
      int count = 0;
      for (; count < perMessage && from < payload; count++, index++) {
        const int length = std::min(super.size, payload - from);
        uint8_t* header = headers_ + count * kHeaderRoom;
        writeSegmentHeader(super, target, index, from, length, from + length == payload, header);
        outgoing_.parts[2 * count] = {header, static_cast<size_t>(super.header)};
        outgoing_.parts[2 * count + 1] = {target.payload + super.header + from, static_cast<size_t>(length)};
        from += length;
      }
      int sent = 0;
      const int failure = send(target, count, 2, segment, sent);
      isPartly = isPartly || sent > 0;
      if (failure != 0) return failure;
    }
    return 0;
  }

  /// As many of `handles` as fit one message with the first, whose target is known; `sent` says how many have left. When not even the
  /// first has: errno, and `sent` says how many would have.
  int sendRun(const int32_t* handles, int count, const int32_t* fds, int fdMask, Target& target, int& sent) {
    finish(handles[0]);
    outgoing_.parts[0] = {target.payload, static_cast<size_t>(target.length)};
    sent = 1;
    int total = target.length;
    Target next;
    while (sent < std::min(count, kSegments)) {
      const int32_t handle = handles[sent];
      if ((arena_.flags[handle] & kFlagGso) || !readTarget(arena_, fds, fdMask, handle, next)) break;
      if (next.fd != target.fd || next.length > target.length || total + next.length > kMessageBytes || next.tos != target.tos) break;
      if (std::memcmp(&next.name, &target.name, target.nameLength) != 0) break;
      finish(handle);
      outgoing_.parts[sent++] = {next.payload, static_cast<size_t>(next.length)};
      total += next.length;
      if (next.length < target.length) break;
    }
    int left = 0;
    const int failure = send(target, sent, 1, target.length, left);
    // What has not left is tried anew, for its own errno.
    if (left > 0) sent = left;
    return left > 0 ? 0 : failure;
  }

 private:
  const Arena& arena_;
  int32_t* const uncut_;
  Outgoing outgoing_;
  uint8_t headers_[kSegments * kHeaderRoom];

  /// `count` datagrams of `segment` bytes, the last perhaps less; `sent` of them have left. 0, or errno of the next one.
  int send(Target& target, int count, int partsEach, int segment, int& sent) {
    sent = 0;
    int32_t& uncut = uncut_[target.peer];
    if (count > 1 && uncut > 0) {
      uncut--;
      return outgoing_.sendSingly(target, count, partsEach, sent);
    }
    const int failure = outgoing_.sendJoined(target, count, partsEach, segment);
    if (failure == 0) sent = count;
    // udp_send_skb: EIO for a route with IPsec or a device that leaves checksums to us (until Linux 6.11), EINVAL for a socket without
    // checksums and before Linux 4.18. EMSGSIZE (EINVAL until Linux 6.13) for segments that the path does not take: over IPv6 they go as
    // fragments then; those that no interface takes fail singly, too, and say nothing of others.
    if (count == 1 || (failure != EIO && failure != EINVAL && failure != EMSGSIZE)) return failure;
    const int single = outgoing_.sendSingly(target, count, partsEach, sent);
    if (sent > 0) uncut = kUncutMessages;
    return single;
  }

  void finish(int32_t handle) {
    if (arena_.flags[handle] & kFlagChecksum) finishChecksum(arena_, handle);
  }
};

// sendTunnel(arena, fds, handles, from, count, result): number
napi_value sendTunnel(napi_env env, napi_callback_info info) {
  const FrameCall call(env, info);
  const Arena& arena = call.arena(0);
  const int32_t* fds = call.array(1);
  int32_t* handles = call.array(2) + call.number(3);
  const int32_t count = call.number(4);
  int32_t* result = call.array(5);
  const int fdMask = result[3] - 1;

  Sender sender(arena, result + 4);
  int32_t done = 0, failed = 0, lastFailure = 0, ended = 0;
  while (done < count) {
    Target target;
    int sent = 1;
    int failure = EINVAL;
    bool isPartly = false;
    if (readTarget(arena, fds, fdMask, handles[done], target)) {
      failure = arena.flags[handles[done]] & kFlagGso ? sender.sendSuperFrame(handles[done], target, isPartly)
                                                      : sender.sendRun(handles + done, count - done, fds, fdMask, target, sent);
    }
    // Half a super-frame cannot be offered again.
    if ((failure == EAGAIN || failure == ENOBUFS) && !isPartly) {
      ended = failure;
      break;
    }
    if (failure != 0) {
      failed += sent;
      lastFailure = failure == EAGAIN ? ENOBUFS : failure;
      for (int i = 0; i < sent; i++) handles[done + i] = ~handles[done + i];
    }
    done += sent;
  }
  result[0] = ended;
  result[1] = failed;
  result[2] = lastFailure;
  return call.answer(done);
}

}  // namespace

void registerUdpUnderlaySend(Napi::Env env, Napi::Object exports) { setFrameFunction(env, exports, "sendTunnel", sendTunnel); }

}  // namespace netloom
