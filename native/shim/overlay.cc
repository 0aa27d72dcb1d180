#include "overlay.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "../common/system_error.h"
#include "rooted_path.h"

namespace netloom::shim {

UpperLayer openUpper(int directory) {
  UpperLayer layer;
  const struct {
    const char* name;
    UniqueFd& fd;
  } parts[] = {{"upper", layer.upper}, {"work", layer.work}};
  for (const auto& part : parts) {
    if (mkdirat(directory, part.name, 0755) < 0 && errno != EEXIST) throwErrno("mkdir", part.name);
    part.fd = UniqueFd(openat(directory, part.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!part.fd) throwErrno("open", part.name);
  }
  return layer;
}

int mountOverlay(const std::vector<int>& lower, const UpperLayer* upper, const std::string& target, bool userNamespace) {
  // Named by descriptor: short (all options have to fit into 4,096 bytes), and nothing in a path needs an escape.
  std::string options = "lowerdir=";
  for (size_t i = 0; i < lower.size(); i++) options += (i ? ":/proc/self/fd/" : "/proc/self/fd/") + std::to_string(lower[i]);
  if (upper) options += ",upperdir=" + pathOf(upper->upper) + ",workdir=" + pathOf(upper->work);
  // In a user namespace overlayfs may keep its own attributes only under user.* names (Linux 5.11).
  if (userNamespace) options += ",userxattr";
  if (options.size() >= 4096) return E2BIG;
  // Devices that someone with CAP_MKNOD makes in the sandbox are of no use; those of /dev are.
  return mount("overlay", target.c_str(), "overlay", MS_NODEV, options.c_str()) == 0 ? 0 : errno;
}

}  // namespace netloom::shim
