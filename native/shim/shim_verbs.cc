// What the shim does for each request; README.md has the words.
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>

#include "../common/netlink_exchange.h"
#include "init.h"
#include "process_tree.h"
#include "setup_request.h"
#include "shim.h"

namespace netloom::shim {
namespace {

constexpr int kProtocol = 1;
constexpr size_t kPart = 64 * 1024;  // of a long netlink answer, in one message

Message ok(const Message& request) { return Message(request.number, {"ok"}); }

Stream parseStream(const std::string& text) {
  if (text == "null") return Stream::null;
  if (text == "pipe") return Stream::pipe;
  if (text == "fd") return Stream::given;
  if (text == "kept") return Stream::kept;
  throw SystemError(EINVAL, "spawn", "stream '" + text + "' is none of null, pipe, fd, kept");
}

/// Of the network namespace only: the others are the host's too.
UniqueFd openSysctl(const std::string& name, int flags) {
  if (name.compare(0, 4, "net/") != 0 || name.find("..") != std::string::npos) {
    throw SystemError(EINVAL, "open", "sysctl '" + name + "' does not start with net/");
  }
  UniqueFd fd(open(("/proc/sys/" + name).c_str(), flags | O_CLOEXEC));
  if (!fd) throwErrno("open", "/proc/sys/" + name);
  return fd;
}

}  // namespace

const std::map<std::string_view, Shim::Verb> Shim::kVerbs = {
    {"hello", &Shim::hello},   {"setup", &Shim::setup},         {"tap", &Shim::tap},       {"netlink", &Shim::netlink},
    {"sysctl", &Shim::sysctl}, {"file", &Shim::writeFile},      {"spawn", &Shim::spawn},   {"list", &Shim::list},
    {"signal", &Shim::signalProcess}, {"resize", &Shim::resize}, {"input", &Shim::input},  {"close-input", &Shim::closeInput},
    {"forget", &Shim::forget}, {"close", &Shim::close},         {"pause", &Shim::pause},   {"unpause", &Shim::unpause},
    {"processes", &Shim::processes}, {"usage", &Shim::usage},   {"leave", &Shim::leave},
};

Process& Shim::processOf(const Message& request) {
  const auto found = processes_.find(static_cast<int>(request.integer("id")));
  if (found == processes_.end()) throw SystemError(ESRCH, "find", "no process with id " + request.get("id"));
  return found->second;
}

void Shim::requireNamespaces() const {
  if (!ready_) throw SystemError(EINVAL, "request", "the sandbox is not set up yet");
}

Message Shim::hello(Message& request) {
  Message reply = ok(request);
  reply.fields.push_back(field("protocol", kProtocol));
  reply.fields.push_back(field("ready", ready_));
  reply.fields.push_back(field("shim", getpid()));
  reply.fields.push_back(field("userns", userNamespace_));
  char hostname[HOST_NAME_MAX + 1] = {};
  if (gethostname(hostname, HOST_NAME_MAX) == 0) reply.fields.push_back(field("hostname", hostname));
  if (hasFirst_) reply.fields.push_back(field("first", first_));
  if (ended_) reply.fields.push_back(field("ended", 1));
  if (cgroup_.frozen()) reply.fields.push_back(field("paused", 1));
  return reply;
}

Message Shim::setup(Message& request) {
  if (ready_) throw SystemError(EALREADY, "setup", "the sandbox is set up already");
  const std::string hostname = request.get("hostname"), domainname = request.get("domainname");
  std::vector<std::string> warnings;
  const Limits limits{request.integer("memory", -1), request.integer("cpu-quota", -1), request.integer("pids", -1)};
  NamespaceOptions namespaces = namespaceOptions(request);
  userNamespace_ = enterNamespaces(namespaces, warnings);
  ground_.privileged = request.integer("privileged", 0);
  ground_.ownRoot = !namespaces.ownMounts;
  if (ground_.ownRoot) {
    ContainerRoot built = buildRoot(rootOptions(request, userNamespace_));
    ground_.mountNamespace = std::move(built.mountNamespace);
    ground_.root = std::move(built.root);
    ground_.terminals = std::move(built.terminals);
    warnings.insert(warnings.end(), built.warnings.begin(), built.warnings.end());
  } else {
    files_.mount({{"hosts", ""}, {"hostname", hostname + "\n"}, {"resolv.conf", ""}}, warnings);
  }
  makeProcessNamespace();
  cgroup_.limit(limits);
  capabilities_ = parseCapabilities(request, {});
  if (sethostname(hostname.data(), hostname.size()) < 0) throwErrno("sethostname", hostname);
  if (!domainname.empty() && setdomainname(domainname.data(), domainname.size()) < 0) throwErrno("setdomainname", domainname);
  if (request.integer("init", 1)) {
    std::string warning;
    first_ = startInit(ground_, warning);
    hasFirst_ = true;
    if (!warning.empty()) warnings.push_back(warning);
  }
  ready_ = true;
  Message reply = hello(request);
  for (const std::string& warning : warnings) reply.fields.push_back(field("warning", warning));
  return reply;
}

Message Shim::tap(Message& request) {
  requireNamespaces();
  const std::string name = request.get("name");
  auto kept = taps_.find(name);
  ifreq flags{};
  if (kept != taps_.end() && ioctl(kept->second.fd.get(), TUNGETIFF, &flags) < 0) {
    taps_.erase(kept);  // EBADFD: the interface was deleted under it
    kept = taps_.end();
  }
  Tap opened;
  if (kept == taps_.end()) {
    TapOptions options;
    options.name = name;
    options.vnetHeaderLength = static_cast<int>(request.integer("vnet", 0));
    options.offloads = static_cast<uint32_t>(request.integer("offloads", 0));
    opened = openTap(options);
  }
  const Tap& tap = kept == taps_.end() ? opened : kept->second;
  Message reply = ok(request);
  reply.fields.push_back(field("name", tap.name));
  reply.fields.push_back(field("ifindex", tap.ifindex));
  reply.fields.push_back(field("offloads", tap.offloads));
  int vnet = 0;
  if (ioctl(tap.fd.get(), TUNGETVNETHDRSZ, &vnet) < 0) vnet = 0;
  if (ioctl(tap.fd.get(), TUNGETIFF, &flags) == 0 && !(flags.ifr_flags & IFF_VNET_HDR)) vnet = 0;
  reply.fields.push_back(field("vnet", vnet));
  reply.fds.emplace_back(fcntl(tap.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (kept == taps_.end() && surviving()) taps_.emplace(name, std::move(opened));
  return reply;
}

Message Shim::netlink(Message& request) {
  requireNamespaces();
  const std::string bytes = request.get("request");
  const UniqueFd socket = openNetlink(static_cast<int>(request.integer("protocol", 0)));
  const std::vector<uint8_t> answer =
      netlinkExchange(socket.get(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const std::string_view whole(reinterpret_cast<const char*>(answer.data()), answer.size());
  size_t at = 0;
  for (; whole.size() - at > kPart; at += kPart) send({request.number, {"part", field("data", whole.substr(at, kPart))}});
  Message reply = ok(request);
  reply.fields.push_back(field("data", whole.substr(at)));
  return reply;
}

Message Shim::sysctl(Message& request) {
  requireNamespaces();
  const std::string name = request.get("name");
  Message reply = ok(request);
  if (request.has("value")) {
    const std::string value = request.get("value");
    const UniqueFd fd = openSysctl(name, O_WRONLY);
    if (write(fd.get(), value.data(), value.size()) < 0) throwErrno("write", "/proc/sys/" + name + " (value '" + value + "')");
  } else {
    const UniqueFd fd = openSysctl(name, O_RDONLY);
    char text[4096];
    const ssize_t got = read(fd.get(), text, sizeof text);
    if (got < 0) throwErrno("read", "/proc/sys/" + name);
    reply.fields.push_back(field("value", std::string_view(text, static_cast<size_t>(got))));
  }
  return reply;
}

Message Shim::writeFile(Message& request) {
  requireNamespaces();
  files_.write(request.get("name"), request.get("content"), request.integer("append", 0));
  return ok(request);
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
  // It would be frozen before it could say that it runs.
  if (cgroup_.frozen()) throw SystemError(EBUSY, "spawn", "the sandbox is paused");
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
  options.cgroups = cgroup_.joinFiles();
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

Message Shim::leave(Message& request) {
  kept_ = true;
  return ok(request);
}

Message Shim::close(Message& request) {
  endEverything();
  closing_ = true;
  return ok(request);
}

}  // namespace netloom::shim
