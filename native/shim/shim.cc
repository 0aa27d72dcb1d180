#include "shim.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>

#include "init.h"
#include "namespaces.h"

namespace netloom::shim {

std::string outcome(int status) {
  return WIFSIGNALED(status) ? field("signal", WTERMSIG(status)) : field("code", WEXITSTATUS(status));
}

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
    std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}, {-1, 0, 0}, {endpoint_.listener.get(), POLLIN, 0}, {endpoint_.creator.get(), 0, 0}};
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
    if (polled[3].revents && !client_) closing_ = true;  // killed before it could connect
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
  // Until something runs in it, even a surviving shim is only its client's: nobody else may know of it.
  if (surviving() && kept_) return;
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
  endpoint_.creator.reset(-1);
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
  cgroup_.thaw();  // a frozen process of a version 1 freezer does not even die
  reap(true);
}

}  // namespace netloom::shim
