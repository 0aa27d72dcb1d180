// Packet sockets (packet(7)): every frame that an existing interface receives, and a way to send through it.
//
// Frames come in by recvmmsg, each scattered over a small slot and, for what is longer, the rear of a large one: a small
// frame lies where it stays, without a copy, and only the first bytes of a large one are moved.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../common/netns.h"
#include "convert.h"
#include "frame_call.h"
#include "vnet_header.h"

// Headers older than the kernel that runs lack it.
#ifndef PACKET_VNET_HDR_SZ
#define PACKET_VNET_HDR_SZ 24  // Linux 6.6
#endif

namespace netloom {

namespace {

/// Messages of one recvmmsg or sendmmsg: many enough to hide the call, few enough to set up for a single frame.
constexpr int kBurst = 16;
constexpr int kTagLength = 4;
constexpr int kMacs = 2 * ETH_ALEN;
constexpr int kLongVnetHeader = 12;
constexpr int kShortVnetHeader = 10;
/// A super-frame takes 64 KiB and more of a socket's buffer; the default of 208 KiB would hold three.
constexpr int kBufferBytes = 8 << 20;

void setOption(int fd, int level, int option, int value, const char* call, const std::string& object) {
  if (setsockopt(fd, level, option, &value, sizeof value) < 0) throwErrno(call, object);
}

/// The forced form passes the system's limit and needs CAP_NET_ADMIN; the other takes as much as is allowed.
void setBuffer(int fd, int forced, int polite) {
  const int bytes = kBufferBytes;
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) < 0) setsockopt(fd, SOL_SOCKET, polite, &bytes, sizeof bytes);
}

/// Has the kernel put a virtio_net_hdr before each frame; its length. There is no going without: partial checksums and
/// super-frames would come in all the same, with nothing to tell them by.
int enableVnetHeader(int fd, const std::string& object) {
  // The kernel uses its own byte order here, and vnet_header.h knows little endian only.
  if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) throw SystemError(EOPNOTSUPP, "setsockopt PACKET_VNET_HDR", object);
  const int length = kLongVnetHeader;
  if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR_SZ, &length, sizeof length) == 0) return length;
  setOption(fd, SOL_PACKET, PACKET_VNET_HDR, 1, "setsockopt PACKET_VNET_HDR", object);
  return kShortVnetHeader;
}

ifreq requestFor(const std::string& name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  return request;
}

// openPacketSocket(options): the contract is in src/io/native-binding.ts
Napi::Value openPacketSocket(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    auto wanted = info[0].As<Napi::Object>();
    const std::string name = wanted.Get("interface").As<Napi::String>().Utf8Value();
    const std::string object = "interface " + name;
    UniqueFd owner;
    // Protocol 0: nothing is received before the socket is bound.
    inNetns(wanted.Get("netns").As<Napi::Number>().Int32Value(), [&] {
      owner = UniqueFd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (!owner) throwErrno("socket", "AF_PACKET");
    });
    const int fd = owner.get();
    ifreq request = requestFor(name);
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0) throwErrno("ioctl SIOCGIFINDEX", object);
    const int index = request.ifr_ifindex;
    request = requestFor(name);
    if (ioctl(fd, SIOCGIFMTU, &request) < 0) throwErrno("ioctl SIOCGIFMTU", object);
    const int mtu = request.ifr_mtu;

    const int vnetHeaderLength = enableVnetHeader(fd, object);
    setOption(fd, SOL_PACKET, PACKET_AUXDATA, 1, "setsockopt PACKET_AUXDATA", object);
    setOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "setsockopt PACKET_IGNORE_OUTGOING", object);  // Linux 4.20
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);

    if (wanted.Get("promiscuous").As<Napi::Boolean>().Value()) {
      packet_mreq membership{};
      membership.mr_ifindex = index;
      membership.mr_type = PACKET_MR_PROMISC;
      if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) {
        throwErrno("setsockopt PACKET_ADD_MEMBERSHIP", object);
      }
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) throwErrno("bind", object);

    auto result = Napi::Object::New(info.Env());
    result.Set("name", name);
    result.Set("ifindex", index);
    result.Set("mtu", mtu);
    result.Set("vnetHeaderLength", vnetHeaderLength);
    result.Set("fd", owner.release());
    return result;
  });
}

/// One frame on its way in: where its parts go, and what the kernel says about it.
struct Incoming {
  int32_t small;
  int32_t large;
  uint8_t header[kLongVnetHeader];
  iovec parts[3];
  alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(tpacket_auxdata))];
};

/// Takes a slot of each class for each message.
void prepare(Arena& arena, int vnet, int count, Incoming* frames, mmsghdr* messages) {
  const int32_t smallCapacity = arena.smallSlotSize - arena.headroom;
  for (int i = 0; i < count; i++) {
    Incoming& frame = frames[i];
    frame.small = arena.smallFree[--arena.tops[0]];
    frame.large = arena.largeFree[--arena.tops[1]];
    const int32_t largeStart = arena.slotStart(frame.large) + arena.headroom + smallCapacity;
    frame.parts[0] = {frame.header, static_cast<size_t>(vnet)};
    frame.parts[1] = {arena.chunkOf(frame.small) + arena.slotStart(frame.small) + arena.headroom, static_cast<size_t>(smallCapacity)};
    frame.parts[2] = {arena.chunkOf(frame.large) + largeStart,
                      static_cast<size_t>(arena.largeSlotSize - arena.headroom - smallCapacity)};
    messages[i] = {};
    messages[i].msg_hdr.msg_iov = frame.parts;
    messages[i].msg_hdr.msg_iovlen = 3;
    messages[i].msg_hdr.msg_control = frame.control;
    messages[i].msg_hdr.msg_controllen = sizeof frame.control;
  }
}

/// The kernel takes the outer tag out of a frame and tells it beside: puts it back, into the headroom.
void restoreTag(Arena& arena, int32_t handle, msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata aux;
    std::memcpy(&aux, CMSG_DATA(part), sizeof aux);
    if (!(aux.tp_status & TP_STATUS_VLAN_VALID)) return;
    const uint16_t tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
    uint8_t* frame = arena.chunkOf(handle) + (arena.start[handle] -= kTagLength);
    arena.length[handle] += kTagLength;
    std::memmove(frame, frame + kTagLength, kMacs);
    frame[kMacs] = static_cast<uint8_t>(tpid >> 8);
    frame[kMacs + 1] = static_cast<uint8_t>(tpid);
    frame[kMacs + 2] = static_cast<uint8_t>(aux.tp_vlan_tci >> 8);
    frame[kMacs + 3] = static_cast<uint8_t>(aux.tp_vlan_tci);
    if (arena.flags[handle] & kFlagChecksum) arena.csumStart[handle] += kTagLength;
    if (arena.flags[handle] & kFlagGso) arena.hdrLen[handle] += kTagLength;
    return;
  }
}

struct Tally {
  int32_t malformed = 0;
  int32_t truncated = 0;
};

/// Makes a frame of what came; the handle, or -1 when it was none. The other slot, or both, stay with `frame`.
int32_t accept(Arena& arena, int vnet, Incoming& frame, mmsghdr& message, Tally& tally) {
  const int32_t length = static_cast<int32_t>(message.msg_len) - vnet;
  if (message.msg_hdr.msg_flags & MSG_TRUNC) {
    tally.truncated++;
    return -1;
  }
  const int32_t smallCapacity = arena.smallSlotSize - arena.headroom;
  const bool small = length <= smallCapacity;
  const int32_t handle = small ? frame.small : frame.large;
  arena.flags[handle] = 0;
  if (length < ETH_HLEN || !takeVnetHeader(arena, handle, frame.header, vnet, length)) {
    tally.malformed++;
    return -1;
  }
  const int32_t start = arena.slotStart(handle) + arena.headroom;
  if (!small) std::memcpy(arena.chunkOf(handle) + start, frame.parts[1].iov_base, static_cast<size_t>(smallCapacity));
  arena.start[handle] = start;
  arena.length[handle] = length;
  restoreTag(arena, handle, message.msg_hdr);
  (small ? frame.small : frame.large) = -1;
  return handle;
}

/// Gives the slots that hold no frame back, the first on top, as they lay.
void giveBack(Arena& arena, int count, const Incoming* frames) {
  for (int i = count - 1; i >= 0; i--) {
    if (frames[i].small >= 0) arena.smallFree[arena.tops[0]++] = frames[i].small;
    if (frames[i].large >= 0) arena.largeFree[arena.tops[1]++] = frames[i].large;
  }
}

// receiveFrames(arena, fd, vnetHeaderLength, out, max, result): number
napi_value receiveFrames(napi_env env, napi_callback_info info) {
  const FrameCall call(env, info);
  Arena& arena = call.arena(0);
  const int fd = call.number(1);
  const int32_t vnet = call.number(2);
  int32_t* out = call.array(3);
  int32_t* result = call.array(5);

  Incoming frames[kBurst];
  mmsghdr messages[kBurst];
  Tally tally;
  int32_t count = 0, ended = 0, bytes = 0;
  // What was taken off the queue counts, not what was a frame: a flood of nonsense must not hold the engine up.
  for (int32_t left = call.number(4); left > 0 && bytes < kBatchBytes;) {
    const int wanted = std::min({left, kBurst, arena.tops[0], arena.tops[1]});
    if (wanted == 0) {
      ended = ENOBUFS;
      break;
    }
    prepare(arena, vnet, wanted, frames, messages);
    int got;
    while ((got = recvmmsg(fd, messages, static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr)) < 0 && errno == EINTR) {
    }
    const int failure = got < 0 ? errno : 0;
    for (int i = 0; i < got; i++) {
      const int32_t handle = accept(arena, vnet, frames[i], messages[i], tally);
      if (handle < 0) continue;
      out[count++] = handle;
      bytes += arena.length[handle];
    }
    giveBack(arena, wanted, frames);
    if (failure == EINVAL) {  // a kind of super-frame that a virtio_net_hdr cannot tell: the kernel has thrown it away
      tally.malformed++;
      left--;
      continue;
    }
    if (got < wanted) {
      ended = failure != 0 ? failure : EAGAIN;
      break;
    }
    left -= got;
  }
  result[0] = ended;
  result[1] = tally.malformed;
  result[2] = tally.truncated;
  return call.answer(count);
}

// sendFrames(arena, fd, vnetHeaderLength, handles, from, count, result): number
napi_value sendFrames(napi_env env, napi_callback_info info) {
  const FrameCall call(env, info);
  const Arena& arena = call.arena(0);
  const int fd = call.number(1);
  const int32_t vnet = call.number(2);
  int32_t* handles = call.array(3) + call.number(4);
  const int32_t count = call.number(5);
  int32_t* result = call.array(6);

  uint8_t headers[kBurst][kLongVnetHeader];
  iovec parts[kBurst][2];
  mmsghdr messages[kBurst];
  int32_t done = 0, failed = 0, lastFailure = 0, ended = 0;
  while (done < count) {
    const int burst = std::min(count - done, kBurst);
    for (int i = 0; i < burst; i++) {
      const int32_t handle = handles[done + i];
      fillVnetHeader(arena, handle, headers[i], vnet);
      parts[i][0] = {headers[i], static_cast<size_t>(vnet)};
      parts[i][1] = {arena.chunkOf(handle) + arena.start[handle], static_cast<size_t>(arena.length[handle])};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = parts[i];
      messages[i].msg_hdr.msg_iovlen = 2;
    }
    const int sent = sendmmsg(fd, messages, static_cast<unsigned>(burst), MSG_DONTWAIT);
    if (sent >= 0) {  // fewer than asked for: the next round learns why
      done += sent;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS) {  // the socket's buffer, or the interface's queue, is full
      ended = errno;
      break;
    }
    failed++;
    lastFailure = errno;
    handles[done] = ~handles[done];
    done++;
  }
  result[0] = ended;
  result[1] = failed;
  result[2] = lastFailure;
  return call.answer(done);
}

// packetSocketState(fd, result): void; raw, since each device asks several times a second
napi_value packetSocketState(napi_env env, napi_callback_info info) {
  const FrameCall call(env, info);
  const int fd = call.number(0);
  int32_t* result = call.array(1);
  sockaddr_ll address{};
  socklen_t length = sizeof address;
  // An interface that was deleted, or went to another namespace, leaves -1 behind.
  const bool bound = getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 && address.sll_ifindex > 0;
  ifreq request{};
  request.ifr_ifindex = address.sll_ifindex;
  // By index to the name, which may change at any time. Neither call waits for the kernel's rtnl lock.
  const bool known = bound && ioctl(fd, SIOCGIFNAME, &request) == 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  tpacket_stats statistics{};
  length = sizeof statistics;
  getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &length);
  result[0] = bound ? 1 : 0;
  result[1] = known && (request.ifr_flags & IFF_UP) && (request.ifr_flags & IFF_RUNNING) ? 1 : 0;
  result[2] = static_cast<int32_t>(statistics.tp_drops);
  return nullptr;
}

}  // namespace

void registerPacketSocket(Napi::Env env, Napi::Object exports) {
  exports.Set("openPacketSocket", Napi::Function::New<openPacketSocket>(env, "openPacketSocket"));
  setFrameFunction(env, exports, "receiveFrames", receiveFrames);
  setFrameFunction(env, exports, "sendFrames", sendFrames);
  setFrameFunction(env, exports, "packetSocketState", packetSocketState);
}

}  // namespace netloom
