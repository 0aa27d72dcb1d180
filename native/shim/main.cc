// netloom-shim: one sandbox's namespaces and processes, served to one client over a socket. See README.md.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdio>
#include <cstring>

#include "close_fds.h"
#include "shim.h"

namespace netloom::shim {
namespace {

constexpr int kUsageStatus = 2;

sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw SystemError(ENAMETOOLONG, "bind", path + ": a socket's path has at most " + std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

/// Whether some process holds the socket there; a path that is left over from a crash is not in the way. Asked with a
/// socket of another type: a real connection would push out the client that the other shim has.
bool isServed(const sockaddr_un& address) {
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EPROTOTYPE;
}

UniqueFd listenAt(const std::string& path) {
  const sockaddr_un address = addressOf(path);
  if (isServed(address)) throw SystemError(EADDRINUSE, "bind", path + ": another shim listens there");
  unlink(path.c_str());
  UniqueFd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) throwErrno("socket", "AF_UNIX");
  const mode_t before = umask(0177);  // the file has mode 0600 from its first moment
  const int bound = bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(before);
  if (bound < 0) throwErrno("bind", path);
  if (listen(listener.get(), 8) < 0) throwErrno("listen", path);
  return listener;
}

/// Leaves the process that started us; it exits with 0 here, when the socket can be connected to.
/// Returns what was our stderr.
UniqueFd detach(const UniqueFd& stateDirectory) {
  const pid_t pid = fork();
  if (pid < 0) throwErrno("fork", "the shim");
  if (pid > 0) _exit(0);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd diagnostics(openat(stateDirectory.get(), "shim.log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  UniqueFd creator(fcntl(2, F_DUPFD_CLOEXEC, 3));
  dup2(null.get(), 0);
  dup2(null.get(), 1);
  dup2(diagnostics ? diagnostics.get() : null.get(), 2);
  return creator;
}

/// The control socket is fd 3: it stays, all above is not ours.
Endpoint ownerBound() {
  constexpr int fd = 3;
  closeFrom(fd + 1);
  struct stat found;
  if (fstat(fd, &found) < 0 || !S_ISSOCK(found.st_mode)) throw SystemError(ENOTSOCK, "fstat", "control fd " + std::to_string(fd));
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  Endpoint endpoint;
  endpoint.control = UniqueFd(fd);
  return endpoint;
}

Endpoint surviving(const std::string& socketPath, const std::string& stateDirectory) {
  closeFrom(3);
  Endpoint endpoint;
  endpoint.stateDirectory = UniqueFd(open(stateDirectory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!endpoint.stateDirectory) throwErrno("open", stateDirectory);
  endpoint.listener = listenAt(socketPath);
  endpoint.socketPath = socketPath;
  endpoint.creator = detach(endpoint.stateDirectory);
  return endpoint;
}

int start(int count, char** arguments) {
  const std::string mode = count > 1 ? arguments[1] : "";
  Endpoint endpoint;
  if (mode == "--owner-bound" && count == 2) endpoint = ownerBound();
  else if (mode == "--listen" && count == 5 && std::string(arguments[3]) == "--state") endpoint = surviving(arguments[2], arguments[4]);
  else {
    std::fprintf(stderr, "usage: netloom-shim --owner-bound 3<>SOCKET | --listen SOCKET-PATH --state DIRECTORY\n");
    return kUsageStatus;
  }
  setsid();  // a Ctrl-C at the owner's terminal is the owner's to handle; we see its end on the socket
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (chdir("/") < 0) throwErrno("chdir", "/");
  Shim(std::move(endpoint)).run();
  return 0;
}

}  // namespace
}  // namespace netloom::shim

int main(int count, char** arguments) {
  try {
    return netloom::shim::start(count, arguments);
  } catch (const netloom::SystemError& error) {
    std::fprintf(stderr, "netloom-shim: %s: %s: %s\n", error.syscall, error.what(), std::strerror(error.number));
    return 1;
  }
}
