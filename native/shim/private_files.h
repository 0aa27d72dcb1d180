// /etc/hosts, /etc/hostname and /etc/resolv.conf of the sandbox: files of a tmpfs that only its mount namespace knows,
// bound over the host's. The kernel frees them with the namespace, however that ends.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::shim {

class PrivateFiles {
 public:
  /// Binds each (name, content) over /etc/NAME in the calling process's mount namespace. A name that the host lacks
  /// (or has as a dangling symbolic link) gets its place on an overlay of /etc, so that the host's stays as it is.
  /// Adds to `warnings` what could not be bound. Throws SystemError when no tmpfs can be mounted.
  void mount(const std::vector<std::pair<std::string, std::string>>& files, std::vector<std::string>& warnings);

  /// Rewrites in place: the file keeps its inode, which is what processes and bind mounts hold.
  /// Throws SystemError ENOENT for a name that mount() was not given.
  void write(const std::string& name, std::string_view content, bool append);

 private:
  UniqueFd directory_;
};

}  // namespace netloom::shim
