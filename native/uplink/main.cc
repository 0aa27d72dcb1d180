// netloom-uplink: the way out of an ordinary user's emulated world. See README.md.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "../common/system_error.h"
#include "control.h"
#include "inside.h"

namespace netloom::uplink {
namespace {

constexpr int kUsageStatus = 2;

/// As many descriptors as this user may have.
void raiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int start(const std::string& mode) {
  signal(SIGPIPE, SIG_IGN);  // splice to a closed socket
  signal(SIGINT, SIG_IGN);   // Ctrl-C at the owner's terminal is the owner's; its end shows on the sockets
  raiseDescriptorLimit();
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
