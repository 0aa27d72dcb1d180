// The sandbox's cgroups: only there while somebody asked for limits, or for a pause (Documentation/admin-guide/cgroup-v2.rst).
#pragma once

#include <string>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::shim {

struct Limits {
  int64_t memory = -1;    ///< bytes
  int64_t cpuQuota = -1;  ///< us of CPU time in each 100 ms
  int64_t pids = -1;
};

class Cgroup {
 public:
  Cgroup() = default;
  ~Cgroup();  ///< removes them; no process may be left in them
  Cgroup(const Cgroup&) = delete;

  /// Makes cgroups with these limits, in the unified hierarchy or, where a controller is mounted as in version 1, there.
  /// Throws SystemError EPERM, ENOENT, ... saying what is missing.
  void limit(const Limits& limits);
  /// `cgroup.procs` files for new processes to join.
  std::vector<int> joinFiles() const;

  /// Stops all of our descendants where they stand: by a freezer, or else with SIGSTOP.
  void freeze();
  void thaw();
  bool frozen() const { return freezer_ != Freezer::none; }

  /// Bytes in use as Docker counts them, without the file cache that could go at once; -1 without a limit on memory.
  int64_t memory() const;
  const Limits& limits() const { return limits_; }

 private:
  enum class Freezer { none, unified, legacy, signal };
  struct Group {
    std::string path;
    UniqueFd join;
  };

  Group& make(const std::string& hierarchy);
  void gather(const Group& group);
  void release(const std::string& parent);
  void remove();

  std::vector<Group> groups_;
  Limits limits_;
  std::string memoryGroup_;
  bool unifiedMemory_ = false;
  bool keepsFreezer_ = false;  ///< the freezer's cgroup has limits too
  Freezer freezer_ = Freezer::none;
  size_t freezerIndex_ = 0;
};

}  // namespace netloom::shim
