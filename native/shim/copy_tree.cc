#include "copy_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <climits>
#include <map>

#include "../common/system_error.h"
#include "rooted_path.h"

namespace netloom::shim {
namespace {

constexpr uint64_t kMaxBytes = 8ull << 30;
constexpr const char* kTree = "root";
constexpr const char* kComplete = "root.complete";

UniqueFd openTree(int at, const char* name) {
  UniqueFd fd(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throwErrno("open", name);
  return fd;
}

void removeTree(int at, const char* name) {
  if (unlinkat(at, name, 0) == 0 || errno == ENOENT) return;
  const UniqueFd directory = openTree(at, name);
  DIR* listing = fdopendir(dup(directory.get()));
  if (!listing) throwErrno("opendir", name);
  while (const dirent* entry = readdir(listing)) {
    const std::string child = entry->d_name;
    if (child != "." && child != "..") removeTree(directory.get(), child.c_str());
  }
  closedir(listing);
  if (unlinkat(at, name, AT_REMOVEDIR) < 0) throwErrno("rmdir", name);
}

void copyAttributes(const std::string& from, const std::string& to) {
  char names[16 * 1024], value[64 * 1024];
  const ssize_t length = llistxattr(from.c_str(), names, sizeof names);
  for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(std::char_traits<char>::length(names + at)) + 1) {
    const std::string name = names + at;
    if (name.find(".overlay.") != std::string::npos) continue;  // overlayfs's own
    const ssize_t size = lgetxattr(from.c_str(), name.c_str(), value, sizeof value);
    if (size >= 0) lsetxattr(to.c_str(), name.c_str(), value, static_cast<size_t>(size), 0);
  }
}

bool isOpaque(const std::string& directory) {
  char value[2];
  return lgetxattr(directory.c_str(), "trusted.overlay.opaque", value, sizeof value) == 1 ||
         lgetxattr(directory.c_str(), "user.overlay.opaque", value, sizeof value) == 1;
}

class LayerCopy {
 public:
  explicit LayerCopy(int root) : root_(root) {}

  /// The content of one directory over that of another.
  void copyDirectory(int from, int to) {
    DIR* listing = fdopendir(openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!listing) throwErrno("opendir", "a layer");
    while (const dirent* entry = readdir(listing)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") copyEntry(from, to, name);
    }
    closedir(listing);
  }

 private:
  void copyEntry(int from, int to, const std::string& name) {
    struct stat found, there;
    if (fstatat(from, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) < 0) throwErrno("stat", name);
    const std::string source = "/proc/self/fd/" + std::to_string(from) + "/" + name;
    const std::string target = "/proc/self/fd/" + std::to_string(to) + "/" + name;
    const bool isDirectory = S_ISDIR(found.st_mode);
    const bool exists = fstatat(to, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && !(isDirectory && S_ISDIR(there.st_mode) && !isOpaque(source))) removeTree(to, name.c_str());
    if (S_ISCHR(found.st_mode) && found.st_rdev == 0) return;  // a whiteout
    if (isDirectory) {
      if (mkdirat(to, name.c_str(), 0700) < 0 && errno != EEXIST) throwErrno("mkdir", name);
      copyDirectory(openTree(from, name.c_str()).get(), openTree(to, name.c_str()).get());
    } else if (S_ISLNK(found.st_mode)) {
      char link[PATH_MAX] = {};
      if (readlinkat(from, name.c_str(), link, sizeof link - 1) < 0 || symlinkat(link, to, name.c_str()) < 0) throwErrno("symlink", name);
    } else if (S_ISREG(found.st_mode)) {
      if (found.st_nlink > 1 && linkEarlier(found, to, name)) return;
      copyFile(from, to, name, found);
    } else if (mknodat(to, name.c_str(), found.st_mode, found.st_rdev) < 0 && errno != EPERM) {
      throwErrno("mknod", name);
    }
    fchownat(to, name.c_str(), found.st_uid, found.st_gid, AT_SYMLINK_NOFOLLOW);
    if (!S_ISLNK(found.st_mode)) fchmodat(to, name.c_str(), found.st_mode & 07777, 0);  // after the owner, which clears set-uid
    copyAttributes(source, target);
    const timespec times[] = {found.st_atim, found.st_mtim};
    utimensat(to, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  }

  bool linkEarlier(const struct stat& found, int to, const std::string& name) {
    const auto [entry, isNew] = links_.emplace(std::make_pair(found.st_dev, found.st_ino), UniqueFd());
    if (!isNew && entry->second && linkat(AT_FDCWD, pathOf(entry->second).c_str(), to, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
    pendingLink_ = &entry->second;
    return false;
  }

  void copyFile(int from, int to, const std::string& name, const struct stat& found) {
    const UniqueFd source(openat(from, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    const UniqueFd target(openat(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!source || !target) throwErrno("open", name);
    if (pendingLink_) *std::exchange(pendingLink_, nullptr) = UniqueFd(openat(to, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (ioctl(target.get(), FICLONE, source.get()) == 0) return;
    bytes_ += static_cast<uint64_t>(found.st_size);
    if (bytes_ > kMaxBytes) throw SystemError(EFBIG, "copy", "an image above 8 GiB");
    ssize_t sent;
    while ((sent = sendfile(target.get(), source.get(), nullptr, 1 << 30)) > 0) {
    }
    if (sent < 0) throwErrno("sendfile", name);
  }

  const int root_;
  uint64_t bytes_ = 0;
  std::map<std::pair<dev_t, ino_t>, UniqueFd> links_;
  UniqueFd* pendingLink_ = nullptr;
};

}  // namespace

UniqueFd copyLayers(const std::vector<std::string>& layers, int base) {
  if (faccessat(base, kComplete, F_OK, 0) < 0) {
    removeTree(base, kTree);  // of a copy that did not come to its end
    if (mkdirat(base, kTree, 0755) < 0) throwErrno("mkdir", kTree);
    const UniqueFd root = openTree(base, kTree);
    for (const std::string& layer : layers) LayerCopy(root.get()).copyDirectory(openTree(AT_FDCWD, layer.c_str()).get(), root.get());
    const UniqueFd complete(openat(base, kComplete, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!complete) throwErrno("open", kComplete);
  }
  return openTree(base, kTree);
}

}  // namespace netloom::shim
