#include "private_files.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "../common/system_error.h"

namespace netloom::shim {
namespace {

/// Where the tmpfs is mounted for a moment; afterwards only the binds (and our directory fd) hold it.
std::string findStage() {
  for (const char* candidate : {"/tmp", "/run", "/mnt", "/var"}) {
    struct stat found;
    if (stat(candidate, &found) == 0 && S_ISDIR(found.st_mode)) return candidate;
  }
  throw SystemError(ENOENT, "stat", "a directory to mount a tmpfs on (/tmp, /run, /mnt or /var)");
}

void createFile(int directory, const std::string& path) {
  UniqueFd fd(openat(directory, path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) throwErrno("open", path);
  fchmod(fd.get(), 0644);  // whatever the umask is: every user of the sandbox resolves names
}

/// An overlay of /etc with empty files in the places that are missing below.
bool overlayEtc(int directory, const std::string& stage, const std::vector<std::string>& missing) {
  for (const char* name : {"upper", "work"}) {
    mkdirat(directory, name, 0755);
    fchmodat(directory, name, 0755, 0);
  }
  for (const std::string& name : missing) createFile(directory, "upper/" + name);
  const std::string options = "lowerdir=/etc,upperdir=" + stage + "/upper,workdir=" + stage + "/work";
  if (::mount("overlay", "/etc", "overlay", 0, options.c_str()) == 0) return true;
  // Inside a user namespace some kernels want the overlay's own attributes in user.* names.
  return ::mount("overlay", "/etc", "overlay", 0, (options + ",userxattr").c_str()) == 0;
}

}  // namespace

void PrivateFiles::mount(const std::vector<std::pair<std::string, std::string>>& files, std::vector<std::string>& warnings) {
  const std::string stage = findStage();
  if (::mount("netloom", stage.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=16m") < 0) {
    throwErrno("mount tmpfs", stage);
  }
  directory_ = UniqueFd(open(stage.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_) throwErrno("open", stage);

  std::vector<std::string> missing;
  for (const auto& [name, content] : files) {
    createFile(directory_.get(), name);
    write(name, content, false);
    if (access(("/etc/" + name).c_str(), F_OK) < 0) missing.push_back(name);  // follows links: a dangling one is missing
  }
  if (!missing.empty() && !overlayEtc(directory_.get(), stage, missing)) {
    warnings.push_back("no overlay of /etc for the missing " + missing.front() + " (" + std::strerror(errno) + ")");
  }
  for (const auto& [name, content] : files) {
    const std::string source = stage + "/" + name;
    const std::string target = "/etc/" + name;
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) < 0) {
      warnings.push_back(target + " is the host's: a private one was refused (" + std::strerror(errno) + ")");
    }
  }
  if (umount2(stage.c_str(), MNT_DETACH) < 0) throwErrno("umount2", stage);
}

void PrivateFiles::write(const std::string& name, std::string_view content, bool append) {
  if (!directory_) throw SystemError(ENOENT, "open", "/etc/" + name + ": this sandbox has no private files");
  UniqueFd fd(openat(directory_.get(), name.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (append ? O_APPEND : 0)));
  if (!fd) throwErrno("open", "/etc/" + name);
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t wrote = ::write(fd.get(), content.data() + done, content.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) throwErrno("write", "/etc/" + name);
    done += static_cast<size_t>(wrote);
  }
  // Cut afterwards, not before: a resolver that reads meanwhile never finds an empty file.
  if (!append && ftruncate(fd.get(), static_cast<off_t>(content.size())) < 0) throwErrno("ftruncate", "/etc/" + name);
}

}  // namespace netloom::shim
