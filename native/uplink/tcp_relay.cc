#include "tcp_relay.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>

#include "../common/system_error.h"

namespace netloom::uplink {
namespace {

constexpr int kPipeBytes = 256 * 1024;
constexpr size_t kSparePipes = 64;
/// How often one direction may move bytes before the others have a turn.
constexpr int kRounds = 16;
constexpr int kKeepAliveIdle = 120, kKeepAliveInterval = 30;
/// How long a side may take nothing of what came before the other's RST: it hears of the RST no earlier.
constexpr int64_t kPatienceSeconds = 2;
constexpr long kLookNanoseconds = 5'000'000;

void setInt(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

/// What both sockets need: small writes go on at once, since they were sent so, and a peer that vanished is noticed.
void prepare(int fd) {
  setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  setInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdle);
  setInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveInterval);
  // From here on TCP itself judges ICMP errors: with these set, each would end the connection (tcp(7)).
  setInt(fd, IPPROTO_IP, IP_RECVERR, 0);
  setInt(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
}

}  // namespace

void resetAndClose(UniqueFd& socket) {
  const linger now{1, 0};
  if (socket) setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  socket.reset(-1);
}

PipePool::Pipe PipePool::take() {
  if (!spare_.empty()) {
    Pipe pipe = std::move(spare_.back());
    spare_.pop_back();
    return pipe;
  }
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return {};
  fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // the user's share of pipe pages may be used up: smaller ones do as well
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void PipePool::give(Pipe pipe) {
  if (spare_.size() < kSparePipes) spare_.push_back(std::move(pipe));
}

TcpRelay::TcpRelay(TcpRelays& relays, UniqueFd inner, UniqueFd outer, SourceShares::Share descriptors)
    : relays_(relays), share_(std::move(descriptors)) {
  for (int i = 0; i < 2; i++) {
    sides_[i] = std::make_unique<Side>();
    sides_[i]->relay = this;
    sides_[i]->number = i;
  }
  sides_[0]->socket = std::move(inner);
  sides_[1]->socket = std::move(outer);
}

void TcpRelay::start() {
  for (const auto& side : sides_) {
    prepare(side->socket.get());
    relays_.helper.loop.add(side->socket.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *side);
  }
}

void TcpRelay::ready(int number, uint32_t events) {
  if (events & EPOLLERR) return broken(number);
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) pump(number);
  if (!over_ && (events & EPOLLOUT)) pump(1 - number);
}

void TcpRelay::pump(int number) {
  if (over_) return;
  if (broken_ >= 0) return drain();
  const Outcome outcome = move(number);
  if (outcome == Outcome::brokenFrom) return broken(number);
  if (outcome == Outcome::brokenTo) return broken(1 - number);
  if (outcome == Outcome::goesOn) return relays_.helper.loop.again(*sides_[number]);
  if (directions_[0].finished && directions_[1].finished) end(false);
}

TcpRelay::Outcome TcpRelay::move(int number) {
  const int from = sides_[number]->socket.get(), to = sides_[1 - number]->socket.get();
  Direction& direction = directions_[number];
  if (direction.finished) return Outcome::waits;
  if (!direction.pipe) direction.pipe = relays_.pipes.take();
  direction.starved = !direction.pipe;
  if (direction.starved) return Outcome::waits;
  bool moved = true;
  for (int round = 0; moved && round < kRounds; round++) {
    moved = false;
    if (!direction.ended) {
      const ssize_t got = splice(from, nullptr, direction.pipe.writer.get(), nullptr, kPipeBytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (got > 0) direction.queued += static_cast<size_t>(got), moved = true;
      else if (got == 0) direction.ended = true;
      else if (errno != EAGAIN && errno != EINTR) return Outcome::brokenFrom;  // EAGAIN: nothing has come, or the pipe is full
    }
    while (direction.queued > 0) {
      const ssize_t put = splice(direction.pipe.reader.get(), nullptr, to, nullptr, direction.queued, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (put <= 0) {
        if (put < 0 && errno != EAGAIN && errno != EINTR) return Outcome::brokenTo;
        break;
      }
      direction.queued -= static_cast<size_t>(put);
      (number == 0 ? relays_.helper.counters.bytesOut : relays_.helper.counters.bytesIn) += static_cast<uint64_t>(put);
      moved = true;
    }
  }
  if (direction.queued == 0) {
    relays_.pipes.give(std::move(direction.pipe));
    direction.pipe = {};
    if (direction.ended) {
      if (broken_ < 0) shutdown(to, SHUT_WR);  // else it was no FIN that ended it
      direction.finished = true;
    }
  }
  return moved ? Outcome::goesOn : Outcome::waits;
}

void TcpRelay::broken(int number) {
  if (over_) return;
  if (broken_ == 1 - number) return end(true);  // nobody is left who could take anything
  if (broken_ < 0) {
    broken_ = number;
    patientUntil_ = relays_.helper.loop.now() + kPatienceSeconds;
    if (relays_.draining_.empty()) relays_.setLooking(true);
    relays_.draining_.insert(this);
  }
  drain();
}

void TcpRelay::drain() {
  // What came before a RST can still be read, and a container with a connection of its own would have read it.
  Direction& direction = directions_[broken_];
  const size_t queued = direction.queued;
  Outcome outcome = move(broken_);
  if (outcome == Outcome::brokenFrom) {
    direction.ended = true;
    outcome = move(broken_);
  }
  if (outcome == Outcome::brokenTo) return end(true);
  int unacknowledged = 0;
  ioctl(sides_[1 - broken_]->socket.get(), SIOCOUTQ, &unacknowledged);
  if (direction.finished && unacknowledged == 0) return end(true);
  const int64_t now = relays_.helper.loop.now();
  if (outcome == Outcome::goesOn || direction.queued != queued || unacknowledged != unacknowledged_) patientUntil_ = now + kPatienceSeconds;
  else if (now > patientUntil_) return end(true);
  unacknowledged_ = unacknowledged;
  if (outcome == Outcome::goesOn) relays_.helper.loop.again(*sides_[broken_]);
}

void TcpRelay::end(bool reset) {
  if (over_) return;
  over_ = true;
  share_ = {};
  Helper& helper = relays_.helper;
  helper.counters.tcpActive--;
  if (reset) helper.counters.tcpReset++;
  for (auto& side : sides_) {
    if (reset) resetAndClose(side->socket);
    else side->socket.reset(-1);
    helper.loop.retire(std::move(side));
  }
  relays_.remove(this);
}

TcpRelays::TcpRelays(Helper& helper) : helper(helper) {
  looks_.relays = this;
  looks_.timer.reset(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!looks_.timer) throwErrno("timerfd_create", "relays");
  helper.loop.add(looks_.timer.get(), EPOLLIN, looks_);
}

void TcpRelays::setLooking(bool looking) {
  itimerspec times{};
  if (looking) times.it_value.tv_nsec = times.it_interval.tv_nsec = kLookNanoseconds;
  timerfd_settime(looks_.timer.get(), 0, &times, nullptr);
}

void TcpRelays::look() {
  uint64_t expirations;
  if (read(looks_.timer.get(), &expirations, sizeof expirations) < 0) return;
  const std::vector<TcpRelay*> relays(draining_.begin(), draining_.end());
  for (TcpRelay* relay : relays) relay->drain();
}

void TcpRelays::add(UniqueFd inner, UniqueFd outer, SourceShares::Share descriptors) {
  auto relay = std::make_unique<TcpRelay>(*this, std::move(inner), std::move(outer), std::move(descriptors));
  TcpRelay* const added = relay.get();
  relays_.emplace(added, std::move(relay));
  helper.counters.tcpActive++;
  added->start();
}

void TcpRelays::tick() {
  std::vector<TcpRelay*> starved;
  for (const auto& [relay, owner] : relays_) {
    if (relay->directions_[0].starved || relay->directions_[1].starved) starved.push_back(relay);
  }
  for (TcpRelay* relay : starved) {
    for (const int number : {0, 1}) relay->pump(number);
  }
}

void TcpRelays::remove(TcpRelay* relay) {
  if (draining_.erase(relay) > 0 && draining_.empty()) setLooking(false);
  const auto found = relays_.find(relay);
  helper.loop.retire(std::move(found->second));
  relays_.erase(found);
}

}  // namespace netloom::uplink
