// netloom-uplink: the way out of an ordinary user's emulated world. See README.md.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "../common/system_error.h"
#include "control.h"
#include "inside.h"

namespace netloom::uplink {
namespace {

constexpr int kUsageStatus = 2;
constexpr uint64_t kTurnNanoseconds = 100'000;

/// As many descriptors as this user may have.
void raiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// A short turn on the processor instead of a long one (sched_setattr(2), since Linux 6.12): who asks for little at a time is let in soon.
/// A burst that waits while others have their turn would overrun the receiver's buffer afterwards. Older kernels refuse or ignore it.
void askForShortTurns() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes{sizeof attributes, 0, 0, 0, 0, kTurnNanoseconds, 0, 0};
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

int start(const std::string& mode) {
  signal(SIGPIPE, SIG_IGN);  // splice to a closed socket
  signal(SIGINT, SIG_IGN);   // Ctrl-C at the owner's terminal is the owner's; its end shows on the sockets
  raiseDescriptorLimit();
  askForShortTurns();
  if (mode == "--inside") {
    serveInside(0);
    return 0;
  }
  if (mode == "--outside") {
    Control(UniqueFd(3), UniqueFd(4)).run();
    return 0;
  }
  std::fprintf(stderr, "usage: netloom-uplink --inside 0<>PAIR | --outside 3<>CONTROL 4<>PAIR\n");
  return kUsageStatus;
}

}  // namespace
}  // namespace netloom::uplink

int main(int count, char** arguments) {
  try {
    return netloom::uplink::start(count == 2 ? arguments[1] : "");
  } catch (const netloom::SystemError& error) {
    std::fprintf(stderr, "netloom-uplink: %s: %s: %s\n", error.syscall, error.what(), std::strerror(error.number));
    return 1;
  }
}
