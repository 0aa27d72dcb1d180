#include "container_devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>

#include "../common/system_error.h"
#include "rooted_path.h"

namespace netloom::shim {
namespace {

/// A device node, or the host's bound over a file where nodes may not be made (user namespaces).
void placeDevice(int directory, const std::string& name, const std::string& host, mode_t mode, dev_t number) {
  if (mknodat(directory, name.c_str(), mode, number) == 0) return;
  if (errno == EEXIST) return;
  if (errno != EPERM) throwErrno("mknod", "/dev/" + name);
  const UniqueFd place(openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!place) throwErrno("open", "/dev/" + name);
  if (mount(host.c_str(), pathOf(place).c_str(), nullptr, MS_BIND, nullptr) < 0) throwErrno("mount MS_BIND", host);
}

void placeHostDevices(int directory, const std::string& host, int depth) {
  DIR* listing = opendir(host.c_str());
  if (!listing) return;
  while (const dirent* entry = readdir(listing)) {
    const std::string name = entry->d_name;
    struct stat found;
    // Those that the sandbox has its own of, in Docker too.
    if (name[0] == '.' || name == "pts" || name == "shm" || name == "fd" || name == "mqueue" || name == "console") continue;
    if (fstatat(dirfd(listing), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (S_ISCHR(found.st_mode) || S_ISBLK(found.st_mode)) {
      placeDevice(directory, name, host + "/" + name, found.st_mode, found.st_rdev);
    } else if (S_ISDIR(found.st_mode) && depth < 4) {
      if (mkdirat(directory, name.c_str(), 0755) < 0 && errno != EEXIST) continue;
      const UniqueFd below(openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (below) placeHostDevices(below.get(), host + "/" + name, depth + 1);
    }
  }
  closedir(listing);
}

/// Mounts one of the file systems below /dev on a new directory.
bool mountBelow(int devices, const char* name, const char* type, unsigned long flags, const char* data) {
  mkdirat(devices, name, 0755);
  const UniqueFd place(openat(devices, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return mount(type, pathOf(place).c_str(), type, flags, data) == 0;
}

}  // namespace

void mountDevices(int root, bool all, std::vector<std::string>& warnings) {
  const UniqueFd place = openInRoot(root, "/dev", Missing::makeDirectory);
  if (mount("tmpfs", pathOf(place).c_str(), "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k") < 0) throwErrno("mount tmpfs", "/dev");
  const UniqueFd devices = openInRoot(root, "/dev");
  const struct {
    const char* name;
    unsigned major, minor;
  } nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
  for (const auto& node : nodes) {
    placeDevice(devices.get(), node.name, std::string("/dev/") + node.name, S_IFCHR | 0666, makedev(node.major, node.minor));
  }
  // Group 5 is `tty` wherever there are groups at all; a user namespace may not map it.
  constexpr const char* kTerminals = "newinstance,ptmxmode=0666,mode=0620";
  if (!mountBelow(devices.get(), "pts", "devpts", MS_NOSUID | MS_NOEXEC, (std::string(kTerminals) + ",gid=5").c_str()) &&
      !mountBelow(devices.get(), "pts", "devpts", MS_NOSUID | MS_NOEXEC, kTerminals)) {
    throwErrno("mount devpts", "/dev/pts");
  }
  constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (!mountBelow(devices.get(), "shm", "tmpfs", kPlain, "mode=1777,size=65536k")) throwErrno("mount tmpfs", "/dev/shm");
  if (!mountBelow(devices.get(), "mqueue", "mqueue", kPlain, nullptr)) warnings.push_back("no /dev/mqueue: " + std::string(std::strerror(errno)));
  const char* links[][2] = {{"/proc/self/fd", "fd"},          {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"},
                            {"/proc/self/fd/2", "stderr"},    {"/proc/kcore", "core"},      {"pts/ptmx", "ptmx"}};
  for (const auto& link : links) {
    if (symlinkat(link[0], devices.get(), link[1]) < 0) throwErrno("symlink", std::string("/dev/") + link[1]);
  }
  if (all) placeHostDevices(devices.get(), "/dev", 0);
}

void bindConsole(int number) {
  const UniqueFd place(open("/dev/console", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0666));
  if (place) mount(("/dev/pts/" + std::to_string(number)).c_str(), "/dev/console", nullptr, MS_BIND, nullptr);
}

}  // namespace netloom::shim
