// Volumes: what the user mounts into a sandbox.
#pragma once

#include <vector>

#include "container_root.h"

namespace netloom::shim {

/// For each bind, in the mount namespace's first moment, a detached copy of the mount (tree) at its source; an empty
/// descriptor for a tmpfs. Throws SystemError ENOENT, ...
std::vector<UniqueFd> takeBindSources(const std::vector<MountRequest>& mounts);

/// Puts them, and each tmpfs, in their places below `root`, in order.
void attachMounts(int root, const std::vector<MountRequest>& mounts, const std::vector<UniqueFd>& sources);

}  // namespace netloom::shim
