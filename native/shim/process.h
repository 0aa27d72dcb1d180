// One process started in the sandbox.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "../common/unique_fd.h"
#include "ground.h"
#include "identity.h"
#include "log_file.h"

namespace netloom::shim {

/// Where a standard stream of a new process goes.
enum class Stream {
  null,   ///< /dev/null
  pipe,   ///< a new pipe, whose other end is passed to the client
  given,  ///< the next descriptor that came with the request
  kept,   ///< the shim keeps the other end: it moves stdout and stderr into the log, and gives stdin to who asks
};

struct ProcessOptions {
  std::vector<std::string> argv;
  std::vector<std::string> env;      ///< NAME=value, the whole environment
  std::string cwd;
  std::string user;                  ///< "", "UID[:GID]" or names of the sandbox's /etc/passwd and /etc/group
  Capabilities capabilities;
  Stream streams[3] = {Stream::null, Stream::null, Stream::null};
  bool tty = false;                  ///< one pseudo terminal for all three; streams[1] says pipe (to the client) or kept
  unsigned short columns = 80;
  unsigned short rows = 24;
  std::vector<UniqueFd> given;
  bool isInit = false;               ///< the first of its PID namespace: it mounts /proc and dies with the shim
  bool isMain = false;               ///< what the sandbox is for: its `cwd` is made, its terminal is the console
  std::vector<int> cgroups;          ///< `cgroup.procs` files of cgroups to be in
};

struct Process {
  int id = 0;
  pid_t pid = -1;         ///< as the shim's own PID namespace counts
  bool running = true;
  int status = 0;         ///< of waitpid(2), once it does not run
  UniqueFd terminal;      ///< the pseudo terminal's master, for resizing and for the log
  UniqueFd terminalPeer;  ///< of a logged terminal: held so that the master does not report a hang-up again and again
  UniqueFd keptInput;     ///< the write end of a kept stdin
  UniqueFd output;        ///< read ends of kept streams
  UniqueFd errors;
  std::shared_ptr<LogFile> log;  ///< of its kept streams; processes may share one
};

struct Started {
  Process process;
  std::vector<UniqueFd> clientFds;  ///< the client's ends: of stdin, stdout, stderr where piped; or the terminal
  std::string warning;
};

/// Starts a process in the PID namespace of this process's children and waits until it has been executed. Throws
/// SystemError when that failed: its text is one that a user of Docker knows. `pid` is set as soon as there is one, so
/// also then; the caller reaps it.
Started startProcess(ProcessOptions options, const Ground& ground, pid_t& pid);

/// Moves logged output that is there into the log, and closes what has ended.
void pumpLog(Process& process);

}  // namespace netloom::shim
