#include "setup_request.h"

#include <cstdlib>

#include "../common/system_error.h"

namespace netloom::shim {
namespace {

/// type, source, target, ro or rw, propagation, options: with NUL between them, which no path holds.
MountRequest parseMount(const std::string& text) {
  std::string parts[6];
  size_t at = 0;
  for (std::string& part : parts) {
    const size_t end = std::min(text.find('\0', at), text.size());
    part = text.substr(at, end - at);
    at = std::min(end + 1, text.size());
  }
  MountRequest mount{parts[0] == "tmpfs", parts[1], parts[2], parts[3] == "ro", parts[4], parts[5]};
  if (mount.target.empty() || mount.target[0] != '/') throw SystemError(EINVAL, "mount", "target '" + mount.target + "' is not absolute");
  return mount;
}

}  // namespace

NamespaceOptions namespaceOptions(const Message& request) {
  NamespaceOptions options;
  const std::string policy = request.get("userns", "auto"), network = request.get("network", "own");
  options.user = policy == "always" ? UserNamespace::always : policy == "never" ? UserNamespace::never : UserNamespace::automatic;
  options.network = network == "own" ? NetworkNamespace::own : network == "host" ? NetworkNamespace::host : NetworkNamespace::joined;
  if (options.network == NetworkNamespace::joined) options.networkOf = static_cast<pid_t>(request.integer("network"));
  options.ownMounts = !request.has("root");
  return options;
}

RootOptions rootOptions(const Message& request, bool userNamespace) {
  RootOptions options;
  options.host = request.get("root") == "host";
  options.layers = request.all("layer");
  options.directory = request.get("directory");
  options.hidden = request.all("hide");
  options.readonly = request.integer("readonly", 0);
  options.privileged = request.integer("privileged", 0);
  options.userNamespace = userNamespace;
  for (const std::string& mount : request.all("mount")) options.mounts.push_back(parseMount(mount));
  if (options.directory.empty() || options.directory[0] != '/') throw SystemError(EINVAL, "open", "the root's directory is not absolute");
  return options;
}

Capabilities parseCapabilities(const Message& request, const Capabilities& fallback) {
  if (!request.has("caps")) return fallback;
  const uint64_t mask = std::strtoull(request.get("caps").c_str(), nullptr, 16);
  return {mask == ~0ull, mask};
}

}  // namespace netloom::shim
