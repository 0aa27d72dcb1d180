#include "process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "../common/unique_fd.h"

namespace netloom::shim {
namespace {

std::string readFile(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char part[4096];
  ssize_t got;
  while (file && (got = read(file.get(), part, sizeof part)) > 0) text.append(part, static_cast<size_t>(got));
  return text;
}

template <typename Visit>
void forEachNumber(const std::string& directory, Visit&& visit) {
  DIR* listing = opendir(directory.c_str());
  if (!listing) return;
  while (const dirent* entry = readdir(listing)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') visit(static_cast<pid_t>(std::atoi(entry->d_name)));
  }
  closedir(listing);
}

/// /proc/PID/stat from the third field on (proc(5)): the second, the name, may hold anything.
struct Stat {
  char state = 0;
  long parent = 0, threads = 0;
  unsigned long user = 0, system = 0;
  long childrenUser = 0, childrenSystem = 0;
};

bool readStat(pid_t pid, Stat& stat) {
  const std::string text = readFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t name = text.rfind(") ");
  return name != std::string::npos &&
         std::sscanf(text.c_str() + name + 2, "%c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d %ld", &stat.state, &stat.parent,
                     &stat.user, &stat.system, &stat.childrenUser, &stat.childrenSystem, &stat.threads) == 7;
}

/// By /proc/PID/task/TID/children, which costs as much as there are children.
void addChildren(pid_t parent, std::vector<pid_t>& found) {
  const std::string tasks = "/proc/" + std::to_string(parent) + "/task";
  forEachNumber(tasks, [&](pid_t task) {
    const std::string children = readFile(tasks + "/" + std::to_string(task) + "/children");
    for (char* at = const_cast<char*>(children.c_str()); *at;) {
      char* end = nullptr;
      const long child = std::strtol(at, &end, 10);
      if (end == at) break;
      found.push_back(static_cast<pid_t>(child));
      at = end + std::strspn(end, " ");
    }
  });
}

/// On a kernel without those files (CONFIG_PROC_CHILDREN): from everybody's parent.
std::vector<pid_t> descendantsByParents() {
  std::map<long, std::vector<pid_t>> children;
  forEachNumber("/proc", [&](pid_t pid) {
    Stat stat;
    if (readStat(pid, stat)) children[stat.parent].push_back(pid);
  });
  std::vector<pid_t> found = children[getpid()];
  for (size_t i = 0; i < found.size(); i++) {
    const std::vector<pid_t>& more = children[found[i]];
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

}  // namespace

std::vector<pid_t> descendants() {
  const std::string own = "/proc/self/task/" + std::to_string(getpid()) + "/children";
  if (access(own.c_str(), R_OK) < 0) return descendantsByParents();
  std::vector<pid_t> found;
  addChildren(getpid(), found);
  for (size_t i = 0; i < found.size(); i++) addChildren(found[i], found);
  return found;
}

TreeUsage usageOf(const std::vector<pid_t>& processes) {
  const uint64_t tick = 1'000'000'000ull / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  TreeUsage usage;
  rusage ended{};  // those that we have waited for, with all that they had waited for
  getrusage(RUSAGE_CHILDREN, &ended);
  for (const timeval& time : {ended.ru_utime, ended.ru_stime}) usage.cpu += static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_usec) * 1000;
  for (const pid_t pid : processes) {
    Stat stat;
    if (!readStat(pid, stat)) continue;
    usage.cpu += (stat.user + stat.system + static_cast<uint64_t>(stat.childrenUser + stat.childrenSystem)) * tick;
    usage.threads += static_cast<uint64_t>(stat.threads);
    unsigned long resident = 0, shared = 0;
    if (std::sscanf(readFile("/proc/" + std::to_string(pid) + "/statm").c_str(), "%*u %lu %lu", &resident, &shared) == 2 && resident > shared) {
      usage.memory += (resident - shared) * page;
    }
  }
  return usage;
}

}  // namespace netloom::shim
