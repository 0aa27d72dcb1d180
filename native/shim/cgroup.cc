#include "cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <set>
#include <tuple>

#include "../common/system_error.h"
#include "host_mounts.h"
#include "process_tree.h"

namespace netloom::shim {
namespace {

constexpr const char* kParent = "/netloom";
constexpr int kFreezeAttempts = 2000;  // of a millisecond: a process in a system call that cannot be interrupted takes its time

bool writeText(const std::string& path, const std::string& text) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string readText(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(16 * 1024, '\0');
  const ssize_t got = file ? read(file.get(), text.data(), text.size()) : 0;
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

/// The number behind a word of a file like memory.stat; 0 without it.
int64_t valueOf(const std::string& text, const std::string& word) {
  const size_t at = ("\n" + text).find("\n" + word + " ");
  return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + word.size() + 1, nullptr, 10);
}

bool lists(const std::string& text, const std::string& word) {
  const std::string padded = " " + text.substr(0, text.find('\n')) + " ";
  return padded.find(" " + word + " ") != std::string::npos;
}

/// Removes the cgroups of shims that were killed, which could not do it themselves.
void sweep(const std::string& parent) {
  DIR* listing = opendir(parent.c_str());
  if (!listing) return;
  while (const dirent* entry = readdir(listing)) {
    const int owner = std::atoi(entry->d_name);
    if (owner > 0 && kill(owner, 0) < 0 && errno == ESRCH) rmdir((parent + "/" + entry->d_name).c_str());
  }
  closedir(listing);
}

void pauseBriefly() {
  const timespec millisecond{0, 1'000'000};
  nanosleep(&millisecond, nullptr);
}

/// Our own cgroup in a hierarchy, where processes go that leave one of ours: /proc/self/cgroup has a line `N:CONTROLLERS:PATH`.
std::string ownGroup(const std::string& hierarchy, const std::string& controllers) {
  const std::string text = "\n" + readText("/proc/self/cgroup"), mark = ":" + controllers + ":";
  const size_t at = text.find(mark);
  if (at == std::string::npos) return hierarchy;
  const size_t from = at + mark.size();
  const std::string path = text.substr(from, text.find('\n', from) - from);
  return path == "/" ? hierarchy : hierarchy + path;
}

}  // namespace

Cgroup::~Cgroup() { remove(); }

Cgroup::Group& Cgroup::make(const std::string& hierarchy) {
  const std::string parent = hierarchy + kParent, path = parent + "/" + std::to_string(getpid());
  const auto known = std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) { return group.path == path; });
  if (known != groups_.end()) return *known;
  for (int attempt = 0;; attempt++) {
    if (mkdir(parent.c_str(), 0755) < 0 && errno != EEXIST) throwErrno("mkdir", parent);
    sweep(parent);
    if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) break;
    if (errno != ENOENT || attempt == 10) throwErrno("mkdir", path);  // ENOENT: the last user of the parent has just removed it
  }
  UniqueFd join(open((path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!join) throwErrno("open", path + "/cgroup.procs");
  return groups_.emplace_back(Group{path, std::move(join)});
}

void Cgroup::limit(const Limits& limits) {
  limits_ = limits;
  const std::string unified = findMount("cgroup2");
  const std::string available = unified.empty() ? "" : readText(unified + "/cgroup.controllers");
  const auto set = [&](const char* controller, const char* file, const std::string& value, const char* legacyFile, const std::string& legacyValue) {
    const bool isUnified = lists(available, controller);
    const std::string hierarchy = isUnified ? unified : findMount("cgroup", controller);
    if (hierarchy.empty()) throw SystemError(ENOENT, "cgroup", std::string("no controller '") + controller + "' is mounted, so there is no such limit");
    if (isUnified) {
      const std::string enable = std::string("+") + controller;
      mkdir((unified + kParent).c_str(), 0755);
      for (const std::string& level : {unified, unified + kParent}) {
        if (!writeText(level + "/cgroup.subtree_control", enable)) throwErrno("cgroup", level + "/cgroup.subtree_control (" + enable + ")");
      }
    }
    const Group& group = make(hierarchy);
    if (isUnified) keepsFreezer_ = true;
    const std::string target = group.path + "/" + (isUnified ? file : legacyFile);
    if (!writeText(target, isUnified ? value : legacyValue)) throwErrno("cgroup", target);
    return std::make_pair(group.path, isUnified);
  };
  if (limits.memory >= 0) std::tie(memoryGroup_, unifiedMemory_) = set("memory", "memory.max", std::to_string(limits.memory), "memory.limit_in_bytes", std::to_string(limits.memory));
  if (limits.cpuQuota >= 0) set("cpu", "cpu.max", std::to_string(limits.cpuQuota) + " 100000", "cpu.cfs_quota_us", std::to_string(limits.cpuQuota));
  if (limits.pids >= 0) set("pids", "pids.max", std::to_string(limits.pids), "pids.max", std::to_string(limits.pids));
}

std::vector<int> Cgroup::joinFiles() const {
  std::vector<int> files;
  for (const Group& group : groups_) files.push_back(group.join.get());
  return files;
}

/// A process that forks while it is moved has its child on one side or the other: so until nobody is found outside.
void Cgroup::gather(const Group& group) {
  std::set<pid_t> inside;
  for (bool found = true; found;) {
    found = false;
    for (const pid_t pid : descendants()) {
      if (!inside.insert(pid).second) continue;
      const std::string text = std::to_string(pid);
      // ESRCH, EINVAL: it has ended meanwhile.
      found |= write(group.join.get(), text.data(), text.size()) > 0;
    }
  }
}

void Cgroup::freeze() {
  const std::string unified = findMount("cgroup2"), legacy = findMount("cgroup", "freezer");
  for (const Freezer kind : {Freezer::unified, Freezer::legacy}) {
    const std::string& hierarchy = kind == Freezer::unified ? unified : legacy;
    if (hierarchy.empty()) continue;
    try {
      const Group& group = make(hierarchy);
      freezerIndex_ = static_cast<size_t>(&group - groups_.data());
      gather(group);
      const bool isUnified = kind == Freezer::unified;
      if (!writeText(group.path + (isUnified ? "/cgroup.freeze" : "/freezer.state"), isUnified ? "1" : "FROZEN")) continue;
      freezer_ = kind;
      for (int i = 0; i < kFreezeAttempts; i++, pauseBriefly()) {
        if (isUnified ? valueOf(readText(group.path + "/cgroup.events"), "frozen") == 1 : readText(group.path + "/freezer.state") == "FROZEN\n") return;
      }
      thaw();
      throw SystemError(ETIMEDOUT, "cgroup", "a process cannot be frozen: it does not leave a system call");
    } catch (const SystemError& error) {
      if (error.number == ETIMEDOUT) throw;  // the others: not ours to write
    }
  }
  freezer_ = Freezer::signal;
  std::set<pid_t> stopped;
  for (bool found = true; found;) {
    found = false;
    for (const pid_t pid : descendants()) found |= stopped.insert(pid).second && kill(pid, SIGSTOP) == 0;
  }
}

void Cgroup::thaw() {
  const Freezer kind = freezer_;
  freezer_ = Freezer::none;
  if (kind == Freezer::none) return;
  if (kind == Freezer::signal) {
    for (const pid_t pid : descendants()) kill(pid, SIGCONT);
    return;
  }
  const bool isUnified = kind == Freezer::unified;
  const std::string path = groups_[freezerIndex_].path;
  writeText(path + (isUnified ? "/cgroup.freeze" : "/freezer.state"), isUnified ? "0" : "THAWED");
  if (isUnified && keepsFreezer_) return;
  const std::string hierarchy = path.substr(0, path.rfind(kParent));
  release(ownGroup(hierarchy, isUnified ? "" : "freezer"));
}

/// Back to where the shim is, so that a sandbox without limits has no cgroup.
void Cgroup::release(const std::string& parent) {
  const std::string path = groups_[freezerIndex_].path;
  const UniqueFd out(open((parent + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  for (int i = 0; out && i < 100; i++) {
    const std::string members = readText(path + "/cgroup.procs");
    if (members.empty()) break;
    for (size_t at = 0; at < members.size();) {
      const size_t end = members.find('\n', at);
      if (write(out.get(), members.data() + at, end - at) < 0) {
        // It has ended meanwhile.
      }
      at = end == std::string::npos ? members.size() : end + 1;
    }
  }
  if (rmdir(path.c_str()) < 0) return;
  rmdir(path.substr(0, path.rfind('/')).c_str());
  groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(freezerIndex_));
}

int64_t Cgroup::memory() const {
  if (memoryGroup_.empty()) return -1;
  const std::string used = readText(memoryGroup_ + (unifiedMemory_ ? "/memory.current" : "/memory.usage_in_bytes"));
  const int64_t cache = valueOf(readText(memoryGroup_ + "/memory.stat"), unifiedMemory_ ? "inactive_file" : "total_inactive_file");
  return std::max<int64_t>(0, std::strtoll(used.c_str(), nullptr, 10) - cache);
}

void Cgroup::remove() {
  for (const Group& group : groups_) {
    // The last of its processes was waited for, but the kernel lets go of it a moment later.
    for (int i = 0; i < 100 && rmdir(group.path.c_str()) < 0 && errno == EBUSY; i++) pauseBriefly();
    rmdir(group.path.substr(0, group.path.rfind('/')).c_str());  // fails while another sandbox has one there
  }
  groups_.clear();
}

}  // namespace netloom::shim
