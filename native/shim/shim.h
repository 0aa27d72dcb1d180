// The shim's loop: one client's requests, the ends of processes, their logs. README.md lists the verbs.
#pragma once

#include <map>
#include <optional>

#include "../common/tap.h"
#include "cgroup.h"
#include "connection.h"
#include "ground.h"
#include "private_files.h"
#include "process.h"

namespace netloom::shim {

struct Endpoint {
  UniqueFd control;              ///< owner-bound: the one connection, whose end is the end of everything
  UniqueFd listener;             ///< surviving: where clients connect, one at a time, the newest wins
  UniqueFd creator;              ///< surviving: our first stderr, whose reader goes with the process that started us
  UniqueFd stateDirectory;       ///< surviving: for logs and exit statuses
  std::string socketPath;        ///< surviving: removed at the end
};

class Shim {
 public:
  explicit Shim(Endpoint endpoint);
  ~Shim();
  Shim(const Shim&) = delete;
  /// Until the sandbox is closed; nothing of it is left then.
  void run();

 private:
  using Verb = Message (Shim::*)(Message& request);
  static const std::map<std::string_view, Verb> kVerbs;

  void handleConnection(short events);
  void handleListener();
  void handleSignals();
  void answer(Message& request);
  void pumpLogs();
  void reap(bool wait);
  void recordEnd(Process& process);
  void endEverything();
  Process& processOf(const Message& request);
  void send(Message message);
  bool surviving() const { return static_cast<bool>(endpoint_.listener); }
  void requireNamespaces() const;
  std::shared_ptr<LogFile> openLog(const Message& request);

  Message hello(Message& request);
  Message setup(Message& request);
  Message tap(Message& request);
  Message netlink(Message& request);
  Message sysctl(Message& request);
  Message writeFile(Message& request);
  Message spawn(Message& request);
  Message list(Message& request);
  Message signalProcess(Message& request);
  Message resize(Message& request);
  Message input(Message& request);
  Message closeInput(Message& request);
  Message forget(Message& request);
  Message pause(Message& request);
  Message unpause(Message& request);
  Message processes(Message& request);
  Message usage(Message& request);
  Message leave(Message& request);
  Message close(Message& request);

  Endpoint endpoint_;
  std::optional<Connection> client_;
  UniqueFd signals_;
  PrivateFiles files_;
  Ground ground_;
  Cgroup cgroup_;
  Capabilities capabilities_;
  std::map<std::string, Tap> taps_;      ///< surviving: kept, so that a restarted client gets the same queue back
  std::map<int, Process> processes_;
  std::map<std::string, std::weak_ptr<LogFile>> logs_;
  int nextId_ = 1;
  bool ready_ = false;                   ///< setup is done
  bool userNamespace_ = false;
  bool hasFirst_ = false;                ///< PID 1 has been started
  bool ended_ = false;                   ///< and has ended: the PID namespace takes no process any more
  pid_t first_ = -1;
  bool kept_ = false;                    ///< surviving: a process runs, or the client has left it for later
  bool closing_ = false;
};

/// "code=3" or "signal=9", from a waitpid(2) status.
std::string outcome(int status);

}  // namespace netloom::shim
