#include "control.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "../common/system_error.h"
#include "outer_socket.h"

namespace netloom::uplink {
namespace {

using shim::field;
using shim::Message;

UniqueFd take(std::map<char, UniqueFd>& sockets, char letter) {
  const auto found = sockets.find(letter);
  return found == sockets.end() ? UniqueFd() : std::move(found->second);
}

/// What is left of the process's descriptors beside those that are nobody's: pipes, listeners, sockets that are made once.
/// At the kernel's own hard limit of 4,096 one container alone gets 2,560 of them: 1,280 TCP connections. `netloom doctor` reckons so, too
/// (src/cli/doctor/user-uplink-checks.ts).
size_t descriptorsForFlows() {
  constexpr size_t kOwn = 256, kLeast = 64;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return kLeast;
  return limit.rlim_cur > kOwn + kLeast ? limit.rlim_cur - kOwn : kLeast;
}

/// Whether this user's groups are in net.ipv4.ping_group_range.
bool pingSocketsAllowed() { return static_cast<bool>(openOuter(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)); }

}  // namespace

Control::Control(UniqueFd control, UniqueFd pair) : helper_(std::move(pair), descriptorsForFlows()), connection_(std::move(control)), relays_(helper_) {
  fcntl(connection_.fd(), F_SETFD, FD_CLOEXEC);
  helper_.loop.add(connection_.fd(), EPOLLIN, *this);
}

void Control::run() {
  helper_.loop.onTick([this] {
    if (!publisher_) return;
    helper_.wakeResting();
    relays_.tick();
    gate_->tick();
    udp_->tick();
    pings_->tick();
    publisher_->tick();
  });
  try {
    helper_.loop.run();
  } catch (const SystemError& error) {
    connection_.send({0, {"failed", field("text", std::string(error.syscall) + ": " + error.what() + ": " + std::strerror(error.number))}});
    throw;
  }
}

void Control::ready(uint32_t events) {
  if (events & EPOLLOUT) connection_.flush();
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    bool closed = false;
    const Message request = connection_.receive(closed);
    if (closed) return helper_.loop.stop();
    Message reply(request.number, {});
    try {
      reply.fields = answer(request);
    } catch (const SystemError& error) {
      reply.fields = {"error", field("errno", error.number), field("syscall", error.syscall), field("text", error.what())};
    }
    connection_.send(std::move(reply));
  }
  helper_.loop.modify(connection_.fd(), connection_.wantsToWrite() ? EPOLLIN | EPOLLOUT : EPOLLIN, *this);
}

std::vector<std::string> Control::answer(const Message& request) {
  if (request.word() == "start" && !publisher_) return begin(request);
  if (!publisher_) throw SystemError(EINVAL, "request", "not started");
  if (request.word() == "publish") publish(request);
  else if (request.word() == "unpublish") publisher_->unpublish(request.get("key"));
  else if (request.word() == "stats") return stats();
  else throw SystemError(EINVAL, "request", "unknown: " + std::string(request.word()));
  return {"ok"};
}

std::vector<std::string> Control::begin(const Message& request) {
  helper_.address = Address::parse(request.get("address"));
  helper_.address6 = Address::parse(request.get("address6"));
  helper_.timeouts.udpUnreplied = request.integer("udp-unreplied");
  helper_.timeouts.udpAssured = request.integer("udp-assured");
  helper_.timeouts.ping = request.integer("ping");
  std::map<char, UniqueFd> sockets = helper_.inside.open();
  const bool hasV6 = sockets.count('L') != 0;
  helper_.raw4 = take(sockets, 'r');
  helper_.raw6 = take(sockets, 'R');
  gate_ = std::make_unique<TcpGate>(helper_, relays_, take(sockets, 't'), take(sockets, 'l'), take(sockets, 'L'));
  udp_ = std::make_unique<UdpRelay>(helper_, take(sockets, 'u'), take(sockets, 'U'));
  pings_ = std::make_unique<PingRelay>(helper_, take(sockets, 'i'), take(sockets, 'I'));
  publisher_ = std::make_unique<Publisher>(helper_, relays_, *udp_);
  std::vector<std::string> reply{"ok"};
  if (!pingSocketsAllowed()) reply.push_back(field("missing", "ping"));
  if (!hasV6) reply.push_back(field("missing", "ipv6"));
  return reply;
}

void Control::publish(const Message& request) {
  const Endpoint from{Address::parse(request.get("address")), static_cast<uint16_t>(request.integer("port"))};
  const Endpoint target{Address::parse(request.get("target")), static_cast<uint16_t>(request.integer("target-port"))};
  publisher_->publish(request.get("key"), request.get("protocol") == "tcp", from, target);
}

std::vector<std::string> Control::stats() const {
  const Counters& c = helper_.counters;
  const std::pair<const char*, uint64_t> all[] = {
      {"tcpOpened", c.tcpOpened},   {"tcpRefused", c.tcpRefused}, {"tcpUnreachable", c.tcpUnreachable}, {"tcpDropped", c.tcpDropped},
      {"tcpReset", c.tcpReset},     {"tcpActive", c.tcpActive},   {"tcpAccepted", c.tcpAccepted},       {"udpFlows", c.udpFlows},
      {"udpActive", c.udpActive},   {"udpOut", c.udpOut},         {"udpIn", c.udpIn},                   {"udpDropped", c.udpDropped},
      {"pings", c.pings},           {"pingReplies", c.pingReplies}, {"icmpErrors", c.icmpErrors},       {"bytesOut", c.bytesOut},
      {"bytesIn", c.bytesIn}};
  std::vector<std::string> fields{"ok"};
  for (const auto& [name, value] : all) fields.push_back(field(name, static_cast<int64_t>(value)));
  return fields;
}

}  // namespace netloom::uplink
