// The /dev of a sandbox.
#pragma once

#include <string>
#include <vector>

namespace netloom::shim {

/// Mounts it below `root`, with the devices that Docker gives every container, and a /dev/pts, /dev/shm and /dev/mqueue that
/// nobody else has; with `all`, the host's other devices too. Adds to `warnings` what was refused. Throws SystemError.
void mountDevices(int root, bool all, std::vector<std::string>& warnings);

/// In the sandbox: makes the terminal /dev/pts/NUMBER its console.
void bindConsole(int number);

}  // namespace netloom::shim
