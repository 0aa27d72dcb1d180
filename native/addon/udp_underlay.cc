// Sockets of the UDP underlay: one that receives at the VTEP's port, and a fan that sends, since one socket has one source port
// and a VXLAN flow is told from others by it (RFC 7348 section 5).
#include "udp_underlay.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "../common/netns.h"
#include "convert.h"

#ifndef UDP_GRO
#define UDP_GRO 104  // Linux 5.0
#endif

namespace netloom {

namespace {

/// Super-frames wait here: the default of 208 KiB would hold three.
constexpr int kBufferBytes = 8 << 20;

void setOption(int fd, int level, int option, int value, const char* call, const std::string& object) {
  if (setsockopt(fd, level, option, &value, sizeof value) < 0) throwErrno(call, object);
}

/// The forced form passes the system's limit and needs CAP_NET_ADMIN; the other takes as much as is allowed.
void setBuffer(int fd, int forced, int polite) {
  const int bytes = kBufferBytes;
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) < 0) setsockopt(fd, SOL_SOCKET, polite, &bytes, sizeof bytes);
}

socklen_t toSocketAddress(const std::string& text, uint16_t port, sockaddr_storage& into) {
  into = {};
  auto& four = reinterpret_cast<sockaddr_in&>(into);
  if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    return sizeof four;
  }
  auto& six = reinterpret_cast<sockaddr_in6&>(into);
  if (inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) != 1) throw SystemError(EINVAL, "inet_pton", text);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  return sizeof six;
}

UniqueFd openSocket(const std::string& address, uint16_t port) {
  const std::string object = "udp " + address + " port " + std::to_string(port);
  sockaddr_storage name;
  const socklen_t length = toSocketAddress(address, port, name);
  UniqueFd fd(socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throwErrno("socket", object);
  const bool isSix = name.ss_family == AF_INET6;
  if (isSix) {
    setOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1, "setsockopt IPV6_V6ONLY", object);
    // Nobody on the way fragments: the kernel does it here, where a "packet too big" has come back, as routers would over IPv4.
    setOption(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, "setsockopt IPV6_MTU_DISCOVER", object);
  } else {
    // What the interface does not take is refused, neither fragmented here nor measured by what anybody on the way says; DF stays off.
    setOption(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_INTERFACE, "setsockopt IP_MTU_DISCOVER", object);
  }
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&name), length) < 0) throwErrno("bind", object);
  return fd;
}

UniqueFd openReceiver(const std::string& address, uint16_t port) {
  UniqueFd fd = openSocket(address, port);
  const int on = 1;
  // Without it (before Linux 5.0) every datagram comes alone.
  setsockopt(fd.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  setsockopt(fd.get(), IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  if (address.find(':') != std::string::npos) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
  setBuffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  return fd;
}

UniqueFd openSender(const std::string& address) {
  UniqueFd fd = openSocket(address, 0);
  // Nobody reads from it: what is sent there is not kept either.
  sock_filter nothing = {BPF_RET | BPF_K, 0, 0, 0};
  sock_fprog program = {1, &nothing};
  setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  setBuffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  return fd;
}

// openUdpUnderlay(options): the contract is in src/io/native-binding.ts
Napi::Value openUdpUnderlay(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    auto wanted = info[0].As<Napi::Object>();
    const std::string address = wanted.Get("address").As<Napi::String>().Utf8Value();
    const auto port = static_cast<uint16_t>(wanted.Get("port").As<Napi::Number>().Uint32Value());
    const int senders = wanted.Get("senders").As<Napi::Number>().Int32Value();
    std::vector<UniqueFd> sockets;
    inNetns(wanted.Get("netns").As<Napi::Number>().Int32Value(), [&] {
      sockets.push_back(openReceiver(address, port));
      for (int i = 0; i < senders; i++) sockets.push_back(openSender(address));
    });
    auto result = Napi::Array::New(info.Env(), sockets.size());
    for (size_t i = 0; i < sockets.size(); i++) result.Set(static_cast<uint32_t>(i), sockets[i].release());
    return result;
  });
}

}  // namespace

void registerUdpUnderlay(Napi::Env env, Napi::Object exports) {
  exports.Set("openUdpUnderlay", Napi::Function::New<openUdpUnderlay>(env, "openUdpUnderlay"));
  registerUdpUnderlayReceive(env, exports);
  registerUdpUnderlaySend(env, exports);
}

}  // namespace netloom
