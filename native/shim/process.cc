#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "../common/system_error.h"
#include "container_devices.h"
#include "program.h"
#include "rooted_path.h"

namespace netloom::shim {
namespace {

struct Pipe {
  UniqueFd reader, writer;
};

Pipe makePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) throwErrno("pipe2", "a standard stream");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd openNull() {
  UniqueFd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!fd) throwErrno("open", "/dev/null");
  return fd;
}

UniqueFd duplicate(const UniqueFd& fd) {
  UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) throwErrno("fcntl F_DUPFD", "fd " + std::to_string(fd.get()));
  return copy;
}

/// The program's end of a pseudo terminal, whatever /dev/pts the mount namespace shows (Linux 4.13).
UniqueFd openPeer(int terminal) {
  UniqueFd peer(ioctl(terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!peer) throwErrno("ioctl TIOCGPTPEER", "a pseudo terminal");
  return peer;
}

/// A new pseudo terminal's master, of the /dev/pts that the process will see: its `number` has a name there.
UniqueFd openTerminal(const Ground& ground, int& number) {
  constexpr int kFlags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  UniqueFd terminal(ground.ownRoot ? openat(ground.terminals.get(), "ptmx", kFlags) : open("/dev/ptmx", kFlags));
  int locked = 0;
  if (!terminal || ioctl(terminal.get(), TIOCSPTLCK, &locked) < 0 || ioctl(terminal.get(), TIOCGPTN, &number) < 0) {
    throwErrno("open", "a pseudo terminal (/dev/ptmx)");
  }
  return terminal;
}

void setNonBlocking(const UniqueFd& fd) { fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

bool has(const std::vector<std::string>& env, const std::string& name) {
  for (const std::string& entry : env) {
    if (entry.compare(0, name.size() + 1, name + "=") == 0) return true;
  }
  return false;
}

void enter(const Ground& ground, bool isFirst, int report) {
  try {
    const std::string warning = enterGround(ground, isFirst);
    if (warning.empty()) return;
    Report message{};
    std::strncpy(message.text, warning.c_str(), sizeof message.text - 1);
    if (write(report, &message, sizeof message) < 0) _exit(126);
  } catch (const SystemError& error) {
    fail(report, error.number, std::string(error.syscall) + " " + error.what() + ": " + lowerCase(std::strerror(error.number)));
  }
}

/// Everything between fork and exec. `stdio` are the descriptors for 0, 1 and 2.
[[noreturn]] void becomeProgram(ProcessOptions& options, const Ground& ground, const int stdio[3], int terminal, int report) {
  sigset_t none;
  sigemptyset(&none);
  for (int signal = 1; signal < NSIG; signal++) ::signal(signal, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setsid();
  umask(022);
  for (const int cgroup : options.cgroups) {
    if (write(cgroup, "0", 1) < 0) fail(report, errno, "a cgroup could not be joined: " + std::string(std::strerror(errno)));
  }
  enter(ground, options.isInit, report);
  if (options.tty && ioctl(stdio[0], TIOCSCTTY, 0) < 0) fail(report, errno, "the terminal could not become the controlling one");
  if (ground.ownRoot && options.isMain && terminal >= 0) bindConsole(terminal);
  // Copied above 2 first: a descriptor that is itself 0, 1 or 2 must not be overwritten before its turn.
  int copies[3];
  for (int i = 0; i < 3; i++) copies[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3);
  for (int i = 0; i < 3; i++) {
    if (copies[i] < 0 || dup2(copies[i], i) < 0) fail(report, errno, "a standard stream could not be set");
  }
  Identity identity;
  IdentityFailure failure = findIdentity(options.user, identity);
  if (!has(options.env, "HOME")) options.env.push_back("HOME=" + identity.home);
  if (!options.user.empty() || ground.ownRoot) {
    // So that the user may open /dev/stdout again. What is not ours to give (a client's descriptor, a null) stays as it is.
    for (int i = 0; i < 3 && ground.ownRoot && identity.uid != 0; i++) {
      struct stat found;
      if (fstat(i, &found) == 0 && (S_ISFIFO(found.st_mode) || options.tty)) fchown(i, identity.uid, static_cast<gid_t>(-1));
    }
    if (!failure.error) failure = becomeUser(options.user, identity, options.capabilities);
    if (failure.error) fail(report, failure.error, failure.text);
  }
  if (chdir(options.cwd.c_str()) < 0) {
    const std::string where = ground.ownRoot ? "\") set in config.json failed: " : "\") failed: ";
    fail(report, errno, "chdir to cwd (\"" + options.cwd + where + lowerCase(std::strerror(errno)));
  }
  if (options.isInit) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // after the change of user, which clears it (prctl(2))
    pollfd reader{report, 0, 0};
    if (poll(&reader, 1, 0) > 0) _exit(126);  // the shim had died before: nobody reads the report any more
  }
  execute(options.argv, options.env, ground.ownRoot, report);
}

void makeWorkingDirectory(const Ground& ground, const std::string& path) {
  try {
    openInRoot(ground.root.get(), path, Missing::makeDirectory);
  } catch (const SystemError& error) {
    throw SystemError(error.number, "spawn", "error during container init: mkdir " + path + ": " + lowerCase(std::strerror(error.number)));
  }
}

/// Reads the child's report until its end of the pipe closes, by exec or by exit.
void readReport(const UniqueFd& reader, std::string& warning) {
  Report message;
  ssize_t got;
  while ((got = read(reader.get(), &message, sizeof message)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof message) break;
    if (message.error) throw SystemError(message.error, "spawn", message.text);
    warning = message.text;
  }
}

}  // namespace

Started startProcess(ProcessOptions options, const Ground& ground, pid_t& pid) {
  Started started;
  int terminal = -1;
  Process& process = started.process;
  UniqueFd childEnds[3];
  int stdio[3] = {-1, -1, -1};
  if (options.tty) {
    process.terminal = openTerminal(ground, terminal);
    const winsize size{options.rows, options.columns, 0, 0};
    ioctl(process.terminal.get(), TIOCSWINSZ, &size);
    childEnds[0] = openPeer(process.terminal.get());
    for (int& fd : stdio) fd = childEnds[0].get();
    setNonBlocking(process.terminal);  // for the client too: a program that does not read must not hold who types
    if (options.streams[1] == Stream::kept) {
      process.terminalPeer = openPeer(process.terminal.get());
    } else {
      started.clientFds.push_back(duplicate(process.terminal));
    }
  } else {
    size_t nextGiven = 0;
    for (int i = 0; i < 3; i++) {
      switch (options.streams[i]) {
        case Stream::null: childEnds[i] = openNull(); break;
        case Stream::given:
          if (nextGiven == options.given.size()) throw SystemError(EINVAL, "spawn", "fewer descriptors than streams that want one");
          childEnds[i] = std::move(options.given[nextGiven++]);
          break;
        case Stream::pipe:
        case Stream::kept: {
          auto [reader, writer] = makePipe();
          childEnds[i] = std::move(i == 0 ? reader : writer);
          UniqueFd ours = std::move(i == 0 ? writer : reader);
          if (options.streams[i] == Stream::pipe) started.clientFds.push_back(std::move(ours));
          else {
            setNonBlocking(ours);
            (i == 0 ? process.keptInput : i == 1 ? process.output : process.errors) = std::move(ours);
          }
        }
      }
      stdio[i] = childEnds[i].get();
    }
  }

  // As Docker does for a container, though not for an exec in it.
  if (ground.ownRoot && options.isMain) makeWorkingDirectory(ground, options.cwd);
  Pipe report = makePipe();
  pid = process.pid = fork();
  if (pid < 0) throwErrno("fork", options.argv[0]);
  if (pid == 0) {
    report.reader.reset(-1);
    becomeProgram(options, ground, stdio, terminal, report.writer.get());
  }
  report.writer.reset(-1);
  readReport(report.reader, started.warning);  // a child that failed is reaped with the others
  return started;
}

void pumpLog(Process& process) {
  if (process.terminalPeer) {
    process.log->pump(process.terminal.get(), 1);
    return;
  }
  if (process.output && process.log->pump(process.output.get(), 1) == ReadState::ended) process.output.reset(-1);
  if (process.errors && process.log->pump(process.errors.get(), 2) == ReadState::ended) process.errors.reset(-1);
}

}  // namespace netloom::shim
