#include "publisher.h"

#include <cerrno>

#include "../common/system_error.h"

namespace netloom::uplink {
namespace {

constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 64;
constexpr int64_t kOpeningSeconds = 30;
constexpr size_t kDescriptors = 2;  ///< of a connection

UniqueFd bindOutside(bool tcp, const Endpoint& from) {
  const bool v6 = !from.address.isV4();
  UniqueFd fd(socket(from.address.family(), (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throwErrno("socket", "published port");
  const int on = 1;
  if (v6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // TCP: connections of an earlier listener may still be closing. UDP: the option would let two share the port.
  if (tcp) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  else tellDestinations(fd.get(), v6);
  const SocketName name(from);
  if (bind(fd.get(), name.get(), name.length) < 0) throwErrno("bind", "port " + std::to_string(from.port));
  if (tcp && listen(fd.get(), kBacklog) < 0) throwErrno("listen", "port " + std::to_string(from.port));
  return fd;
}

}  // namespace

void Publisher::publish(const std::string& key, bool tcp, const Endpoint& from, const Endpoint& target) {
  if (ports_.count(key) != 0) throw SystemError(EEXIST, "publish", key);
  UniqueFd fd = bindOutside(tcp, from);
  if (!tcp) {
    ports_.emplace(key, std::make_unique<PublishedUdp>(udp_, std::move(fd), target));
    return;
  }
  auto port = std::make_unique<TcpPort>();
  port->publisher = this;
  port->listener = std::move(fd);
  port->target = target;
  helper_.loop.add(port->listener.get(), EPOLLIN, *port);
  ports_.emplace(key, std::move(port));
}

void Publisher::unpublish(const std::string& key) {
  const auto found = ports_.find(key);
  if (found == ports_.end()) return;
  helper_.forgetResting(*found->second);
  found->second->close();
  helper_.loop.retire(std::move(found->second));
  ports_.erase(found);
}

void Publisher::accept(TcpPort& port) {
  for (int i = 0; i < kAcceptsPerTurn; i++) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    UniqueFd outer(accept4(port.listener.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!outer) {
      if (errno != EAGAIN && errno != ECONNABORTED) helper_.restUntilTick(port.listener.get(), port);
      return;
    }
    helper_.counters.tcpAccepted++;
    SourceShares::Share descriptors = helper_.descriptors.take(port.target.address, kDescriptors);
    UniqueFd inner = descriptors ? connectInside(Endpoint::of(peer), port.target) : UniqueFd();
    if (!inner) {
      resetAndClose(outer);
      continue;
    }
    auto opening = std::make_unique<Opening>();
    opening->publisher = this;
    opening->inner = std::move(inner);
    opening->outer = std::move(outer);
    opening->descriptors = std::move(descriptors);
    opening->deadline = helper_.loop.now() + kOpeningSeconds;
    helper_.loop.add(opening->inner.get(), EPOLLOUT | EPOLLONESHOT, *opening);
    openings_.emplace(opening.get(), std::move(opening));
  }
}

/// Connects from the client's own address where a frame may carry that, else from the helper's.
UniqueFd Publisher::connectInside(const Endpoint& client, const Endpoint& target) {
  const bool v4 = target.address.isV4();
  const bool keepsAddress = !client.address.isLoopback() && client.address.isV4() == v4 && client.address.isOutside();
  const SocketName targetName(target);
  for (const bool asClient : {true, false}) {
    if (asClient && !keepsAddress) continue;
    UniqueFd inner;
    try {
      inner = helper_.inside.tcpSocket(target.address.family());
    } catch (const SystemError&) {
      return {};  // no descriptors left, on either side: this connection is refused, others may end
    }
    // Port 0: any. The client's own pair may be in use by a connection that is still closing.
    const SocketName source(asClient ? client : Endpoint{helper_.ownAddress(target.address), 0});
    if (bind(inner.get(), source.get(), source.length) < 0) continue;
    if (connect(inner.get(), targetName.get(), targetName.length) == 0 || errno == EINPROGRESS) return inner;
  }
  return {};
}

void Publisher::opened(Opening& opening) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(opening.inner.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error == 0) {
    helper_.loop.remove(opening.inner.get());
    relays_.add(std::move(opening.inner), std::move(opening.outer), std::move(opening.descriptors));
  }
  end(opening);
}

void Publisher::end(Opening& opening) {
  resetAndClose(opening.outer);  // nothing where the relay has it
  opening.descriptors = {};
  const auto found = openings_.find(&opening);
  helper_.loop.retire(std::move(found->second));
  openings_.erase(found);
}

void Publisher::tick() {
  std::vector<Opening*> late;
  for (const auto& [opening, owner] : openings_) {
    if (opening->deadline < helper_.loop.now()) late.push_back(opening);
  }
  for (Opening* opening : late) end(*opening);
}

}  // namespace netloom::uplink
