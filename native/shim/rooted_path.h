// Paths of a sandbox, walked from outside it: a symbolic link leads to where it would lead inside, never out.
#pragma once

#include <string>

#include "../common/unique_fd.h"

namespace netloom::shim {

/// What to do about components that are not there.
enum class Missing { refuse, makeDirectory, makeFile };

/// An O_PATH descriptor of `path` below `root` (itself O_PATH). Missing directories on the way are made with mode 0755,
/// also where a dangling link points to; the last component is made as `missing` says. Throws SystemError ENOENT,
/// ENOTDIR, ELOOP, ...
UniqueFd openInRoot(int root, const std::string& path, Missing missing = Missing::refuse);

/// A name for what an O_PATH descriptor holds, for system calls that only take paths. Needs a /proc.
inline std::string pathOf(const UniqueFd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

}  // namespace netloom::shim
