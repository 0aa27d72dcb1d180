// From the UDP underlay's socket to frames: recvmmsg, each message scattered over a small slot and the rear of a large one (see
// packet_socket.cc), datagrams that the kernel has joined (UDP_GRO) parted again, TCP segments inside them joined for the interfaces
// that take super-frames. Outer headers are made anew in the headroom.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "frame_call.h"
#include "inner_tcp.h"
#include "udp_underlay.h"
#include "vnet_header.h"

#ifndef UDP_GRO
#define UDP_GRO 104  // Linux 5.0
#endif

namespace netloom {

namespace {

constexpr int kBurst = 8;
/// Datagrams in one message at most (UDP_MAX_SEGMENTS).
constexpr int kDatagramsPerMessage = 128;
/// A joined segment and its outer headers stay below what an IPv4 header can tell.
constexpr int kLongestFrame = 65'000;
constexpr uint8_t kTtl = 64;

/// `station`, as JavaScript has it: own MAC 6, the other's MAC 6, own address 16 (IPv4: the last 4), own port 2, MTU 2.
struct Station {
  const uint8_t* bytes;
  const uint8_t* mac() const { return bytes; }
  const uint8_t* nextHop() const { return bytes + 6; }
  const uint8_t* address() const { return bytes + 12; }
  const uint8_t* port() const { return bytes + 28; }
  int mtu() const { return static_cast<int>(get16(bytes + 30)); }
};

struct Message {
  int32_t small;
  int32_t large;
  sockaddr_storage source;
  iovec parts[2];
  alignas(cmsghdr) uint8_t control[128];
};

/// Where a datagram came from, as its outer headers say.
struct Origin {
  bool isFour;
  const uint8_t* address;
  const uint8_t* port;
  uint8_t tos;
};

bool isSame(const Origin& a, const Origin& b) {
  return a.isFour == b.isFour && a.tos == b.tos && std::memcmp(a.port, b.port, 2) == 0 && std::memcmp(a.address, b.address, a.isFour ? 4 : 16) == 0;
}

class Reader {
 public:
  int32_t count = 0;
  int32_t bytes = 0;
  int32_t malformed = 0;
  int32_t noBuffer = 0;

  Reader(Arena& arena, Station station, int32_t* out) : arena_(arena), station_(station), out_(out) {}

  /// A message whose datagrams are `size` bytes long, the last perhaps less. Takes the slots that it keeps from `message`.
  void take(Message& message, int length, int size, const Origin& origin) {
    const int smallCapacity = arena_.smallSlotSize - arena_.headroom;
    if (length <= smallCapacity && length <= size) {
      const int32_t handle = message.small;
      message.small = -1;
      datagram(data(handle), length, origin, handle);
      return;
    }
    // The rest lies behind it already.
    uint8_t* whole = data(message.large);
    std::memcpy(whole, data(message.small), static_cast<size_t>(std::min(length, smallCapacity)));
    for (int at = 0; at < length; at += size) {
      const bool mayStay = at == 0;
      const int32_t handle = mayStay ? message.large : -1;
      if (datagram(whole + at, std::min(size, length - at), origin, handle) && mayStay) message.large = -1;
    }
  }

  /// The frame that waited for more.
  void flush() {
    if (pending_ < 0) return;
    if (segments_ > 1) finishJoined();
    else markUnfinished();
    deliver(pending_, length_, origin_);
    pending_ = -1;
  }

 private:
  Arena& arena_;
  const Station station_;
  int32_t* const out_;
  /// A frame that may grow: its slot, and what is known of it. -1: none.
  int32_t pending_ = -1;
  int length_ = 0;
  int segments_ = 0;
  int segmentSize_ = 0;
  bool isClosed_ = false;
  InnerTcp tcp_;
  Origin origin_{};
  uint8_t originBytes_[18];

  uint8_t* data(int32_t handle) const { return arena_.chunkOf(handle) + arena_.slotStart(handle) + arena_.headroom; }

  int32_t pop(bool large) {
    if (arena_.tops[large ? 1 : 0] == 0) return -1;
    return large ? arena_.largeFree[--arena_.tops[1]] : arena_.smallFree[--arena_.tops[0]];
  }

  /// One datagram at `vxlan`, which lies in the slot `own`, at its beginning, or in somebody else's (-1). True when it took `own`.
  bool datagram(const uint8_t* vxlan, int length, const Origin& origin, int32_t own) {
    if (length < kVxlanHeader + kEthernetHeader) {
      malformed++;
      if (own >= 0 && own < arena_.largeBase) arena_.smallFree[arena_.tops[0]++] = own;
      return false;
    }
    const InnerTcp tcp = readInnerTcp(vxlan, length);
    if (tcp.isCandidate && fits(vxlan, tcp, origin) && append(vxlan, tcp)) {
      if (own >= 0 && own < arena_.largeBase) arena_.smallFree[arena_.tops[0]++] = own;
      return false;
    }
    flush();
    const bool isBig = length > arena_.smallSlotSize - arena_.headroom;
    // A large slot is kept for what is long, or may become so.
    const bool keeps = own >= 0 && (own < arena_.largeBase || tcp.isCandidate || isBig);
    const int32_t handle = keeps ? own : pop(isBig);
    if (handle < 0) {
      noBuffer++;
      return false;
    }
    if (!keeps) std::memcpy(data(handle), vxlan, static_cast<size_t>(length));
    arena_.flags[handle] = 0;
    pending_ = handle;
    length_ = length;
    segments_ = 1;
    tcp_ = tcp;
    segmentSize_ = tcp.payload;
    isClosed_ = !tcp.isCandidate || tcp.isPushed;
    keepOrigin(origin);
    if (isClosed_) flush();
    return keeps;
  }

  void keepOrigin(const Origin& origin) {
    std::memcpy(originBytes_, origin.address, origin.isFour ? 4 : 16);
    std::memcpy(originBytes_ + 16, origin.port, 2);
    origin_ = {origin.isFour, originBytes_, originBytes_ + 16, origin.tos};
  }

  bool fits(const uint8_t* vxlan, const InnerTcp& tcp, const Origin& origin) const {
    return pending_ >= 0 && !isClosed_ && tcp.sequence == tcp_.sequence + static_cast<uint32_t>(length_ - tcp_.payloadAt) &&
           tcp.payload <= segmentSize_ && length_ + tcp.payload <= kLongestFrame && isSame(origin, origin_) &&
           haveSameHeaders(data(pending_), tcp_, vxlan, tcp);
  }

  bool append(const uint8_t* vxlan, const InnerTcp& tcp) {
    if (pending_ < arena_.largeBase) {
      const int32_t large = pop(true);
      if (large < 0) return false;
      std::memcpy(data(large), data(pending_), static_cast<size_t>(length_));
      arena_.smallFree[arena_.tops[0]++] = pending_;
      pending_ = large;
    }
    // Parts of one message are moved within its slot, towards its beginning.
    std::memmove(data(pending_) + length_, vxlan + tcp.payloadAt, static_cast<size_t>(tcp.payload));
    length_ += tcp.payload;
    segments_++;
    isClosed_ = tcp.isPushed || tcp.payload < segmentSize_;
    if (tcp.isPushed) data(pending_)[tcp_.tcp + 13] |= kPsh;
    if (isClosed_) flush();
    return true;
  }

  /// A kernel on the same machine leaves checksums undone, and super-frames whole: nothing says then how long its segments were to be.
  void markUnfinished() {
    const InnerTransport inner = readInnerTransport(data(pending_), length_);
    if (!inner.isUnfinished) return;
    const int outer = kEthernetHeader + (origin_.isFour ? kIpv4Header : kIpv6Header) + kUdpHeader;
    arena_.flags[pending_] = kFlagChecksum;
    arena_.csumStart[pending_] = static_cast<uint16_t>(outer + inner.at);
    arena_.csumOffset[pending_] = static_cast<uint16_t>(inner.checksumOffset);
    const int longest = station_.mtu() + kEthernetHeader - outer;
    if (length_ <= longest || !inner.isTcp) return;
    const int header = inner.at + (data(pending_)[inner.at + 12] >> 4) * 4;
    if (longest <= header) return;
    arena_.flags[pending_] |= kFlagGso;
    arena_.gsoType[pending_] = gsoType(inner.isFour);
    arena_.gsoSize[pending_] = static_cast<uint16_t>(longest - header);
    arena_.hdrLen[pending_] = static_cast<uint16_t>(outer + header);
  }

  uint8_t gsoType(bool isInnerFour) const {
    return static_cast<uint8_t>((isInnerFour ? kGsoTcpV4 : kGsoTcpV6) | (origin_.isFour ? kGsoTunnelV4 : kGsoTunnelV6));
  }

  /// The headers of a super-frame: its lengths, and a partial checksum.
  void finishJoined() {
    uint8_t* vxlan = data(pending_);
    uint8_t* ip = vxlan + tcp_.ip;
    const auto size = static_cast<uint32_t>(length_ - tcp_.tcp);
    if (tcp_.isFour) {
      put16(ip + 2, static_cast<uint32_t>(length_ - tcp_.ip));
      fillIpv4Checksum(ip);
    } else {
      put16(ip + 4, size);
    }
    storeSum(vxlan + tcp_.tcp + 16, foldSum(pseudoHeader(ip, kTcp, size)));
    const int outer = kEthernetHeader + (origin_.isFour ? kIpv4Header : kIpv6Header) + kUdpHeader;
    arena_.flags[pending_] = kFlagChecksum | kFlagGso;
    arena_.gsoType[pending_] = gsoType(tcp_.isFour);
    arena_.gsoSize[pending_] = static_cast<uint16_t>(segmentSize_);
    arena_.hdrLen[pending_] = static_cast<uint16_t>(outer + tcp_.payloadAt);
    arena_.csumStart[pending_] = static_cast<uint16_t>(outer + tcp_.tcp);
    arena_.csumOffset[pending_] = 16;
  }

  /// Outer headers in front of `length` bytes of UDP payload; no checksum of UDP, which the kernel has verified.
  void deliver(int32_t handle, int length, const Origin& origin) {
    const int ipLength = origin.isFour ? kIpv4Header : kIpv6Header;
    const int outer = kEthernetHeader + ipLength + kUdpHeader;
    uint8_t* frame = data(handle) - outer;
    uint8_t* ip = frame + kEthernetHeader;
    uint8_t* udp = ip + ipLength;
    const auto udpLength = static_cast<uint32_t>(kUdpHeader + length);
    std::memcpy(frame, station_.mac(), 6);
    std::memcpy(frame + 6, station_.nextHop(), 6);
    put16(frame + 12, origin.isFour ? 0x0800 : 0x86dd);
    if (origin.isFour) {
      put16(ip, 0x4500 | origin.tos);
      put16(ip + 2, udpLength + kIpv4Header);
      put32(ip + 4, 0);
      put16(ip + 8, kTtl << 8 | kUdp);
      std::memcpy(ip + 12, origin.address, 4);
      std::memcpy(ip + 16, station_.address() + 12, 4);
      fillIpv4Checksum(ip);
    } else {
      put32(ip, 0x60000000u | static_cast<uint32_t>(origin.tos) << 20);
      put16(ip + 4, udpLength);
      put16(ip + 6, kUdp << 8 | kTtl);
      std::memcpy(ip + 8, origin.address, 16);
      std::memcpy(ip + 24, station_.address(), 16);
    }
    std::memcpy(udp, origin.port, 2);
    std::memcpy(udp + 2, station_.port(), 2);
    put16(udp + 4, udpLength);
    put16(udp + 6, 0);
    arena_.start[handle] = arena_.slotStart(handle) + arena_.headroom - outer;
    arena_.length[handle] = length + outer;
    out_[count++] = handle;
    bytes += length;
  }
};

void prepare(Arena& arena, int count, Message* messages, mmsghdr* headers) {
  const int32_t smallCapacity = arena.smallSlotSize - arena.headroom;
  for (int i = 0; i < count; i++) {
    Message& message = messages[i];
    message.small = arena.smallFree[--arena.tops[0]];
    message.large = arena.largeFree[--arena.tops[1]];
    const int32_t rear = arena.slotStart(message.large) + arena.headroom + smallCapacity;
    message.parts[0] = {arena.chunkOf(message.small) + arena.slotStart(message.small) + arena.headroom, static_cast<size_t>(smallCapacity)};
    message.parts[1] = {arena.chunkOf(message.large) + rear, static_cast<size_t>(arena.largeSlotSize - arena.headroom - smallCapacity)};
    headers[i] = {};
    headers[i].msg_hdr.msg_name = &message.source;
    headers[i].msg_hdr.msg_namelen = sizeof message.source;
    headers[i].msg_hdr.msg_iov = message.parts;
    headers[i].msg_hdr.msg_iovlen = 2;
    headers[i].msg_hdr.msg_control = message.control;
    headers[i].msg_hdr.msg_controllen = sizeof message.control;
  }
}

void giveBack(Arena& arena, int count, const Message* messages) {
  for (int i = count - 1; i >= 0; i--) {
    if (messages[i].small >= 0) arena.smallFree[arena.tops[0]++] = messages[i].small;
    if (messages[i].large >= 0) arena.largeFree[arena.tops[1]++] = messages[i].large;
  }
}

void accept(Reader& reader, Message& message, mmsghdr& header) {
  const int length = static_cast<int>(header.msg_len);
  int size = length;
  Origin origin{};
  for (cmsghdr* part = CMSG_FIRSTHDR(&header.msg_hdr); part; part = CMSG_NXTHDR(&header.msg_hdr, part)) {
    if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO) std::memcpy(&size, CMSG_DATA(part), sizeof size);
    const bool isClass = part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_TCLASS;
    if (isClass || (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TOS)) origin.tos = *CMSG_DATA(part);
  }
  origin.isFour = message.source.ss_family == AF_INET;
  const auto& four = reinterpret_cast<const sockaddr_in&>(message.source);
  const auto& six = reinterpret_cast<const sockaddr_in6&>(message.source);
  origin.address = origin.isFour ? reinterpret_cast<const uint8_t*>(&four.sin_addr) : six.sin6_addr.s6_addr;
  origin.port = reinterpret_cast<const uint8_t*>(origin.isFour ? &four.sin_port : &six.sin6_port);
  if (length == 0 || size <= 0 || header.msg_hdr.msg_flags & MSG_TRUNC) {
    reader.malformed++;
    return;
  }
  reader.take(message, length, size, origin);
}

// receiveTunnel(arena, fd, station, out, max, result): number
napi_value receiveTunnel(napi_env env, napi_callback_info info) {
  const FrameCall call(env, info);
  Arena& arena = call.arena(0);
  const int fd = call.number(1);
  const Station station{reinterpret_cast<const uint8_t*>(call.array(2))};
  int32_t* out = call.array(3);
  const int32_t max = call.number(4);
  int32_t* result = call.array(5);

  Message messages[kBurst];
  mmsghdr headers[kBurst];
  Reader reader(arena, station, out);
  int32_t ended = 0;
  while (reader.bytes < kBatchBytes) {
    const int wanted = std::min({kBurst, (max - reader.count - 1) / kDatagramsPerMessage, arena.tops[0], arena.tops[1]});
    if (wanted <= 0) {
      if (arena.tops[0] == 0 || arena.tops[1] == 0) ended = ENOBUFS;
      break;
    }
    prepare(arena, wanted, messages, headers);
    int got;
    while ((got = recvmmsg(fd, headers, static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr)) < 0 && errno == EINTR) {
    }
    const int failure = got < 0 ? errno : 0;
    for (int i = 0; i < got; i++) accept(reader, messages[i], headers[i]);
    giveBack(arena, wanted, messages);
    if (got < wanted) {
      ended = failure != 0 ? failure : EAGAIN;
      break;
    }
  }
  reader.flush();
  result[0] = ended;
  result[1] = reader.malformed;
  result[2] = reader.noBuffer;
  return call.answer(reader.count);
}

}  // namespace

void registerUdpUnderlayReceive(Napi::Env env, Napi::Object exports) { setFrameFunction(env, exports, "receiveTunnel", receiveTunnel); }

}  // namespace netloom
