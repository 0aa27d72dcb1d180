// overlayfs (Documentation/filesystems/overlayfs.rst).
#pragma once

#include <string>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::shim {

/// The writable layer: where changes go, and overlayfs's own directory on the same file system.
struct UpperLayer {
  UniqueFd upper, work;
};

/// Makes (or finds) `upper` and `work` in `directory`. Throws SystemError.
UpperLayer openUpper(int directory);

/// Mounts at `target` the layers in `lower` (O_PATH descriptors of this mount namespace, the top one first) below `upper`,
/// which may be null: then at least two are needed. Returns 0 or errno.
int mountOverlay(const std::vector<int>& lower, const UpperLayer* upper, const std::string& target, bool userNamespace);

}  // namespace netloom::shim
