// Which user a process runs as.
#pragma once

#include <string>

namespace netloom::shim {

struct IdentityFailure {
  int error = 0;
  std::string text;
};

/// Gives up the caller's ids for those of "UID[:GID]" or "name[:group]", looked up in the sandbox's own /etc. Without a
/// group it is the user's own, with the user's further groups (as `docker run --user`).
IdentityFailure becomeUser(const std::string& user);

}  // namespace netloom::shim
