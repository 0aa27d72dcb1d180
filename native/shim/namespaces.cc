#include "namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "../common/system_error.h"
#include "../common/unique_fd.h"

namespace netloom::shim {
namespace {

int kindsOf(const NamespaceOptions& options) {
  return CLONE_NEWUTS | CLONE_NEWIPC | (options.network == NetworkNamespace::own ? CLONE_NEWNET : 0) | (options.ownMounts ? CLONE_NEWNS : 0);
}

void writeWhole(const char* path, const std::string& text) {
  UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
  if (!fd) throwErrno("open", path);
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throwErrno("write", path);
}

/// The first integer in a file; `fallback` when it cannot be read.
long readInteger(const char* path, long fallback) {
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  char text[32] = {};
  if (!fd || read(fd.get(), text, sizeof text - 1) <= 0) return fallback;
  return std::strtol(text, nullptr, 10);
}

/// Why the kernel may have refused a user namespace, in words that say what to change.
[[noreturn]] void throwRefusal(int error, const char* syscall) {
  std::string advice = "a seccomp filter or a container runtime may forbid it; run as root instead";
  if (readInteger("/proc/sys/user/max_user_namespaces", 1) == 0) {
    advice = "user.max_user_namespaces is 0: set it with `sysctl -w user.max_user_namespaces=10000`, or run as root";
  } else if (readInteger("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0) {
    advice = "kernel.unprivileged_userns_clone is 0: set it with `sysctl -w kernel.unprivileged_userns_clone=1`, or run as root";
  } else if (readInteger("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1) {
    advice = "AppArmor restricts it: set `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, add a profile, or run as root";
  } else if (error == ENOSPC) {
    advice = "a limit is reached: see the max_*_namespaces files in /proc/sys/user, and how many are in use (lsns)";
  }
  throw SystemError(error, syscall, "a user namespace was refused: " + advice);
}

void enterUserNamespace(int kinds) {
  // Read first: inside, until the maps are written, every id reads as the overflow id.
  const std::string uid = std::to_string(geteuid());
  const std::string gid = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER) < 0) throwRefusal(errno, "unshare CLONE_NEWUSER");
  writeWhole("/proc/self/setgroups", "deny");  // user_namespaces(7): the condition for mapping one's own gid
  try {
    writeWhole("/proc/self/uid_map", "0 " + uid + " 1");
  } catch (const SystemError& error) {
    if (uid != "0" || error.number != EPERM) throw;
    throw SystemError(EPERM, error.syscall,  // since Linux 5.12, mapping the host's root takes CAP_SETFCAP
                      "a user namespace for a root that lacks capabilities: give it CAP_SYS_ADMIN (in a container: --privileged), "
                      "or run as an ordinary user");
  }
  writeWhole("/proc/self/gid_map", "0 " + gid + " 1");
  if (unshare(kinds) < 0) throwRefusal(errno, "unshare");
}

/// Of a process that is in another sandbox. Without CAP_SYS_ADMIN here it is entered through its user namespace, which
/// whoever made it may enter. Returns whether that was needed.
bool joinNetwork(const NamespaceOptions& options) {
  const std::string process = "/proc/" + std::to_string(options.networkOf) + "/ns/";
  const UniqueFd network(open((process + "net").c_str(), O_RDONLY | O_CLOEXEC));
  if (!network) throwErrno("open", process + "net");
  if (setns(network.get(), CLONE_NEWNET) == 0) return false;
  if (errno != EPERM || options.user == UserNamespace::never) throwErrno("setns", process + "net");
  const UniqueFd user(open((process + "user").c_str(), O_RDONLY | O_CLOEXEC));
  if (!user) throwErrno("open", process + "user");
  if (setns(user.get(), CLONE_NEWUSER) < 0) throwErrno("setns", process + "user");
  if (setns(network.get(), CLONE_NEWNET) < 0) throwErrno("setns", process + "net");
  return true;
}

void bringUpLoopback() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) throwErrno("socket", "AF_INET");
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (ioctl(fd.get(), SIOCGIFFLAGS, &request) < 0) throwErrno("ioctl SIOCGIFFLAGS", "lo");
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) < 0) throwErrno("ioctl SIOCSIFFLAGS", "lo");
}

}  // namespace

bool enterNamespaces(const NamespaceOptions& options, std::vector<std::string>& warnings) {
  const int kinds = kindsOf(options);
  const bool joined = options.network == NetworkNamespace::joined;
  bool user = false;
  if (joined && joinNetwork(options)) {
    user = true;
    if (unshare(kinds) < 0) throwRefusal(errno, "unshare");
  } else {
    user = options.user == UserNamespace::always;
    if (!user && unshare(kinds) < 0) {
      if (options.user == UserNamespace::never || errno != EPERM) throwErrno("unshare", "the sandbox's namespaces");
      user = true;
    }
    if (user) enterUserNamespace(kinds);
  }
  if (options.network == NetworkNamespace::own) bringUpLoopback();
  if (!options.ownMounts) return user;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) throwErrno("mount MS_PRIVATE", "/");
  if (mount("sysfs", "/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) {
    warnings.push_back("/sys shows the host's devices: a private one was refused (" + std::string(std::strerror(errno)) + ")");
  }
  return user;
}

void makeProcessNamespace() {
  if (unshare(CLONE_NEWPID) < 0) throwErrno("unshare", "the sandbox's PID namespace");
}

std::string mountProc() {
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0) return "";
  return "/proc shows the host's processes: a private one was refused (" + std::string(std::strerror(errno)) + ")";
}

}  // namespace netloom::shim
