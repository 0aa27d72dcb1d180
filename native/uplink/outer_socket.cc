#include "outer_socket.h"

#include <linux/errqueue.h>
#include <linux/types.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <cerrno>

namespace netloom::uplink {
namespace {

void set(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

}  // namespace

UniqueFd openOuter(int family, int type, int protocol) {
  UniqueFd fd(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!fd) return fd;
  if (family == AF_INET6) {
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);  // a mapped address must not lead to IPv4's loopback
    set(fd.get(), IPPROTO_IPV6, IPV6_RECVERR, 1);
    if (type == SOCK_DGRAM) set(fd.get(), IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
  } else {
    set(fd.get(), IPPROTO_IP, IP_RECVERR, 1);
    if (type == SOCK_DGRAM) set(fd.get(), IPPROTO_IP, IP_RECVTTL, 1);
  }
  return fd;
}

void setTtl(int fd, bool v6, int ttl) { set(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL, ttl); }

bool readReport(int fd, const Address& own, IcmpReport& report, uint8_t* payload, size_t capacity, size_t& sent) {
  alignas(cmsghdr) char control[512];
  iovec part{payload, capacity};
  for (;;) {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (got < 0) return false;
    sent = static_cast<size_t>(got);
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
      const bool v4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR;
      const bool v6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR;
      if (!v4 && !v6) continue;
      const auto* error = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(header));
      report.info = error->ee_info;
      report.sender = own;
      if (error->ee_origin == SO_EE_ORIGIN_ICMP || error->ee_origin == SO_EE_ORIGIN_ICMP6) {
        report.type = error->ee_type;
        report.code = error->ee_code;
        sockaddr_storage offender{};
        std::memcpy(&offender, SO_EE_OFFENDER(error), v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        if (offender.ss_family == AF_INET || offender.ss_family == AF_INET6) report.sender = Endpoint::of(offender).address;
        return true;
      }
      if (error->ee_errno == EMSGSIZE) {
        report.type = v4 ? ICMP_DEST_UNREACH : ICMP6_PACKET_TOO_BIG;
        report.code = v4 ? ICMP_FRAG_NEEDED : 0;
        return true;
      }
      report = reportOf(static_cast<int>(error->ee_errno), own, own);
      if (report.type != 0) return true;
    }
  }
}

uint8_t ttlOf(msghdr& message, uint8_t fallback) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    const bool v4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_TTL;
    const bool v6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_HOPLIMIT;
    if (!v4 && !v6) continue;
    int ttl;
    std::memcpy(&ttl, CMSG_DATA(header), sizeof ttl);
    return static_cast<uint8_t>(ttl);
  }
  return fallback;
}

}  // namespace netloom::uplink
