// One netlink conversation (netlink(7), Documentation/userspace-api/netlink/intro.rst): requests out, every answer
// back, raw. What the bytes mean is TypeScript's business (src/io/netlink).
#pragma once

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "system_error.h"
#include "unique_fd.h"

namespace netloom {

/// A netlink socket in the calling thread's network namespace, where it stays.
inline UniqueFd openNetlink(int protocol) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) throwErrno("socket", "netlink protocol " + std::to_string(protocol));
  const int on = 1;
  // All three are refinements; an older kernel without them still answers.
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);         // errors with a sentence
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);         // acks without a copy of the request
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);  // dumps filtered by the kernel
  const int receiveBuffer = 1 << 20;
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  // The kernel answers rtnetlink at once; a request that asks for no answer must not hang its caller for ever.
  const timeval limit{5, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

/// Sends `request` (one or more aligned netlink messages, at least one with NLM_F_ACK or NLM_F_DUMP, at most one dump) and
/// returns all answer messages, concatenated: complete when each message with such a flag has had its NLMSG_ERROR (an ack is
/// error 0) or NLMSG_DONE, or the first message, asking for neither, was refused: then it began a batch (nfnetlink), of which
/// nothing more is answered. Throws SystemError for a failed socket call; a refused request is an answer, not an exception.
inline std::vector<uint8_t> netlinkExchange(int fd, const uint8_t* request, size_t length) {
  std::vector<uint32_t> awaited;  // sequence numbers
  nlmsghdr first{};
  for (size_t at = 0; at + sizeof(nlmsghdr) <= length;) {
    nlmsghdr header;
    std::memcpy(&header, request + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length - at) throw SystemError(EINVAL, "send", "netlink request");
    if (at == 0) first = header;
    if ((header.nlmsg_flags & NLM_F_ACK) || (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) awaited.push_back(header.nlmsg_seq);
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (sendto(fd, request, length, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0) throwErrno("sendto", "netlink socket");

  std::vector<uint8_t> answer;
  std::vector<uint8_t> buffer(64 * 1024);  // the kernel fills at most 32 KiB of a dump, a single link with many VFs may be longer
  while (!awaited.empty()) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0) {
      if (errno == EINTR) continue;
      throwErrno("recv", "netlink socket");
    }
    if (static_cast<size_t>(got) > buffer.size()) throw SystemError(EMSGSIZE, "recv", "netlink socket");
    for (size_t at = 0; at + sizeof(nlmsghdr) <= static_cast<size_t>(got);) {
      nlmsghdr header;
      std::memcpy(&header, buffer.data() + at, sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > static_cast<size_t>(got) - at) break;
      if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
        const auto found = std::find(awaited.begin(), awaited.end(), header.nlmsg_seq);
        if (found != awaited.end()) awaited.erase(found);
        else if (header.nlmsg_seq == first.nlmsg_seq) awaited.clear();
      }
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
    answer.insert(answer.end(), buffer.data(), buffer.data() + got);
    answer.resize(NLMSG_ALIGN(answer.size()));  // the last message of a datagram may end unaligned
  }
  return answer;
}

/// A non-blocking netlink socket in the calling thread's network namespace that is told of changes: `groups` is the mask of
/// multicast groups 1 to 32 (RTMGRP_ of linux/rtnetlink.h). What comes while its queue is full is lost, silently: whoever
/// empties the queue and looks at the tables afterwards misses nothing, and an error would have libuv stop its watch.
inline UniqueFd subscribeNetlink(int protocol, uint32_t groups) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd) throwErrno("socket", "netlink protocol " + std::to_string(protocol));
  const int on = 1;
  if (setsockopt(fd.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) < 0) throwErrno("setsockopt", "NETLINK_NO_ENOBUFS");
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  own.nl_groups = groups;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) < 0) throwErrno("bind", "netlink groups " + std::to_string(groups));
  return fd;
}

/// Takes all messages off such a socket, unread; how many there were.
inline int drainNetlink(int fd) {
  char first[16];  // the rest of a message is cut off
  for (int count = 0;;) {
    if (recv(fd, first, sizeof first, MSG_DONTWAIT) >= 0) count++;
    else if (errno == EAGAIN) return count;
    else if (errno != EINTR) throwErrno("recv", "netlink socket");
  }
}

}  // namespace netloom
