// /proc and /sys of a sandbox with its own root.
#pragma once

#include <string>
#include <vector>

namespace netloom::shim {

/// /sys of our network namespace, read-only unless `writable`, and a place for /proc. Adds to `warnings` what was refused.
void mountSystemFiles(int root, bool writable, bool userNamespace, std::vector<std::string>& warnings);

/// Once, by a process of the PID namespace, in the sandbox: /proc, with what Docker masks or makes read-only unless
/// `privileged`. Returns a warning, or "".
std::string mountProcess(bool privileged);

}  // namespace netloom::shim
