#include "tcp_gate.h"

#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>

#include "outer_socket.h"

namespace netloom::uplink {
namespace {

constexpr size_t kMaxAttempts = 4096;
constexpr size_t kDescriptors = 2;  ///< of a connection
constexpr int kPacketsPerTurn = 64;
/// About 30 s: nobody's silence may keep one of the attempts for the two minutes that are the kernel's default.
constexpr int kSynRetries = 4;
/// Once the SYN went on, for the rest of the container's handshake with its retransmissions.
constexpr int64_t kHandshakeSeconds = 30;

}  // namespace

TcpGate::TcpGate(Helper& helper, TcpRelays& relays, UniqueFd tun, UniqueFd listener, UniqueFd listener6)
    : helper_(helper), relays_(relays), tun_(std::move(tun)), openings_(kMaxAttempts) {
  helper_.loop.add(tun_.get(), EPOLLIN, *this);
  listeners_[0].socket = std::move(listener);
  listeners_[1].socket = std::move(listener6);
  for (Listener& one : listeners_) {
    one.gate = this;
    if (one.socket) helper_.loop.add(one.socket.get(), EPOLLIN, one);
  }
}

void TcpGate::ready(uint32_t) {
  uint8_t packet[2048];
  for (int i = 0; i < kPacketsPerTurn; i++) {
    const ssize_t got = read(tun_.get(), packet, sizeof packet);
    if (got <= 0) return;
    handle(packet, static_cast<size_t>(got));
  }
}

void TcpGate::handle(const uint8_t* packet, size_t length) {
  SynPacket syn;
  if (!parseSyn(packet, length, syn)) return;  // the namespace's own router solicitations, for one
  if (const auto found = attempts_.find(syn.tuple); found != attempts_.end()) {
    Attempt& known = *found->second;
    if (!known.isLetIn) return;  // sent again while it is held
    known.packet.assign(packet, packet + length);
    return letIn(known);
  }
  const Address& source = syn.tuple.source.address;
  SourceShares::Share opening = openings_.take(source), descriptors = helper_.descriptors.take(source, kDescriptors);
  if (!opening || !descriptors) {
    helper_.counters.tcpDropped++;
    return;
  }
  auto attempt = std::make_unique<Attempt>();
  Attempt& added = *attempt;
  added.gate = this;
  added.syn = syn;
  added.packet.assign(packet, packet + length);
  added.opening = std::move(opening);
  added.descriptors = std::move(descriptors);
  attempts_.emplace(syn.tuple, std::move(attempt));
  const Endpoint& destination = syn.tuple.destination;
  if (!destination.address.isOutside()) return refuse(added, ECONNREFUSED);
  added.outer = openOuter(destination.address.family(), SOCK_STREAM, 0);
  if (!added.outer) return refuse(added, errno);
  setsockopt(added.outer.get(), IPPROTO_TCP, TCP_SYNCNT, &kSynRetries, sizeof kSynRetries);
  setTtl(added.outer.get(), !destination.address.isV4(), syn.ttl);  // the route to the TUN has counted it down
  const SocketName name(destination);
  const int result = connect(added.outer.get(), name.get(), name.length);
  if (result < 0 && errno != EINPROGRESS) return refuse(added, errno);
  helper_.loop.add(added.outer.get(), EPOLLOUT | EPOLLONESHOT, added);
}

void TcpGate::decided(Attempt& attempt) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(attempt.outer.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return refuse(attempt, error);
  helper_.counters.tcpOpened++;
  attempt.isLetIn = true;
  letIn(attempt);
}

void TcpGate::refuse(Attempt& attempt, int error) {
  const Tuple& tuple = attempt.syn.tuple;
  IcmpReport report;
  uint8_t discarded[8];
  size_t sent;
  const Address& own = helper_.ownAddress(tuple.destination.address);
  // An ICMP error came where the queue has one; a RST leaves none there.
  if (attempt.outer && readReport(attempt.outer.get(), own, report, discarded, sizeof discarded, sent)) {
    helper_.counters.tcpUnreachable++;
  } else if (error == ECONNREFUSED) {
    helper_.counters.tcpRefused++;
    helper_.send(resetPacket(attempt.syn), tuple.source.address);
  } else if ((report = reportOf(error, tuple.destination.address, own)).type != 0) {
    helper_.counters.tcpUnreachable++;
  } else {
    helper_.counters.tcpDropped++;  // no answer at all, or no socket for it: the SYN will come again
  }
  if (report.type != 0) helper_.sendError(report, tuple.source.address, attempt.packet.data(), attempt.packet.size());
  forget(attempt);
}

void TcpGate::letIn(Attempt& attempt) {
  attempt.deadline = helper_.loop.now() + kHandshakeSeconds;
  // The way in is a queue of the kernel's that is never full here (it takes the packet at once); a lost SYN comes again.
  if (write(tun_.get(), attempt.packet.data(), attempt.packet.size()) < 0) helper_.counters.tcpDropped++;
}

void TcpGate::forget(Attempt& attempt) {
  const auto found = attempts_.find(attempt.syn.tuple);
  attempt.outer.reset(-1);
  attempt.opening = {};
  attempt.descriptors = {};
  helper_.loop.retire(std::move(found->second));
  attempts_.erase(found);
}

void TcpGate::accept(Listener& listener) {
  for (;;) {
    sockaddr_storage peer{}, local{};
    socklen_t length = sizeof peer;
    UniqueFd inner(accept4(listener.socket.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!inner) {
      if (errno != EAGAIN && errno != ECONNABORTED) helper_.restUntilTick(listener.socket.get(), listener);
      return;
    }
    length = sizeof local;
    getsockname(inner.get(), reinterpret_cast<sockaddr*>(&local), &length);
    const auto found = attempts_.find({Endpoint::of(peer), Endpoint::of(local)});
    if (found == attempts_.end() || !found->second->isLetIn) {
      resetAndClose(inner);  // addressed to the helper itself, or its other half has been given up
      continue;
    }
    helper_.loop.remove(found->second->outer.get());
    relays_.add(std::move(inner), std::move(found->second->outer), std::move(found->second->descriptors));
    forget(*found->second);
  }
}

void TcpGate::tick() {
  std::vector<Attempt*> late;
  for (const auto& [tuple, attempt] : attempts_) {
    if (attempt->isLetIn && attempt->deadline < helper_.loop.now()) late.push_back(attempt.get());
  }
  for (Attempt* attempt : late) {
    resetAndClose(attempt->outer);
    forget(*attempt);
  }
}

}  // namespace netloom::uplink
