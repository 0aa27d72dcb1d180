// Seqpacket sockets and file descriptors over them: how the shim hands over its TAPs.
#include "../common/fd_passing.h"
#include "arena.h"
#include "convert.h"

namespace netloom {

namespace {

Napi::Value toJs(Napi::Env env, ReceivedMessage& received) {
  auto fds = Napi::Array::New(env, received.fds.size());
  for (uint32_t i = 0; i < received.fds.size(); i++) fds.Set(i, received.fds[i].release());
  auto result = Napi::Object::New(env);
  result.Set("data", toUint8Array(env, received.data.data(), received.data.size()));
  result.Set("fds", fds);
  return result;
}

/// Receives on a libuv thread; the promise settles on the JavaScript thread.
class ReceiveWorker : public Napi::AsyncWorker {
 public:
  ReceiveWorker(Napi::Env env, int fd, size_t maxBytes, int timeoutMs)
      : AsyncWorker(env, "netloom.receiveWithFds"), deferred_(env), fd_(fd), maxBytes_(maxBytes), timeoutMs_(timeoutMs) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      received_ = receiveWithFds(fd_, maxBytes_, timeoutMs_);
    } catch (const SystemError& error) {
      failure_ = std::make_unique<SystemError>(error);
    }
  }
  void OnOK() override {
    if (failure_) deferred_.Reject(toJsError(Env(), *failure_).Value());
    else deferred_.Resolve(toJs(Env(), received_));
  }

 private:
  Napi::Promise::Deferred deferred_;
  const int fd_;
  const size_t maxBytes_;
  const int timeoutMs_;
  ReceivedMessage received_;
  std::unique_ptr<SystemError> failure_;
};

Napi::Value socketpairSeqpacket(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    auto [one, other] = seqpacketPair();
    auto result = Napi::Array::New(info.Env(), 2);
    result.Set(0u, one.release());
    result.Set(1u, other.release());
    return result;
  });
}

Napi::Value connectSeqpacketBinding(const Napi::CallbackInfo& info) {
  return guarded(info, [&] { return Napi::Number::New(info.Env(), connectSeqpacket(textArgument(info, 0)).release()); });
}

void sendWithFdsBinding(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const auto [data, length] = bytesOf(info.Env(), info[1]);
    auto list = info[2].As<Napi::Array>();
    std::vector<int> fds;
    for (uint32_t i = 0; i < list.Length(); i++) fds.push_back(list.Get(i).As<Napi::Number>().Int32Value());
    sendWithFds(intArgument(info, 0), data, length, fds.data(), fds.size());
  });
}

Napi::Value receiveWithFdsBinding(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    auto received = receiveWithFds(intArgument(info, 0), static_cast<size_t>(intArgument(info, 1)), intArgument(info, 2));
    return toJs(info.Env(), received);
  });
}

Napi::Value receiveWithFdsAsync(const Napi::CallbackInfo& info) {
  auto* worker = new ReceiveWorker(info.Env(), intArgument(info, 0), static_cast<size_t>(intArgument(info, 1)), intArgument(info, 2));
  worker->Queue();  // deletes itself when it has settled
  return worker->promise();
}

}  // namespace

void registerMessages(Napi::Env env, Napi::Object exports) {
  exports.Set("socketpairSeqpacket", Napi::Function::New<socketpairSeqpacket>(env, "socketpairSeqpacket"));
  exports.Set("connectSeqpacket", Napi::Function::New<connectSeqpacketBinding>(env, "connectSeqpacket"));
  exports.Set("sendWithFds", Napi::Function::New<sendWithFdsBinding>(env, "sendWithFds"));
  exports.Set("receiveWithFds", Napi::Function::New<receiveWithFdsBinding>(env, "receiveWithFds"));
  exports.Set("receiveWithFdsAsync", Napi::Function::New<receiveWithFdsAsync>(env, "receiveWithFdsAsync"));
}

}  // namespace netloom
