#include "identity.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

namespace netloom::shim {
namespace {

constexpr int64_t kMaxId = 0x7fffffff;

bool parseId(const std::string& text, int64_t& id) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), id);
  return !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size();
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

/// Visits the entries of a file of colon-separated fields until `visit` says true. The C library's own functions would ask
/// whatever the host's nsswitch.conf names, and load it into this process.
void forEachEntry(const char* path, const std::function<bool(const std::vector<std::string>&)>& visit) {
  FILE* file = fopen(path, "re");
  if (!file) return;
  char* line = nullptr;
  size_t capacity = 0;
  ssize_t length;
  while ((length = getline(&line, &capacity, file)) > 0) {
    if (line[length - 1] == '\n') length--;
    std::vector<std::string> fields = split(std::string(line, static_cast<size_t>(length)), ':');
    fields.resize(7);
    if (visit(fields)) break;
  }
  free(line);
  fclose(file);
}

int64_t idOf(const std::string& text) {
  int64_t id = -1;
  return parseId(text, id) ? id : -1;
}

}  // namespace

IdentityFailure findIdentity(const std::string& user, Identity& identity) {
  const size_t colon = user.find(':');
  const std::string name = user.substr(0, colon);
  const std::string groupName = colon == std::string::npos ? "" : user.substr(colon + 1);
  int64_t uid = 0, gid = 0;
  const bool numeric = parseId(name, uid);
  std::string found;
  bool exists = false;
  forEachEntry("/etc/passwd", [&](const std::vector<std::string>& entry) {
    if (!(name.empty() ? idOf(entry[2]) == 0 : entry[0] == name || (numeric && idOf(entry[2]) == uid))) return false;
    uid = idOf(entry[2]);
    gid = idOf(entry[3]);
    found = entry[0];
    identity.home = entry[5];
    return exists = true;
  });
  if (!exists && !name.empty()) {
    if (!numeric) return {EINVAL, "unable to find user " + name + ": no matching entries in passwd file"};
    if (uid < 0 || uid > kMaxId) return {EINVAL, "uids and gids must be in range 0-2147483647"};
  }
  int64_t wanted = -1;
  const bool numericGroup = parseId(groupName, wanted);
  bool groupExists = false;
  if (!groupName.empty() || exists) {
    forEachEntry("/etc/group", [&](const std::vector<std::string>& entry) {
      const int64_t id = idOf(entry[2]);
      if (groupName.empty()) {
        for (const std::string& member : split(entry[3], ',')) {
          if (member == found && id >= 0) identity.groups.push_back(static_cast<gid_t>(id));
        }
      } else if (entry[0] == groupName || (numericGroup && id == wanted)) {
        gid = id;
        return groupExists = true;
      }
      return false;
    });
  }
  if (!groupName.empty() && !groupExists) {
    if (!numericGroup) return {EINVAL, "unable to find group " + groupName + ": no matching entries in group file"};
    if (wanted < 0 || wanted > kMaxId) return {EINVAL, "uids and gids must be in range 0-2147483647"};
    gid = wanted;
  }
  identity.uid = static_cast<uid_t>(uid);
  identity.gid = static_cast<gid_t>(gid);
  // As Docker has it: who is in no other group is in its own one, which `id` then shows.
  if (identity.groups.empty()) identity.groups.push_back(identity.gid);
  return {};
}

IdentityFailure becomeUser(const std::string& user, const Identity& identity, const Capabilities& capabilities) {
  if (!capabilities.all) {
    // Not what they hold now, but what any program they execute may ever hold. EINVAL: this kernel has no further ones.
    for (int bit = 0; bit < 64; bit++) {
      if (!(capabilities.mask >> bit & 1) && prctl(PR_CAPBSET_DROP, bit) < 0 && errno == EINVAL) break;
    }
  }
  const auto& [uid, gid, groups, home] = identity;
  // EPERM: a user namespace with one mapped id forbids setgroups; what it leaves is our own groups, which is no gain.
  if (setgroups(groups.size(), groups.data()) < 0 && errno != EPERM && errno != EINVAL) {
    return {errno, "setgroups: " + std::string(std::strerror(errno))};
  }
  if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
    const int error = errno;
    const std::string why = error == EINVAL ? "this user namespace maps only id 0 (run as root for other users)" : std::strerror(error);
    return {error, "user " + user + " cannot be taken: " + why};
  }
  if (!capabilities.all) {  // of another user than root they are gone already
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    if (syscall(SYS_capget, &header, data) < 0) return {errno, "capget: " + std::string(std::strerror(errno))};
    for (int i = 0; i < 2; i++) {
      const auto part = static_cast<uint32_t>(capabilities.mask >> (32 * i));
      data[i].permitted &= part;
      data[i].effective &= part;
      data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) < 0) return {errno, "capset: " + std::string(std::strerror(errno))};
  }
  return {};
}

}  // namespace netloom::shim
