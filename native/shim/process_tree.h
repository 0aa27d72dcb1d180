// The processes of a sandbox, found from outside it: they are all descendants of the shim, as orphans go to PID 1.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace netloom::shim {

/// All descendants of this process, parents before children, in the order in which they were started.
std::vector<pid_t> descendants();

struct TreeUsage {
  uint64_t cpu = 0;      ///< ns, of all that are or were; as fine as the kernel's clock ticks
  uint64_t memory = 0;   ///< bytes that are no file's
  uint64_t threads = 0;
};

TreeUsage usageOf(const std::vector<pid_t>& processes);

}  // namespace netloom::shim
