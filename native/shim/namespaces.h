// Makes the sandbox's namespaces around the (single-threaded) shim itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace netloom::shim {

enum class UserNamespace { automatic, always, never };
enum class NetworkNamespace { own, host, joined };

struct NamespaceOptions {
  UserNamespace user = UserNamespace::automatic;
  NetworkNamespace network = NetworkNamespace::own;
  pid_t networkOf = 0;     ///< joined: the process whose network namespace it is
  bool ownMounts = true;   ///< false: the sandbox has a root of its own, and the shim stays outside
};

/// Moves the calling process into new network, UTS, IPC and perhaps mount namespaces. `automatic` takes a user namespace, in
/// which our uid is 0, only when the kernel refuses without one. Brings lo of a new network namespace up; with a mount
/// namespace, cuts the propagation of mounts and mounts a /sys that shows the network namespace. Adds to `warnings` what was
/// refused but can be done without. Throws SystemError, naming the setting to change.
/// Returns whether a user namespace was made.
bool enterNamespaces(const NamespaceOptions& options, std::vector<std::string>& warnings);

/// The next child is PID 1 of a new PID namespace.
void makeProcessNamespace();

/// To be called once in a process of the new PID namespace: a /proc that shows it. Returns a warning, or "".
std::string mountProc();

}  // namespace netloom::shim
