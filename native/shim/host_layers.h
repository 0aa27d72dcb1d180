// The host's own root as the lower layer of a sandbox.
#pragma once

#include "container_root.h"
#include "overlay.h"

namespace netloom::shim {

/// Where a mount is prepared: a tmpfs that only this mount namespace knows.
struct Stage {
  std::string path;
  UniqueFd directory;
};

/// Mounts at `target` an overlay of the host's root and of each file system on a disk that is mounted in it; changes go to
/// below `base`. What is hidden, and what is mounted on /proc, /sys, /dev, /run or /tmp, cannot be seen.
void mountHostLayers(const RootOptions& options, const Stage& stage, int base, const std::string& target, std::vector<std::string>& warnings);

}  // namespace netloom::shim
