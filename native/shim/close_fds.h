// Descriptors that a process must not hold on to.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

namespace netloom::shim {

/// Closes `first` and all above. Inherited ones, too, that nobody marked close-on-exec: a pipe of some ancestor, held
/// open here, would keep its reader waiting for ever.
inline void closeFrom(unsigned first) {
  if (syscall(SYS_close_range, first, ~0u, 0) == 0) return;
  for (long fd = sysconf(_SC_OPEN_MAX); fd >= static_cast<long>(first); fd--) close(static_cast<int>(fd));  // before Linux 5.9
}

}  // namespace netloom::shim
