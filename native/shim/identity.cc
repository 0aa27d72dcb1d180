#include "identity.h"

#include <grp.h>
#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

namespace netloom::shim {
namespace {

bool parseId(const std::string& text, uint32_t& id) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), id);
  return !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

IdentityFailure becomeUser(const std::string& user) {
  const size_t colon = user.find(':');
  const std::string name = user.substr(0, colon);
  uid_t uid = 0;
  gid_t gid = 0;
  const bool numeric = parseId(name, uid);
  const passwd* entry = numeric ? getpwuid(uid) : getpwnam(name.c_str());
  if (!entry && !numeric) return {EINVAL, "unable to find user " + name + ": no matching entries in passwd file"};
  if (entry) {
    uid = entry->pw_uid;
    gid = entry->pw_gid;
  }
  std::vector<gid_t> groups;
  if (colon != std::string::npos) {
    const std::string groupName = user.substr(colon + 1);
    if (!parseId(groupName, gid)) {
      const group* found = getgrnam(groupName.c_str());
      if (!found) return {EINVAL, "unable to find group " + groupName + ": no matching entries in group file"};
      gid = found->gr_gid;
    }
  } else if (entry) {
    int count = 64;
    groups.resize(count);
    if (getgrouplist(entry->pw_name, gid, groups.data(), &count) < 0) count = 64;
    groups.resize(count);
  }
  // EPERM: a user namespace with one mapped id forbids setgroups; what it leaves is our own groups, which is no gain.
  if (setgroups(groups.size(), groups.data()) < 0 && errno != EPERM) return {errno, "setgroups: " + std::string(std::strerror(errno))};
  if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
    const int error = errno;
    const std::string why = error == EINVAL ? "this user namespace maps only id 0 (run as root for other users)" : std::strerror(error);
    return {error, "user " + user + " cannot be taken: " + why};
  }
  return {};
}

}  // namespace netloom::shim
