#include "ping_relay.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <cerrno>

#include "outer_socket.h"

namespace netloom::uplink {
namespace {

constexpr size_t kMaxFlows = 1024;
constexpr int kPerTurn = 64;
constexpr size_t kIcmpHeader = 8, kIpv4Header = 20;
constexpr size_t kMaxMessage = 65536;

uint8_t buffer[kMaxMessage];  // one thread, and nothing stays in it

void putIdentifier(uint8_t* message, uint16_t identifier) {
  message[4] = static_cast<uint8_t>(identifier >> 8);
  message[5] = static_cast<uint8_t>(identifier);
}

}  // namespace

PingRelay::PingRelay(Helper& helper, UniqueFd receiver, UniqueFd receiver6) : helper_(helper), places_(kMaxFlows) {
  receivers_[0].socket = std::move(receiver);
  receivers_[1].socket = std::move(receiver6);
  receivers_[1].v6 = true;
  for (Receiver& one : receivers_) {
    one.relay = this;
    if (one.socket) helper_.loop.add(one.socket.get(), EPOLLIN, one);
  }
}

void PingRelay::receive(Receiver& receiver) {
  for (int i = 0; i < kPerTurn; i++) {
    alignas(cmsghdr) char control[256];
    sockaddr_storage peer{};
    iovec part{buffer, sizeof buffer};
    msghdr message{};
    message.msg_name = &peer;
    message.msg_namelen = sizeof peer;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(receiver.socket.get(), &message, MSG_DONTWAIT);
    if (got < 0) return;
    Tuple tuple;
    size_t header = 0;
    int ttl = 0;
    if (receiver.v6) {
      for (cmsghdr* one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
        if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
          tuple.destination.address = Address::ofV6(&reinterpret_cast<const in6_pktinfo*>(CMSG_DATA(one))->ipi6_addr);
        }
      }
      ttl = ttlOf(message, 1);
    } else {
      if (got < static_cast<ssize_t>(kIpv4Header)) continue;
      header = static_cast<size_t>(buffer[0] & 15) * 4;
      tuple.destination.address = Address::ofV4(buffer + 16);
      ttl = buffer[8];
    }
    if (got < static_cast<ssize_t>(header + kIcmpHeader)) continue;
    uint8_t* echo = buffer + header;
    tuple.source = {Endpoint::of(peer).address, static_cast<uint16_t>(echo[4] << 8 | echo[5])};
    request(tuple, ttl, echo, static_cast<size_t>(got) - header);
  }
}

void PingRelay::request(const Tuple& tuple, int ttl, uint8_t* message, size_t length) {
  const Address& destination = tuple.destination.address;
  if (destination == helper_.ownAddress(destination)) {  // of the helper itself: its kernel leaves all answers to us
    message[0] = destination.isV4() ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    return helper_.send(icmpPacket(destination, tuple.source.address, 64, {message, message + length}), tuple.source.address);
  }
  if (!destination.isOutside()) return;
  if (ttl <= 1) {
    IcmpReport late;
    late.type = destination.isV4() ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED;
    late.sender = helper_.ownAddress(destination);
    return sendError(tuple, late, message, length);
  }
  Flow* const flow = flowOf(tuple);
  if (flow == nullptr) {
    const IcmpReport report = reportOf(errno, destination, helper_.ownAddress(destination));
    if (report.type != 0) sendError(tuple, report, message, length);
    return;
  }
  flow->lastUsed = helper_.loop.now();
  if (flow->ttl != ttl - 1) setTtl(flow->socket.get(), !destination.isV4(), flow->ttl = ttl - 1);
  helper_.counters.pings++;
  for (int tries = 0; tries < 2; tries++) {
    if (send(flow->socket.get(), message, length, MSG_DONTWAIT) >= 0) return;
    // What an earlier request met with is told now: that goes to the container, and this request out.
    const IcmpReport report = reportOf(errno, destination, helper_.ownAddress(destination));
    if (tries == 1 && report.type != 0) sendError(tuple, report, message, length);
  }
}

PingRelay::Flow* PingRelay::flowOf(const Tuple& tuple) {
  if (const auto found = flows_.find(tuple); found != flows_.end()) return found->second.get();
  const bool v4 = tuple.destination.address.isV4();
  errno = 0;
  const Address& source = tuple.source.address;
  SourceShares::Share place = places_.take(source), descriptor = helper_.descriptors.take(source);
  if (!place || !descriptor) {
    // Who has many targets gives up the one that was asked longest ago: who waits for an answer asks again meanwhile.
    Flow* idlest = nullptr;
    for (const auto& [known, flow] : flows_) {
      if (known.source.address == source && (idlest == nullptr || flow->lastUsed < idlest->lastUsed)) idlest = flow.get();
    }
    if (idlest != nullptr) remove(*idlest);
    if (!place) place = places_.take(source);
    if (!descriptor) descriptor = helper_.descriptors.take(source);
    if (!place || !descriptor) return nullptr;
  }
  UniqueFd socket = openOuter(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6));
  if (!socket) {
    errno = 0;  // no ping sockets for this user, or no descriptors: the container hears nothing, as from a filter
    return nullptr;
  }
  const SocketName name(tuple.destination);
  if (connect(socket.get(), name.get(), name.length) < 0) return nullptr;
  auto flow = std::make_unique<Flow>();
  flow->relay = this;
  flow->tuple = tuple;
  flow->socket = std::move(socket);
  flow->place = std::move(place);
  flow->descriptor = std::move(descriptor);
  helper_.loop.add(flow->socket.get(), EPOLLIN, *flow);
  return flows_.emplace(tuple, std::move(flow)).first->second.get();
}

void PingRelay::remove(Flow& flow) {
  const auto found = flows_.find(flow.tuple);
  helper_.loop.remove(flow.socket.get());
  flow.place = {};
  flow.descriptor = {};
  helper_.loop.retire(std::move(found->second));
  flows_.erase(found);
}

void PingRelay::answered(Flow& flow) {
  const Tuple& tuple = flow.tuple;
  const Address& destination = tuple.destination.address;
  size_t sent;
  for (IcmpReport report; readReport(flow.socket.get(), helper_.ownAddress(destination), report, buffer, sizeof buffer, sent);) {
    if (sent < kIcmpHeader) continue;
    putIdentifier(buffer, tuple.source.port);
    sendError(tuple, report, buffer, sent);
  }
  for (int i = 0; i < kPerTurn; i++) {
    alignas(cmsghdr) char control[128];
    iovec part{buffer, sizeof buffer};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(flow.socket.get(), &message, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got < static_cast<ssize_t>(kIcmpHeader)) continue;  // an error that the queue has told of already
    flow.lastUsed = helper_.loop.now();
    helper_.counters.pingReplies++;
    putIdentifier(buffer, tuple.source.port);
    const uint8_t ttl = ttlOf(message, 64);
    helper_.send(icmpPacket(destination, tuple.source.address, ttl > 1 ? static_cast<uint8_t>(ttl - 1) : ttl, {buffer, buffer + got}),
                 tuple.source.address);
  }
}

void PingRelay::sendError(const Tuple& tuple, const IcmpReport& report, const uint8_t* message, size_t length) {
  const std::vector<uint8_t> original = icmpPacket(tuple.source.address, tuple.destination.address, 1, {message, message + length});
  helper_.sendError(report, tuple.source.address, original.data(), original.size());
}

void PingRelay::tick() {
  for (auto next = flows_.begin(); next != flows_.end();) {
    Flow& flow = *(next++)->second;
    if (helper_.loop.now() - flow.lastUsed >= helper_.timeouts.ping) remove(flow);
  }
}

}  // namespace netloom::uplink
