#include "rooted_path.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <deque>
#include <vector>

#include "../common/system_error.h"

namespace netloom::shim {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel's MAXSYMLINKS

void pushFront(std::deque<std::string>& pending, const std::string& path) {
  size_t end = path.size();
  for (;;) {
    const size_t slash = end == 0 ? std::string::npos : path.rfind('/', end - 1);
    const size_t from = slash == std::string::npos ? 0 : slash + 1;
    if (from < end) pending.push_front(path.substr(from, end - from));
    if (slash == std::string::npos) return;
    end = slash;
  }
}

std::string targetOf(int link, const std::string& name) {
  char target[PATH_MAX];
  const ssize_t length = readlinkat(link, "", target, sizeof target);
  if (length < 0) throwErrno("readlink", name);
  return std::string(target, static_cast<size_t>(length));
}

UniqueFd openStep(int directory, const std::string& name) {
  return UniqueFd(openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

}  // namespace

UniqueFd openInRoot(int root, const std::string& path, Missing missing) {
  std::vector<UniqueFd> parents;  // from the root down to where we are: ".." goes back in it, so never above the root
  parents.emplace_back(fcntl(root, F_DUPFD_CLOEXEC, 0));
  if (!parents.back()) throwErrno("fcntl F_DUPFD", path);
  std::deque<std::string> pending;
  pushFront(pending, path);
  int links = 0;
  while (!pending.empty()) {
    const std::string name = pending.front();
    pending.pop_front();
    if (name == ".") continue;
    if (name == "..") {
      if (parents.size() > 1) parents.pop_back();
      continue;
    }
    const int here = parents.back().get();
    UniqueFd step = openStep(here, name);
    if (!step && errno == ENOENT && missing != Missing::refuse) {
      const bool file = pending.empty() && missing == Missing::makeFile;
      if (file) {
        const UniqueFd made(openat(here, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!made) throwErrno("open", path);
      } else if (mkdirat(here, name.c_str(), 0755) < 0) {
        throwErrno("mkdir", path);
      }
      step = openStep(here, name);
    }
    if (!step) throwErrno("open", path);
    struct stat found;
    if (fstat(step.get(), &found) < 0) throwErrno("fstat", path);
    if (!S_ISLNK(found.st_mode)) {
      parents.push_back(std::move(step));
      continue;
    }
    if (++links > kMaxLinks) throw SystemError(ELOOP, "open", path);
    const std::string target = targetOf(step.get(), path);
    if (!target.empty() && target[0] == '/') parents.resize(1);
    pushFront(pending, target);
  }
  struct stat last;
  if (missing == Missing::makeDirectory && (fstat(parents.back().get(), &last) < 0 || !S_ISDIR(last.st_mode))) {
    throw SystemError(ENOTDIR, "open", path);
  }
  return std::move(parents.back());
}

}  // namespace netloom::shim
