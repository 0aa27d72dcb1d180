// Which user a process runs as.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace netloom::shim {

struct IdentityFailure {
  int error = 0;
  std::string text;
};

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string home = "/";
};

/// Who "", "UID[:GID]" or "name[:group]" is by the /etc/passwd and /etc/group of the calling process's root. Without a group
/// it is the user's own, with the user's further groups. The rules and texts are those of `docker run --user`.
IdentityFailure findIdentity(const std::string& user, Identity& identity);

/// Which capabilities (bits of linux/capability.h) root's processes have; nobody gets others by set-uid programs.
struct Capabilities {
  bool all = true;
  uint64_t mask = 0;
};

/// Gives up the caller's ids and capabilities for these. `user` is for the message.
IdentityFailure becomeUser(const std::string& user, const Identity& identity, const Capabilities& capabilities);

}  // namespace netloom::shim
