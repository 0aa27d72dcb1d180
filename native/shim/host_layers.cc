#include "host_layers.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "../common/system_error.h"
#include "host_mounts.h"
#include "rooted_path.h"

namespace netloom::shim {
namespace {

UniqueFd openDirectory(int at, const std::string& path) {
  UniqueFd fd(openat(at, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throwErrno("open", path);
  return fd;
}

UniqueFd makeDirectory(int at, const std::string& name) {
  if (mkdirat(at, name.c_str(), 0755) < 0 && errno != EEXIST) throwErrno("mkdir", name);
  return openDirectory(at, name);
}

bool isBelow(const std::string& path, const std::string& parent) {
  return parent == "/" || (path.compare(0, parent.size(), parent) == 0 && (path.size() == parent.size() || path[parent.size()] == '/'));
}

/// What the sandbox must not see, as paths without symbolic links, but for the last component: a link is hidden itself.
std::vector<std::string> hiddenPaths(const RootOptions& options) {
  std::vector<std::string> paths = {"/tmp", "/run", options.directory.substr(0, options.directory.rfind('/'))};
  paths.insert(paths.end(), options.hidden.begin(), options.hidden.end());
  // A link to somewhere in /run, as systemd-resolved makes it: mounted over it, a file would stand at the link's end.
  for (const char* name : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}) {
    struct stat found;
    if (lstat(name, &found) == 0 && S_ISLNK(found.st_mode)) paths.push_back(name);
  }
  std::vector<std::string> real;
  for (const std::string& path : paths) {
    const size_t slash = path.rfind('/');
    char parent[PATH_MAX];
    if (slash == std::string::npos || slash + 1 == path.size() || !realpath(slash ? path.substr(0, slash).c_str() : "/", parent)) continue;
    real.push_back((std::strcmp(parent, "/") == 0 ? "" : std::string(parent)) + path.substr(slash));
  }
  std::sort(real.begin(), real.end());  // a directory before what is in it
  return real;
}

/// One part of the host's tree, from a mount point downwards.
class HostPart {
 public:
  HostPart(const RootOptions& options, const Stage& stage, const std::string& path, int number)
      : options_(options), stage_(stage), path_(path), number_(std::to_string(number)), host_(openDirectory(AT_FDCWD, path)) {
    const UniqueFd mask = makeDirectory(stage.directory.get(), "mask" + number_);
    mask_ = openDirectory(mask.get(), ".");
  }

  /// A layer above the host's, of whiteouts in the places of what is hidden; the directories on the way look as below.
  void hide(const std::vector<std::string>& paths) {
    std::string last = "//";
    for (const std::string& path : paths) {
      struct stat found;
      if (path == path_ || !isBelow(path, path_) || isBelow(path, last) || lstat(path.c_str(), &found) < 0) continue;
      last = path;
      size_t at = path_ == "/" ? 1 : path_.size() + 1;
      UniqueFd here = openDirectory(mask_.get(), ".");
      for (size_t end; (end = path.find('/', at)) != std::string::npos; at = end + 1) {
        const std::string name = path.substr(at, end - at);
        if (mkdirat(here.get(), name.c_str(), 0755) == 0 && stat(path.substr(0, end).c_str(), &found) == 0) copyLook(here.get(), name, found);
        here = openDirectory(here.get(), name);
      }
      if (mknodat(here.get(), path.c_str() + at, S_IFCHR, makedev(0, 0)) < 0) throwErrno("mknod whiteout", path);
    }
  }

  /// Returns 0 or errno.
  int mountAt(const std::string& target, const UpperLayer& upper) {
    struct stat above, below;
    if (fstat(upper.upper.get(), &above) < 0 || fstat(host_.get(), &below) < 0) return errno;
    copyLook(upper.upper.get(), ".", below);
    const int direct = above.st_dev == below.st_dev ? ELOOP : mountOverlay({mask_.get(), host_.get()}, &upper, target, options_.userNamespace);
    if (direct != ELOOP) return direct;
    // An upper layer must not lie within a lower one. Within an overlay of the lower one it may.
    const UniqueFd place = makeDirectory(stage_.directory.get(), "lower" + number_);
    const std::string path = stage_.path + "/lower" + number_;
    if (const int error = mountOverlay({mask_.get(), host_.get()}, nullptr, path, options_.userNamespace)) return error;
    const UniqueFd lower = openDirectory(AT_FDCWD, path);
    return mountOverlay({lower.get()}, &upper, target, options_.userNamespace);
  }

 private:
  static void copyLook(int at, const std::string& name, const struct stat& from) {
    if (fchownat(at, name.c_str(), from.st_uid, from.st_gid, 0) < 0 && errno != EINVAL) return;  // EINVAL: an id that is not mapped
    fchmodat(at, name.c_str(), from.st_mode & 07777, 0);
  }

  const RootOptions& options_;
  const Stage& stage_;
  const std::string path_;
  const std::string number_;
  UniqueFd host_;
  UniqueFd mask_;
};

class HostLayers {
 public:
  HostLayers(const RootOptions& options, const Stage& stage, int base, std::vector<std::string>& warnings)
      : options_(options), stage_(stage), base_(base), warnings_(warnings), hidden_(hiddenPaths(options)) {}

  void mountAt(const std::string& target) {
    if (const int error = mountPart("/", target, base_)) {
      mountByDirectory(target, error);
    }
    const UniqueFd root = openDirectory(AT_FDCWD, target);
    mkdirat(root.get(), "tmp", 01777);
    mkdirat(root.get(), "run", 0755);
    for (const std::string& path : diskMounts()) {
      if (path == "/" || isHidden(path)) continue;
      const UniqueFd place = openInRoot(root.get(), path, Missing::makeDirectory);
      mountOrBind(path, pathOf(place), makeDirectory(makeDirectory(base_, "mounts").get(), flatName(path)).get());
    }
  }

 private:
  /// Changes go to `upper` and `work` in `directory`; to memory where overlayfs takes no upper layer on that file system.
  int mountPart(const std::string& path, const std::string& target, int directory) {
    HostPart part(options_, stage_, path, parts_++);
    part.hide(hidden_);
    if (part.mountAt(target, openUpper(directory)) == 0) return 0;
    HostPart again(options_, stage_, path, parts_++);
    again.hide(hidden_);
    const UniqueFd memory = makeDirectory(stage_.directory.get(), "memory" + std::to_string(parts_));
    const int error = again.mountAt(target, openUpper(memory.get()));
    if (error == 0) warnings_.push_back("what is written in " + path + " is kept in memory only: no overlay's upper layer in " + options_.directory);
    return error;
  }

  void mountOrBind(const std::string& path, const std::string& target, int directory) {
    const int error = mountPart(path, target, directory);
    if (error == 0) return;
    if (mount(path.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) < 0) throwErrno("mount MS_BIND", path);
    const UniqueFd bound = openDirectory(AT_FDCWD, target);
    mount(nullptr, pathOf(bound).c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr);
    warnings_.push_back(path + " is read-only: no overlay (" + std::strerror(error) + ")");
  }

  /// In a user namespace the kernel refuses a lower layer with mounts in it, as the host's / has; one by one its
  /// directories may do.
  void mountByDirectory(const std::string& target, int why) {
    const UniqueFd root = makeDirectory(base_, "root");
    if (mount(pathOf(root).c_str(), target.c_str(), nullptr, MS_BIND, nullptr) < 0) throw SystemError(why, "mount overlay", "/");
    const UniqueFd place = openDirectory(AT_FDCWD, target);
    DIR* listing = opendir("/");
    if (!listing) throwErrno("opendir", "/");
    while (const dirent* entry = readdir(listing)) {
      const std::string name = entry->d_name, path = "/" + name;
      struct stat found;
      if (name == "." || name == ".." || isHidden(path) || lstat(path.c_str(), &found) < 0) continue;
      char link[PATH_MAX] = {};
      if (S_ISLNK(found.st_mode) && readlink(path.c_str(), link, sizeof link - 1) > 0) symlinkat(link, place.get(), name.c_str());
      if (!S_ISDIR(found.st_mode) || access(path.c_str(), R_OK | X_OK) < 0) continue;
      makeDirectory(place.get(), name);
      mountOrBind(path, target + path, makeDirectory(makeDirectory(base_, "mounts").get(), flatName(path)).get());
    }
    closedir(listing);
  }

  bool isHidden(const std::string& path) const {
    for (const char* own : {"/proc", "/sys", "/dev"}) {
      if (isBelow(path, own)) return true;
    }
    return std::any_of(hidden_.begin(), hidden_.end(), [&](const std::string& hidden) { return isBelow(path, hidden); });
  }

  /// "/var/lib" as a file name.
  static std::string flatName(const std::string& path) {
    std::string name = path.substr(1);
    for (char& byte : name) {
      if (byte == '/') byte = '\\';
    }
    return name;
  }

  const RootOptions& options_;
  const Stage& stage_;
  const int base_;
  std::vector<std::string>& warnings_;
  const std::vector<std::string> hidden_;
  int parts_ = 0;
};

}  // namespace

void mountHostLayers(const RootOptions& options, const Stage& stage, int base, const std::string& target, std::vector<std::string>& warnings) {
  HostLayers(options, stage, base, warnings).mountAt(target);
}

}  // namespace netloom::shim
