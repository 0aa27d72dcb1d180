// The root file system of a sandbox: an overlay of image layers (or of the host's own root) with what Docker mounts in it,
// in a mount namespace of its own. The shim itself stays outside, where it finds the host's /proc, /dev and cgroups.
#pragma once

#include <string>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::shim {

struct MountRequest {
  bool tmpfs = false;
  std::string source;       ///< of a bind, on the host
  std::string target;       ///< in the sandbox; made when it is missing
  bool readonly = false;
  std::string propagation;  ///< "", "private", "rslave", ...
  std::string options;      ///< of a tmpfs
};

struct RootOptions {
  bool host = false;                ///< the lower layer is the host's root
  std::vector<std::string> layers;  ///< else these directories, lowest first
  std::string directory;            ///< ours: `upper` and `work`
  std::vector<std::string> hidden;  ///< with `host`: what must not be seen
  bool readonly = false;
  bool privileged = false;
  bool userNamespace = false;       ///< we are in one that is not the machine's
  std::vector<MountRequest> mounts;
};

struct ContainerRoot {
  UniqueFd mountNamespace;  ///< for setns(2)
  UniqueFd root;            ///< O_PATH: to look into it from outside
  UniqueFd terminals;       ///< /dev/pts, whose `ptmx` makes terminals that the sandbox knows
  std::vector<std::string> warnings;
};

/// Builds it in a child process: what is half made when anything fails goes with that. To be called before the PID namespace
/// is made, of which the child would be PID 1. Throws SystemError.
ContainerRoot buildRoot(const RootOptions& options);

}  // namespace netloom::shim
