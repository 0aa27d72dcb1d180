// What the shim does for each request about processes; README.md has the words.
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>

#include "process_tree.h"
#include "setup_request.h"
#include "shim.h"

namespace netloom::shim {
namespace {

Message ok(const Message& request) { return Message(request.number, {"ok"}); }

Stream parseStream(const std::string& text) {
  if (text == "null") return Stream::null;
  if (text == "pipe") return Stream::pipe;
  if (text == "fd") return Stream::given;
  if (text == "kept") return Stream::kept;
  throw SystemError(EINVAL, "spawn", "stream '" + text + "' is none of null, pipe, fd, kept");
}

}  // namespace

Process& Shim::processOf(const Message& request) {
  const auto found = processes_.find(static_cast<int>(request.integer("id")));
  if (found == processes_.end()) throw SystemError(ESRCH, "find", "no process with id " + request.get("id"));
  return found->second;
}

std::shared_ptr<LogFile> Shim::openLog(const Message& request) {
  const std::string name = request.get("log", "log");
  std::weak_ptr<LogFile>& known = logs_[name];  // two writers would rotate each other's files
  std::shared_ptr<LogFile> log = known.lock();
  if (log) return log;
  const LogLimits limits{static_cast<uint64_t>(request.integer("log-bytes", 0)), static_cast<uint64_t>(request.integer("log-files", 1))};
  known = log = std::make_shared<LogFile>(endpoint_.stateDirectory.get(), name, limits);
  return log;
}

Message Shim::spawn(Message& request) {
  requireNamespaces();
  const bool isOutside = request.has("outside");
  // It would be frozen before it could say that it runs.
  if (cgroup_.frozen() && !isOutside) throw SystemError(EBUSY, "spawn", "the sandbox is paused");
  if (ended_) throw SystemError(ESRCH, "spawn", "PID 1 of the sandbox has ended, and with it the PID namespace");
  ProcessOptions options;
  options.argv = request.all("arg");
  options.env = request.all("env");
  options.cwd = request.get("cwd", "/");
  options.user = request.get("user");
  options.tty = request.has("tty");
  options.given = std::move(request.fds);
  options.isInit = !hasFirst_;
  options.isMain = nextId_ == 1;
  if (!isOutside) options.cgroups = cgroup_.joinFiles();
  options.capabilities = parseCapabilities(request, capabilities_);
  if (options.argv.empty() || options.argv[0].empty()) throw SystemError(EINVAL, "spawn", "no command");
  constexpr const char* kNames[] = {"stdin", "stdout", "stderr"};
  for (int i = 0; i < 3; i++) options.streams[i] = parseStream(request.get(kNames[i], "null"));
  if (options.tty) {
    options.columns = static_cast<unsigned short>(request.integer("columns", 80));
    options.rows = static_cast<unsigned short>(request.integer("rows", 24));
  }
  std::shared_ptr<LogFile> log;
  if (options.streams[1] == Stream::kept || options.streams[2] == Stream::kept) {
    if (!endpoint_.stateDirectory) throw SystemError(EINVAL, "spawn", "an owner-bound sandbox keeps no logs");
    log = openLog(request);
  }

  const bool isFirst = options.isInit;
  Started started;
  pid_t pid = -1;
  try {
    started = startProcess(std::move(options), ground_, pid);
  } catch (const SystemError&) {
    if (isFirst && pid > 0) {  // it was PID 1, though never a program
      hasFirst_ = true;
      first_ = pid;
    }
    throw;
  }
  if (isFirst) {
    hasFirst_ = true;
    first_ = pid;
  }
  Process& process = processes_.emplace(nextId_, std::move(started.process)).first->second;
  process.id = nextId_++;
  process.log = std::move(log);
  Message reply = ok(request);
  kept_ = true;
  reply.fields.push_back(field("id", process.id));
  reply.fields.push_back(field("pid", process.pid));
  if (!started.warning.empty()) reply.fields.push_back(field("warning", started.warning));
  reply.fds = std::move(started.clientFds);
  return reply;
}

Message Shim::list(Message& request) {
  Message reply = ok(request);
  for (const auto& [id, process] : processes_) {
    reply.fields.push_back(field("process", std::to_string(id) + " " + std::to_string(process.pid) + " " +
                                                std::to_string(process.log ? process.log->lostBytes() : 0) + " " +
                                                (process.running ? "running" : outcome(process.status))));
  }
  return reply;
}

Message Shim::signalProcess(Message& request) {
  const Process& process = processOf(request);
  // Not yet waited for, so the pid is still this process's.
  if (!process.running) throw SystemError(ESRCH, "kill", "process " + std::to_string(process.id) + " has ended");
  const auto number = static_cast<int>(request.integer("signal"));
  if (kill(process.pid, number) < 0) throwErrno("kill", "signal " + std::to_string(number));
  return ok(request);
}

Message Shim::resize(Message& request) {
  const Process& process = processOf(request);
  if (!process.terminal) throw SystemError(ENOTTY, "resize", "process " + std::to_string(process.id) + " has no terminal");
  const winsize size{static_cast<unsigned short>(request.integer("rows")), static_cast<unsigned short>(request.integer("columns")), 0, 0};
  if (ioctl(process.terminal.get(), TIOCSWINSZ, &size) < 0) throwErrno("ioctl TIOCSWINSZ", "the terminal");
  return ok(request);
}

Message Shim::input(Message& request) {
  const Process& process = processOf(request);
  const UniqueFd& end = process.terminal ? process.terminal : process.keptInput;
  if (!end) throw SystemError(EPIPE, "input", "process " + std::to_string(process.id) + " has no open kept stdin");
  Message reply = ok(request);
  reply.fields.push_back(field("tty", process.terminal ? 1 : 0));
  reply.fds.emplace_back(fcntl(end.get(), F_DUPFD_CLOEXEC, 0));
  return reply;
}

Message Shim::closeInput(Message& request) {
  processOf(request).keptInput.reset(-1);
  return ok(request);
}

Message Shim::forget(Message& request) {
  const Process& process = processOf(request);
  if (process.running) throw SystemError(EBUSY, "forget", "process " + std::to_string(process.id) + " is running");
  processes_.erase(process.id);
  return ok(request);
}

Message Shim::pause(Message& request) {
  requireNamespaces();
  if (cgroup_.frozen()) throw SystemError(EALREADY, "pause", "the sandbox is paused");
  cgroup_.freeze();
  return ok(request);
}

Message Shim::unpause(Message& request) {
  if (!cgroup_.frozen()) throw SystemError(EALREADY, "unpause", "the sandbox is not paused");
  cgroup_.thaw();
  return ok(request);
}

Message Shim::processes(Message& request) {
  Message reply = ok(request);
  for (const pid_t pid : descendants()) reply.fields.push_back(field("pid", pid));
  return reply;
}

Message Shim::usage(Message& request) {
  const TreeUsage usage = usageOf(descendants());
  const int64_t memory = cgroup_.memory();
  Message reply = ok(request);
  reply.fields.push_back(field("cpu", static_cast<int64_t>(usage.cpu)));
  reply.fields.push_back(field("memory", memory < 0 ? static_cast<int64_t>(usage.memory) : memory));
  reply.fields.push_back(field("threads", static_cast<int64_t>(usage.threads)));
  if (cgroup_.limits().memory >= 0) reply.fields.push_back(field("memory-limit", cgroup_.limits().memory));
  if (cgroup_.limits().pids >= 0) reply.fields.push_back(field("threads-limit", cgroup_.limits().pids));
  return reply;
}

}  // namespace netloom::shim
