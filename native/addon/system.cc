// TAPs, network namespaces, files in them, netlink: thin wrappers of native/common.
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include "../common/netlink_exchange.h"
#include "../common/netns.h"
#include "../common/tap.h"
#include "arena.h"
#include "convert.h"

namespace netloom {

namespace {

Napi::Value openTapBinding(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    auto wanted = info[0].As<Napi::Object>();
    TapOptions options;
    options.name = wanted.Get("name").As<Napi::String>().Utf8Value();
    options.tun = wanted.Get("tun").As<Napi::Boolean>().Value();
    options.vnetHeaderLength = wanted.Get("vnetHeaderLength").As<Napi::Number>().Int32Value();
    options.offloads = wanted.Get("offloads").As<Napi::Number>().Uint32Value();
    options.persist = wanted.Get("persist").As<Napi::Boolean>().Value();
    options.ownerUid = wanted.Get("ownerUid").As<Napi::Number>().Int64Value();
    Tap tap;
    inNetns(wanted.Get("netns").As<Napi::Number>().Int32Value(), [&] { tap = openTap(options); });
    auto result = Napi::Object::New(info.Env());
    result.Set("name", tap.name);
    result.Set("ifindex", tap.ifindex);
    result.Set("offloads", static_cast<double>(tap.offloads));
    result.Set("vnetHeaderLength", options.vnetHeaderLength);
    result.Set("fd", tap.fd.release());
    return result;
  });
}

void setTapPersist(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const int fd = intArgument(info, 0);
    const unsigned long persist = info[1].As<Napi::Boolean>().Value() ? 1 : 0;
    if (ioctl(fd, TUNSETPERSIST, persist) < 0) throwErrno("ioctl TUNSETPERSIST", "TAP fd " + std::to_string(fd));
  });
}

Napi::Value tunFeaturesBinding(const Napi::CallbackInfo& info) {
  return guarded(info, [&] { return Napi::Number::New(info.Env(), tunFeatures()); });
}

Napi::Value openNetnsBinding(const Napi::CallbackInfo& info) {
  return guarded(info, [&] { return Napi::Number::New(info.Env(), openNetns(textArgument(info, 0)).release()); });
}

Napi::Value createNetnsBinding(const Napi::CallbackInfo& info) {
  return guarded(info, [&] { return Napi::Number::New(info.Env(), createNetns().release()); });
}

void writeFileInNetns(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const std::string path = textArgument(info, 1);
    const std::string text = textArgument(info, 2);
    inNetns(intArgument(info, 0), [&] {
      UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
      if (!file) throwErrno("open", path);
      if (write(file.get(), text.data(), text.size()) < 0) throwErrno("write", path);
    });
  });
}

Napi::Value readFileInNetns(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const std::string path = textArgument(info, 1);
    std::string text;
    inNetns(intArgument(info, 0), [&] {
      UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!file) throwErrno("open", path);
      char part[4096];
      ssize_t got;
      while ((got = read(file.get(), part, sizeof part)) > 0) text.append(part, static_cast<size_t>(got));
      if (got < 0) throwErrno("read", path);
    });
    return Napi::String::New(info.Env(), text);
  });
}

// netlinkExchange(netns, protocol, request): only the socket is opened in the namespace; it stays there.
Napi::Value netlinkExchangeBinding(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    UniqueFd fd;
    const int protocol = intArgument(info, 1);
    inNetns(intArgument(info, 0), [&] { fd = openNetlink(protocol); });
    const auto [request, length] = bytesOf(info.Env(), info[2]);
    const auto answer = netlinkExchange(fd.get(), request, length);
    return toUint8Array(info.Env(), answer.data(), answer.size());
  });
}

/// The same on a libuv thread: a walk over a large table takes the kernel milliseconds.
class ExchangeWorker : public Napi::AsyncWorker {
 public:
  ExchangeWorker(Napi::Env env, UniqueFd fd, std::vector<uint8_t> request)
      : AsyncWorker(env, "netloom.netlinkExchange"), deferred_(env), fd_(std::move(fd)), bytes_(std::move(request)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      bytes_ = netlinkExchange(fd_.get(), bytes_.data(), bytes_.size());
    } catch (const SystemError& error) {
      failure_ = std::make_unique<SystemError>(error);
    }
  }
  void OnOK() override {
    if (failure_) deferred_.Reject(toJsError(Env(), *failure_).Value());
    else deferred_.Resolve(toUint8Array(Env(), bytes_.data(), bytes_.size()));
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  const UniqueFd fd_;
  /// The request, then the answer.
  std::vector<uint8_t> bytes_;
  std::unique_ptr<SystemError> failure_;
};

Napi::Value netlinkExchangeAsync(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    UniqueFd fd;
    const int protocol = intArgument(info, 1);
    inNetns(intArgument(info, 0), [&] { fd = openNetlink(protocol); });
    const auto [request, length] = bytesOf(info.Env(), info[2]);
    auto* worker = new ExchangeWorker(info.Env(), std::move(fd), std::vector<uint8_t>(request, request + length));
    worker->Queue();
    return worker->promise();
  });
}

// netlinkSubscribe(netns, protocol, groups)
Napi::Value netlinkSubscribe(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    UniqueFd fd;
    const int protocol = intArgument(info, 1);
    const uint32_t groups = info[2].As<Napi::Number>().Uint32Value();
    inNetns(intArgument(info, 0), [&] { fd = subscribeNetlink(protocol, groups); });
    return Napi::Number::New(info.Env(), fd.release());
  });
}

Napi::Value netlinkDrain(const Napi::CallbackInfo& info) {
  return guarded(info, [&] { return Napi::Number::New(info.Env(), drainNetlink(intArgument(info, 0))); });
}

Napi::Value userId(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const std::string name = textArgument(info, 0);
    std::vector<char> texts(16384);
    passwd entry{};
    passwd* found = nullptr;
    int failure;
    while ((failure = getpwnam_r(name.c_str(), &entry, texts.data(), texts.size(), &found)) == ERANGE) texts.resize(2 * texts.size());
    // Other errors are ways of the system's databases to say that they know no such user: getpwnam_r(3).
    return Napi::Number::New(info.Env(), failure == 0 && found ? static_cast<double>(entry.pw_uid) : -1);
  });
}

// A record lock: the kernel knows who holds it, and gives it up with the process, however that ends.
Napi::Value lockFile(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const std::string path = textArgument(info, 0);
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) throwErrno("open", path);
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    pid_t holder = 0;
    bool held = fcntl(fd, F_SETLK, &whole) == 0;
    if (!held && (errno == EAGAIN || errno == EACCES)) {
      if (fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK) holder = whole.l_pid;
    } else if (!held) {
      const int failure = errno;
      close(fd);
      errno = failure;
      throwErrno("fcntl", path);
    }
    if (!held) close(fd);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("fd", held ? fd : -1);
    result.Set("holder", static_cast<double>(holder));
    return result;
  });
}

void closeFd(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const int fd = intArgument(info, 0);
    if (close(fd) < 0 && errno != EINTR) throwErrno("close", "fd " + std::to_string(fd));
  });
}

void setNonblocking(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const int fd = intArgument(info, 0);
    const int flags = fcntl(fd, F_GETFL);
    const int wanted = info[1].As<Napi::Boolean>().Value() ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (flags < 0 || fcntl(fd, F_SETFL, wanted) < 0) throwErrno("fcntl", "fd " + std::to_string(fd));
  });
}

}  // namespace

void registerSystem(Napi::Env env, Napi::Object exports) {
  exports.Set("openTap", Napi::Function::New<openTapBinding>(env, "openTap"));
  exports.Set("setTapPersist", Napi::Function::New<setTapPersist>(env, "setTapPersist"));
  exports.Set("tunFeatures", Napi::Function::New<tunFeaturesBinding>(env, "tunFeatures"));
  exports.Set("openNetns", Napi::Function::New<openNetnsBinding>(env, "openNetns"));
  exports.Set("createNetns", Napi::Function::New<createNetnsBinding>(env, "createNetns"));
  exports.Set("writeFileInNetns", Napi::Function::New<writeFileInNetns>(env, "writeFileInNetns"));
  exports.Set("readFileInNetns", Napi::Function::New<readFileInNetns>(env, "readFileInNetns"));
  exports.Set("netlinkExchange", Napi::Function::New<netlinkExchangeBinding>(env, "netlinkExchange"));
  exports.Set("netlinkExchangeAsync", Napi::Function::New<netlinkExchangeAsync>(env, "netlinkExchangeAsync"));
  exports.Set("netlinkSubscribe", Napi::Function::New<netlinkSubscribe>(env, "netlinkSubscribe"));
  exports.Set("netlinkDrain", Napi::Function::New<netlinkDrain>(env, "netlinkDrain"));
  exports.Set("userId", Napi::Function::New<userId>(env, "userId"));
  exports.Set("lockFile", Napi::Function::New<lockFile>(env, "lockFile"));
  exports.Set("closeFd", Napi::Function::New<closeFd>(env, "closeFd"));
  exports.Set("setNonblocking", Napi::Function::New<setNonblocking>(env, "setNonblocking"));
}

}  // namespace netloom
