// What the shim does for each request about the sandbox; README.md has the words.
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>

#include "../common/netlink_exchange.h"
#include "init.h"
#include "setup_request.h"
#include "shim.h"

namespace netloom::shim {
namespace {

constexpr int kProtocol = 1;
constexpr size_t kPart = 64 * 1024;  // of a long netlink answer, in one message

Message ok(const Message& request) { return Message(request.number, {"ok"}); }

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
  if (kept != taps_.end()) reply.fields.push_back(field("kept", 1));
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
