// Image layers as plain files, where overlayfs is refused.
#pragma once

#include <string>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::shim {

/// The layers, lowest first, laid over one another in `root` of `base`; what a whole earlier call has left is taken as it is.
/// Owners, modes, times, attributes and hard links are kept; data is shared where the file system can (FICLONE).
/// Throws SystemError EFBIG above 8 GiB.
UniqueFd copyLayers(const std::vector<std::string>& layers, int base);

}  // namespace netloom::shim
