#include "inside.h"

#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <cctype>
#include <cstring>

#include "../common/fd_passing.h"
#include "../common/tap.h"
#include "address.h"

namespace netloom::uplink {
namespace {

constexpr int kSpareSockets = 32;
constexpr int kBacklog = 4096;
constexpr int kUdpBuffer = 4 << 20;
constexpr int kAnswerTimeoutMs = 5000;

// The C library's headers lack them, the kernel's (linux/icmp.h, linux/in6.h) contradict the C library's.
#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif
#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR 74
#define IPV6_RECVORIGDSTADDR IPV6_ORIGDSTADDR
#endif

void setInt(int fd, int level, int option, int value, const char* name) {
  if (setsockopt(fd, level, option, &value, sizeof value) < 0) throwErrno("setsockopt", name);
}

UniqueFd makeSocket(int family, int type, int protocol, const char* what) {
  UniqueFd fd(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!fd) throwErrno("socket", what);
  return fd;
}

void makeTransparent(int fd, bool v6) {
  if (v6) {
    setInt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1, "IPV6_TRANSPARENT");
    setInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
  } else {
    setInt(fd, IPPROTO_IP, IP_TRANSPARENT, 1, "IP_TRANSPARENT");
  }
}

void bindAnywhere(int fd, bool v6) {
  const SocketName name({v6 ? Address::parse("::") : Address::parse("0.0.0.0"), kRedirectPort});
  if (bind(fd, name.get(), name.length) < 0) throwErrno("bind", "the redirect port");
}

UniqueFd tcpListener(bool v6) {
  UniqueFd fd = makeSocket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0, "TCP listener");
  makeTransparent(fd.get(), v6);
  bindAnywhere(fd.get(), v6);
  if (listen(fd.get(), kBacklog) < 0) throwErrno("listen", "TCP listener");
  return fd;
}

UniqueFd udpReceiver(bool v6) {
  UniqueFd fd = makeSocket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0, "UDP receiver");
  makeTransparent(fd.get(), v6);
  setInt(fd.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVORIGDSTADDR : IP_RECVORIGDSTADDR, 1, "RECVORIGDSTADDR");
  setInt(fd.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL, 1, "RECVTTL");
  // All flows share it. Beyond net.core.rmem_max only where the namespace's root may; else as much as there is.
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kUdpBuffer, sizeof kUdpBuffer) < 0) {
    setInt(fd.get(), SOL_SOCKET, SO_RCVBUF, kUdpBuffer, "SO_RCVBUF");
  }
  bindAnywhere(fd.get(), v6);
  return fd;
}

UniqueFd icmpReceiver(bool v6) {
  UniqueFd fd = makeSocket(v6 ? AF_INET6 : AF_INET, SOCK_RAW, v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}, "ICMP receiver");
  if (v6) {
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REQUEST, &filter);
    if (setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) < 0) throwErrno("setsockopt", "ICMP6_FILTER");
    setInt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
    setInt(fd.get(), IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1, "IPV6_RECVHOPLIMIT");
  } else {
    setInt(fd.get(), SOL_RAW, ICMP_FILTER, static_cast<int>(~(1u << ICMP_ECHO)), "ICMP_FILTER");
  }
  return fd;
}

UniqueFd rawSender(bool v6) {
  UniqueFd fd = makeSocket(v6 ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_RAW, "raw sender");
  const int none = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &none, sizeof none);  // it only sends
  // A burst of answers waits here for the TAP's reader.
  if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kUdpBuffer, sizeof kUdpBuffer) < 0) {
    setInt(fd.get(), SOL_SOCKET, SO_SNDBUF, kUdpBuffer, "SO_SNDBUF");
  }
  return fd;
}

void openAll(std::string& letters, std::vector<UniqueFd>& fds) {
  const auto add = [&](char letter, UniqueFd fd) {
    letters.push_back(letter);
    fds.push_back(std::move(fd));
  };
  TapOptions options;
  options.name = kTunName;
  options.tun = true;
  add(OnceMade::tun, openTap(options).fd);
  const bool hasV6 = static_cast<bool>(UniqueFd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  for (const bool v6 : {false, true}) {
    if (v6 && !hasV6) break;
    const auto letter = [&](OnceMade kind) { return v6 ? static_cast<char>(std::toupper(kind)) : static_cast<char>(kind); };
    add(letter(OnceMade::tcp), tcpListener(v6));
    add(letter(OnceMade::udp), udpReceiver(v6));
    add(letter(OnceMade::icmp), icmpReceiver(v6));
    add(letter(OnceMade::raw), rawSender(v6));
  }
}

void answer(int pair, char letter) {
  std::string letters;
  std::vector<UniqueFd> fds;
  try {
    if (letter == '4' || letter == '6') {
      for (int i = 0; i < kSpareSockets; i++) {
        UniqueFd fd = makeSocket(letter == '6' ? AF_INET6 : AF_INET, SOCK_STREAM, 0, "TCP socket");
        makeTransparent(fd.get(), letter == '6');
        letters.push_back(letter);
        fds.push_back(std::move(fd));
      }
    } else {
      openAll(letters, fds);
    }
  } catch (const SystemError& error) {
    // A digit more than a letter can be: "!ERRNO what".
    const std::string text = "!" + std::to_string(error.number) + " " + error.syscall + " " + error.what();
    sendWithFds(pair, text.data(), text.size(), nullptr, 0);
    return;
  }
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  sendWithFds(pair, letters.data(), letters.size(), numbers.data(), numbers.size());
}

}  // namespace

void serveInside(int pair) {
  for (;;) {
    const ReceivedMessage request = receiveWithFds(pair, 16, -1);
    if (request.data.empty()) return;
    answer(pair, static_cast<char>(request.data[0]));
  }
}

std::vector<UniqueFd> InsideSockets::ask(char letter, std::string& letters) {
  sendWithFds(pair_.get(), &letter, 1, nullptr, 0);
  ReceivedMessage reply = receiveWithFds(pair_.get(), 512, kAnswerTimeoutMs);
  letters.assign(reply.data.begin(), reply.data.end());
  if (letters.empty()) throw SystemError(EPIPE, "recvmsg", "the helper's process inside has ended");
  if (letters[0] == '!') {
    throw SystemError(std::stoi(letters.substr(1)), "inside", letters.substr(letters.find(' ') + 1));
  }
  return std::move(reply.fds);
}

std::map<char, UniqueFd> InsideSockets::open() {
  std::string letters;
  std::vector<UniqueFd> fds = ask('*', letters);
  std::map<char, UniqueFd> found;
  for (size_t i = 0; i < fds.size() && i < letters.size(); i++) found[letters[i]] = std::move(fds[i]);
  return found;
}

UniqueFd InsideSockets::tcpSocket(int family) {
  std::vector<UniqueFd>& spare = spare_[family == AF_INET6];
  std::string letters;
  if (spare.empty()) spare = ask(family == AF_INET6 ? '6' : '4', letters);
  UniqueFd fd = std::move(spare.back());
  spare.pop_back();
  return fd;
}

}  // namespace netloom::uplink
