// Where the processes of a sandbox stand: on the host's root in the shim's own mount namespace, or on a root of their own.
#pragma once

#include <string>

#include "../common/unique_fd.h"

namespace netloom::shim {

struct Ground {
  bool ownRoot = false;
  bool privileged = false;
  UniqueFd mountNamespace;  ///< with a root of their own, as the next two
  UniqueFd root;            ///< O_PATH
  UniqueFd terminals;       ///< /dev/pts
};

/// In a child of the shim: steps on it. The first process of the PID namespace also mounts /proc there, for all. Returns a
/// warning, or "". Throws SystemError.
std::string enterGround(const Ground& ground, bool isFirst);

}  // namespace netloom::shim
