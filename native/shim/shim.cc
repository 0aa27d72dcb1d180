#include "shim.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>

#include "../common/netlink_exchange.h"
#include "init.h"
#include "namespaces.h"

namespace netloom::shim {
namespace {

constexpr int kProtocol = 1;
constexpr size_t kPart = 64 * 1024;  // of a long netlink answer, in one message

Message ok(const Message& request) { return Message(request.number, {"ok"}); }

/// "code=3" or "signal=9", from a waitpid(2) status.
std::string outcome(int status) {
  return WIFSIGNALED(status) ? field("signal", WTERMSIG(status)) : field("code", WEXITSTATUS(status));
}

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
    {"forget", &Shim::forget}, {"close", &Shim::close},
};

Shim::Shim(Endpoint endpoint) : endpoint_(std::move(endpoint)) {
  if (endpoint_.control) client_.emplace(std::move(endpoint_.control));
  sigset_t handled;
  sigemptyset(&handled);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&handled, signal);
  sigprocmask(SIG_BLOCK, &handled, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signals_ = UniqueFd(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) throwErrno("signalfd", "the shim");
}

Shim::~Shim() {
  if (!endpoint_.socketPath.empty()) unlink(endpoint_.socketPath.c_str());
}

void Shim::run() {
  while (!closing_) {
    std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}, {-1, 0, 0}, {endpoint_.listener.get(), POLLIN, 0}};
    if (client_) polled[1] = {client_->fd(), static_cast<short>(POLLIN | (client_->wantsToWrite() ? POLLOUT : 0)), 0};
    for (const auto& [id, process] : processes_) {
      if (process.terminalPeer) polled.push_back({process.terminal.get(), POLLIN, 0});
      if (process.output) polled.push_back({process.output.get(), POLLIN, 0});
      if (process.errors) polled.push_back({process.errors.get(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) throwErrno("poll", "the shim");
    pumpLogs();
    if (polled[0].revents) handleSignals();
    if (polled[1].revents) handleConnection(polled[1].revents);
    if (polled[2].revents) handleListener();
  }
}

void Shim::handleConnection(short events) {
  if (events & POLLOUT) client_->flush();
  if (!(events & (POLLIN | POLLHUP | POLLERR))) return;
  bool closed = false;
  Message request;
  try {
    request = client_->receive(closed);
  } catch (const SystemError& error) {
    return send({0, {"error", field("errno", error.number), field("text", error.what())}});
  }
  if (!closed) return answer(request);
  client_.reset();
  // A surviving shim that nobody has set up belongs to nobody either.
  if (surviving() && ready_) return;
  endEverything();
  closing_ = true;
}

void Shim::handleListener() {
  UniqueFd accepted(accept4(endpoint_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted) return;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(accepted.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return;
  // In a user namespace our own uid reads as 0, and everybody else as the overflow id.
  if (peer.uid != 0 && peer.uid != geteuid()) return;
  client_.emplace(std::move(accepted));
}

void Shim::handleSignals() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT) continue;  // SIGHUP: the terminal of who started us
    endEverything();
    closing_ = true;
  }
  reap(false);
}

void Shim::answer(Message& request) {
  const uint32_t number = request.number;
  try {
    const auto verb = kVerbs.find(request.word());
    if (verb == kVerbs.end()) throw SystemError(ENOSYS, "request", "no verb '" + std::string(request.word()) + "'");
    send((this->*verb->second)(request));
  } catch (const SystemError& error) {
    send({number, {"error", field("errno", error.number), field("syscall", error.syscall), field("text", error.what())}});
  }
  if (closing_ && client_) client_->flush();
}

void Shim::send(Message message) {
  if (client_) client_->send(std::move(message));
}

void Shim::pumpLogs() {
  for (auto& [id, process] : processes_) {
    if (process.terminalPeer || process.output || process.errors) pumpLog(process);
  }
}

void Shim::reap(bool wait) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, wait ? 0 : WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
    for (auto& [id, process] : processes_) {
      if (process.pid != pid || !process.running) continue;
      process.running = false;
      process.status = status;
      recordEnd(process);
    }
    if (pid != first_ || ended_) continue;
    ended_ = true;
    send({0, {"ended"}});
  }
}

void Shim::recordEnd(Process& process) {
  pumpLog(process);  // what it wrote last is in the log before anybody hears of its end
  process.keptInput.reset(-1);
  if (endpoint_.stateDirectory) {
    UniqueFd file(openat(endpoint_.stateDirectory.get(), "status", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string line = std::to_string(process.id) + " " + outcome(process.status) + "\n";
    if (file && write(file.get(), line.data(), line.size()) < 0) {
      // The status is still in memory; a full disk is no reason to end the sandbox.
    }
  }
  send({0, {"exit", field("id", process.id), field("pid", process.pid), outcome(process.status)}});
}

void Shim::endEverything() {
  // The end of PID 1 is the end of its namespace, but the kernel completes it only when we have waited for those of
  // its processes that are our own children.
  if (hasFirst_ && !ended_) kill(first_, SIGKILL);
  for (const auto& [id, process] : processes_) {
    if (process.running) kill(process.pid, SIGKILL);
  }
  reap(true);
}

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
  return reply;
}

Message Shim::setup(Message& request) {
  if (ready_) throw SystemError(EALREADY, "setup", "the sandbox is set up already");
  const std::string policy = request.get("userns", "auto");
  const std::string hostname = request.get("hostname");
  std::vector<std::string> warnings;
  userNamespace_ = enterNamespaces(policy == "always"  ? UserNamespace::always
                                   : policy == "never" ? UserNamespace::never
                                                       : UserNamespace::automatic,
                                   warnings);
  files_.mount({{"hosts", ""}, {"hostname", hostname + "\n"}, {"resolv.conf", ""}}, warnings);
  if (sethostname(hostname.data(), hostname.size()) < 0) throwErrno("sethostname", hostname);
  if (request.integer("init", 1)) {
    std::string warning;
    first_ = startInit(warning);
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

Message Shim::spawn(Message& request) {
  requireNamespaces();
  if (ended_) throw SystemError(ESRCH, "spawn", "PID 1 of the sandbox has ended, and with it the PID namespace");
  ProcessOptions options;
  options.argv = request.all("arg");
  options.env = request.all("env");
  options.cwd = request.get("cwd", "/");
  options.user = request.get("user");
  options.tty = request.has("tty");
  options.given = std::move(request.fds);
  options.isInit = !hasFirst_;
  if (options.argv.empty() || options.argv[0].empty()) throw SystemError(EINVAL, "spawn", "no command");
  constexpr const char* kNames[] = {"stdin", "stdout", "stderr"};
  for (int i = 0; i < 3; i++) options.streams[i] = parseStream(request.get(kNames[i], "null"));
  if (options.tty) {
    options.columns = static_cast<unsigned short>(request.integer("columns", 80));
    options.rows = static_cast<unsigned short>(request.integer("rows", 24));
  }
  LogFile log;
  if (options.streams[1] == Stream::kept || options.streams[2] == Stream::kept) {
    if (!endpoint_.stateDirectory) throw SystemError(EINVAL, "spawn", "an owner-bound sandbox keeps no logs");
    log = LogFile(endpoint_.stateDirectory.get(), request.get("log", "log"));
  }

  const bool isFirst = options.isInit;
  Started started;
  pid_t pid = -1;
  try {
    started = startProcess(std::move(options), pid);
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
                                                std::to_string(process.log.lostBytes()) + " " +
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

Message Shim::close(Message& request) {
  endEverything();
  closing_ = true;
  return ok(request);
}

}  // namespace netloom::shim
