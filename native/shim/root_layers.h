// The layers of a sandbox's root file system.
#pragma once

#include "container_root.h"

namespace netloom::shim {

/// Mounts them in the calling process's mount namespace, which must be its own and private, and returns where. Adds to
/// `warnings` what had to be done otherwise. Throws SystemError.
std::string mountLayers(const RootOptions& options, std::vector<std::string>& warnings);

}  // namespace netloom::shim
