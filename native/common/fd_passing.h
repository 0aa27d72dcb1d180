// Messages with file descriptors over a Unix SOCK_SEQPACKET socket (unix(7), SCM_RIGHTS).
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "system_error.h"
#include "unique_fd.h"

namespace netloom {

constexpr size_t kMaxPassedFds = 253;  // SCM_MAX_FD, include/net/scm.h

/// A connected pair of sockets that keep message boundaries; both close-on-exec.
inline std::pair<UniqueFd, UniqueFd> seqpacketPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) throwErrno("socketpair", "AF_UNIX");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Connects to a listening seqpacket socket at `path` (at most 107 bytes).
inline UniqueFd connectSeqpacket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw SystemError(ENAMETOOLONG, "connect", path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) throwErrno("socket", path);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) throwErrno("connect", path);
  return fd;
}

/// Sends one message. The descriptors are duplicated into the message; the caller keeps its own. A message that
/// carries descriptors must have at least one byte, or a receiver could not tell it from the end of the stream.
inline void sendWithFds(int socketFd, const void* data, size_t length, const int* fds, size_t fdCount) {
  if (fdCount > kMaxPassedFds) throw SystemError(EINVAL, "sendmsg", std::to_string(fdCount) + " descriptors in one message");
  iovec part{const_cast<void*>(data), length};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPassedFds)];
  if (fdCount > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fdCount);
    std::memset(control, 0, message.msg_controllen);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fdCount);
    std::memcpy(CMSG_DATA(header), fds, sizeof(int) * fdCount);
  }
  while (sendmsg(socketFd, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) throwErrno("sendmsg", "socket fd " + std::to_string(socketFd));
  }
}

struct ReceivedMessage {
  std::vector<uint8_t> data;  ///< empty when the peer has closed
  std::vector<UniqueFd> fds;  ///< close-on-exec
};

/// Waits until a message can be read; false when `timeoutMs` (negative: for ever) has passed.
inline bool waitReadable(int fd, int timeoutMs) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t deadline = now.tv_sec * 1000LL + now.tv_nsec / 1000000 + timeoutMs;
  int left = timeoutMs;
  for (;;) {
    pollfd waited{fd, POLLIN, 0};
    const int ready = poll(&waited, 1, left);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) throwErrno("poll", "socket fd " + std::to_string(fd));
    if (timeoutMs < 0) continue;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t remaining = deadline - (now.tv_sec * 1000LL + now.tv_nsec / 1000000);
    left = remaining > 0 ? static_cast<int>(remaining) : 0;
  }
}

/// Receives one message of at most `maxBytes`. Throws SystemError: ETIMEDOUT, EMSGSIZE when the message was longer
/// (it is lost, and its descriptors are closed), or the socket's own error.
inline ReceivedMessage receiveWithFds(int socketFd, size_t maxBytes, int timeoutMs) {
  const std::string object = "socket fd " + std::to_string(socketFd);
  if (!waitReadable(socketFd, timeoutMs)) throw SystemError(ETIMEDOUT, "recvmsg", object);
  ReceivedMessage received;
  received.data.resize(maxBytes);
  iovec part{received.data.data(), maxBytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPassedFds)];
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  while ((got = recvmsg(socketFd, &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) throwErrno("recvmsg", object);
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) throw SystemError(EMSGSIZE, "recvmsg", object);
  received.data.resize(static_cast<size_t>(got));
  return received;
}

}  // namespace netloom
