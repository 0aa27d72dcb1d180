#include "kernel_files.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "../common/system_error.h"
#include "namespaces.h"
#include "rooted_path.h"

namespace netloom::shim {
namespace {

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/// Hides what tells about, or changes, the whole machine (Docker's list): a file behind /dev/null, a directory behind an
/// empty one. What this kernel lacks needs no mask.
void mask(const char* path) {
  struct stat found;
  if (stat(path, &found) < 0) return;
  if (S_ISDIR(found.st_mode)) mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k");
  else mount("/dev/null", path, nullptr, MS_BIND, nullptr);
}

void makeReadonly(const char* path) {
  if (mount(path, path, nullptr, MS_BIND | MS_REC, nullptr) < 0) return;
  mount(path, path, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | kPlain, nullptr);
}

}  // namespace

void mountSystemFiles(int root, bool writable, bool userNamespace, std::vector<std::string>& warnings) {
  const UniqueFd processes = openInRoot(root, "/proc", Missing::makeDirectory);
  // In a user namespace the kernel allows a new /proc only where one can be seen already. The host's is covered by ours.
  if (userNamespace) mount("/proc", pathOf(processes).c_str(), nullptr, MS_BIND | MS_REC, nullptr);
  const UniqueFd system = openInRoot(root, "/sys", Missing::makeDirectory);
  if (mount("sysfs", pathOf(system).c_str(), "sysfs", kPlain | (writable ? 0 : MS_RDONLY), nullptr) == 0) return;
  // Refused where the network namespace is not our user namespace's: the host's own, then, is the right one.
  const int refused = errno;
  if (mount("/sys", pathOf(system).c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0) {
    const UniqueFd bound = openInRoot(root, "/sys");
    mount(nullptr, pathOf(bound).c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kPlain, nullptr);
  }
  warnings.push_back("/sys shows the host's devices: a private one was refused (" + std::string(std::strerror(refused)) + ")");
}

std::string mountProcess(bool privileged) {
  std::string warning = mountProc();
  if (privileged) return warning;
  for (const char* path : {"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                           "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"}) {
    mask(path);
  }
  for (const char* path : {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}) makeReadonly(path);
  return warning;
}

}  // namespace netloom::shim
