#include "init.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "../common/system_error.h"
#include "../common/unique_fd.h"
#include "close_fds.h"

namespace netloom::shim {
namespace {

constexpr char kFailed = '!';  // in front of what goes through the pipe

[[noreturn]] void buryOrphans() {
  sigset_t childEnded;
  sigemptyset(&childEnded);
  sigaddset(&childEnded, SIGCHLD);
  // Blocked, so that one which comes between waitpid and sigwaitinfo stays pending.
  sigprocmask(SIG_SETMASK, &childEnded, nullptr);
  for (;;) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    sigwaitinfo(&childEnded, nullptr);
  }
}

}  // namespace

pid_t startInit(const Ground& ground, std::string& warning) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) throwErrno("pipe2", "init");
  UniqueFd reader(ends[0]), writer(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) throwErrno("fork", "init");
  if (pid == 0) {
    for (int signal = 1; signal < NSIG; signal++) ::signal(signal, SIG_DFL);
    setsid();
    prctl(PR_SET_NAME, "netloom-init");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    reader.reset(-1);
    std::string text;
    try {
      text = enterGround(ground, true) + "\n";
    } catch (const SystemError& error) {
      text = kFailed + std::string(error.syscall) + " " + error.what() + ": " + std::strerror(error.number);
    }
    // Fails when the caller died before PR_SET_PDEATHSIG: nobody else reads this pipe, and SIGPIPE is the end.
    if (write(writer.get(), text.data(), text.size()) < 0) _exit(1);
    closeFrom(0);  // above all the control socket: a copy here would keep the owner from seeing that the shim has gone
    buryOrphans();
  }
  writer.reset(-1);
  char byte;
  ssize_t got;
  while ((got = read(reader.get(), &byte, 1)) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0 && byte != '\n') warning += byte;
  }
  if (warning.empty() || warning[0] != kFailed) return pid;
  throw SystemError(EIO, "init", warning.substr(1));  // it is reaped with the others
}

}  // namespace netloom::shim
