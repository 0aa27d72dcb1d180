// Makes the sandbox's namespaces around the (single-threaded) shim itself.
#pragma once

#include <string>
#include <vector>

namespace netloom::shim {

enum class UserNamespace { automatic, always, never };

/// Moves the calling process into new network, mount, UTS and IPC namespaces; its next child is PID 1 of a new PID
/// namespace. `automatic` takes a user namespace, in which our uid is 0, only when the kernel refuses without one.
/// Brings lo up, cuts the propagation of mounts, mounts a /sys that shows the new network namespace.
/// Adds to `warnings` what was refused but can be done without. Throws SystemError, naming the setting to change.
/// Returns whether a user namespace was made.
bool enterNamespaces(UserNamespace policy, std::vector<std::string>& warnings);

/// To be called once in a process of the new PID namespace: a /proc that shows it. Returns a warning, or "".
std::string mountProc();

}  // namespace netloom::shim
