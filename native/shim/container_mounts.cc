#include "container_mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <map>

#include "../common/system_error.h"
#include "rooted_path.h"

// <sys/mount.h> and <linux/mount.h> cannot both be included before glibc 2.37.
extern "C" int mount(const char* source, const char* target, const char* type, unsigned long flags, const void* data);

namespace netloom::shim {
namespace {

struct Propagation {
  unsigned long flag;
  bool recursive;
};

Propagation parsePropagation(std::string text) {
  if (text.empty()) return {MS_PRIVATE, true};
  const bool recursive = text[0] == 'r';
  if (recursive) text.erase(0, 1);
  if (text == "private") return {MS_PRIVATE, recursive};
  if (text == "slave") return {MS_SLAVE, recursive};
  if (text == "shared") return {MS_SHARED, recursive};
  throw SystemError(EINVAL, "mount", "propagation '" + text + "' is none of private, slave, shared");
}

/// Read-only with everything mounted below it (mount_setattr, Linux 5.12), or the top alone.
void makeReadonly(const UniqueFd& tree, const std::string& target) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) == 0) return;
  throwErrno("mount_setattr", target);
}

/// Docker's words for a tmpfs: those of mount(8), of which some are flags and the others the file system's own.
void mountTmpfs(const UniqueFd& target, const MountRequest& request) {
  static const std::map<std::string, std::pair<unsigned long, bool>> kFlags = {
      {"ro", {MS_RDONLY, true}},         {"rw", {MS_RDONLY, false}},     {"noexec", {MS_NOEXEC, true}},  {"exec", {MS_NOEXEC, false}},
      {"nosuid", {MS_NOSUID, true}},     {"suid", {MS_NOSUID, false}},   {"nodev", {MS_NODEV, true}},    {"dev", {MS_NODEV, false}},
      {"noatime", {MS_NOATIME, true}},   {"atime", {MS_NOATIME, false}}, {"sync", {MS_SYNCHRONOUS, true}}, {"async", {MS_SYNCHRONOUS, false}},
      {"relatime", {MS_RELATIME, true}}, {"strictatime", {MS_STRICTATIME, true}}};
  unsigned long flags = MS_NOEXEC | MS_NOSUID | MS_NODEV | (request.readonly ? MS_RDONLY : 0);
  std::string data;
  for (size_t at = 0; at < request.options.size();) {
    const size_t end = std::min(request.options.find(',', at), request.options.size());
    const std::string word = request.options.substr(at, end - at);
    at = end + 1;
    if (const auto flag = kFlags.find(word); flag != kFlags.end()) flags = flag->second.second ? flags | flag->second.first : flags & ~flag->second.first;
    else if (!word.empty()) data += (data.empty() ? "" : ",") + word;
  }
  if (mount("tmpfs", pathOf(target).c_str(), "tmpfs", flags, data.c_str()) < 0) throwErrno("mount tmpfs", request.target);
}

}  // namespace

std::vector<UniqueFd> takeBindSources(const std::vector<MountRequest>& mounts) {
  std::vector<UniqueFd> sources;
  for (const MountRequest& request : mounts) {
    UniqueFd& tree = sources.emplace_back();
    if (request.tmpfs) continue;
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (parsePropagation(request.propagation).recursive ? AT_RECURSIVE : 0);
    tree = UniqueFd(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, request.source.c_str(), flags)));
    if (!tree) throwErrno("open_tree", request.source);
  }
  return sources;
}

void attachMounts(int root, const std::vector<MountRequest>& mounts, const std::vector<UniqueFd>& sources) {
  for (size_t i = 0; i < mounts.size(); i++) {
    const MountRequest& request = mounts[i];
    if (request.tmpfs) {
      mountTmpfs(openInRoot(root, request.target, Missing::makeDirectory), request);
      continue;
    }
    struct stat found;
    if (fstat(sources[i].get(), &found) < 0) throwErrno("fstat", request.source);
    const UniqueFd target = openInRoot(root, request.target, S_ISDIR(found.st_mode) ? Missing::makeDirectory : Missing::makeFile);
    if (request.readonly) makeReadonly(sources[i], request.target);
    if (syscall(SYS_move_mount, sources[i].get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
      throwErrno("move_mount", request.source + " to " + request.target);
    }
    const Propagation propagation = parsePropagation(request.propagation);
    if (mount(nullptr, pathOf(sources[i]).c_str(), nullptr, propagation.flag | (propagation.recursive ? MS_REC : 0), nullptr) < 0) {
      throwErrno("mount propagation", request.target);
    }
  }
}

}  // namespace netloom::shim
