#include "container_root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "../common/fd_passing.h"
#include "../common/system_error.h"
#include "container_devices.h"
#include "container_mounts.h"
#include "kernel_files.h"
#include "root_layers.h"
#include "rooted_path.h"

namespace netloom::shim {
namespace {

constexpr size_t kMaxReport = 64 * 1024;
constexpr char kDone = 'd', kFailed = 'f';

/// Makes the tree at `path` the root of this mount namespace; nothing of the old one can be reached afterwards.
void enterRoot(const std::string& path) {
  if (chdir(path.c_str()) < 0) throwErrno("chdir", path);
  // Both names are the same directory: the old root is stacked on the new one, from where it is taken at once.
  if (syscall(SYS_pivot_root, ".", ".") < 0) throwErrno("pivot_root", path);
  if (umount2(".", MNT_DETACH) < 0) throwErrno("umount2", "the host's root");
  if (chdir("/") < 0) throwErrno("chdir", "/");
}

/// In the child.
ContainerRoot build(const RootOptions& options) {
  ContainerRoot built;
  umask(0);
  if (unshare(CLONE_NEWNS) < 0) throwErrno("unshare CLONE_NEWNS", "the sandbox's mounts");
  built.mountNamespace = UniqueFd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!built.mountNamespace) throwErrno("open", "/proc/self/ns/mnt");
  // Taken before propagation is cut: one that asks for it must still be of the host's peer group.
  std::vector<UniqueFd> sources = takeBindSources(options.mounts);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) throwErrno("mount MS_PRIVATE", "/");

  const std::string path = mountLayers(options, built.warnings);
  UniqueFd root(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) throwErrno("open", path);
  mountSystemFiles(root.get(), options.privileged, options.userNamespace, built.warnings);
  mountDevices(root.get(), options.privileged, built.warnings);
  attachMounts(root.get(), options.mounts, sources);
  built.terminals = openInRoot(root.get(), "/dev/pts");
  enterRoot(path);
  if (options.readonly && mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) < 0) throwErrno("mount MS_RDONLY", "/");
  built.root = UniqueFd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return built;
}

[[noreturn]] void buildAndReport(const RootOptions& options, const UniqueFd& report) {
  try {
    const ContainerRoot built = build(options);
    std::string text(1, kDone);
    for (const std::string& warning : built.warnings) text += warning + "\n";
    const int fds[] = {built.mountNamespace.get(), built.root.get(), built.terminals.get()};
    sendWithFds(report.get(), text.data(), text.size(), fds, 3);
  } catch (const SystemError& error) {
    const std::string text = kFailed + std::to_string(error.number) + " " + error.syscall + "\n" + error.what();
    send(report.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  _exit(0);
}

[[noreturn]] void throwReported(const std::string& text) {
  const size_t space = text.find(' '), line = text.find('\n');
  // A SystemError's call is a literal; this one lives as long as the shim, which ends of it.
  static std::string call;
  call = text.substr(space + 1, line - space - 1);
  throw SystemError(std::atoi(text.c_str() + 1), call.c_str(), text.substr(line + 1));
}

}  // namespace

ContainerRoot buildRoot(const RootOptions& options) {
  auto [ours, theirs] = seqpacketPair();
  const pid_t pid = fork();
  if (pid < 0) throwErrno("fork", "the sandbox's root");
  if (pid == 0) {
    ours.reset(-1);
    buildAndReport(options, theirs);
  }
  theirs.reset(-1);
  ReceivedMessage report = receiveWithFds(ours.get(), kMaxReport, -1);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  const std::string text(report.data.begin(), report.data.end());
  if (text.empty()) throw SystemError(EIO, "fork", "the process that makes the sandbox's root was killed");
  if (text[0] == kFailed) throwReported(text);
  ContainerRoot built;
  built.mountNamespace = std::move(report.fds.at(0));
  built.root = std::move(report.fds.at(1));
  built.terminals = std::move(report.fds.at(2));
  for (size_t at = 1; at < text.size();) {
    const size_t end = text.find('\n', at);
    built.warnings.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return built;
}

}  // namespace netloom::shim
