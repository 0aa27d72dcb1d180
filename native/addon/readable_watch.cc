// Readiness of a descriptor on the JavaScript thread's own loop, for control sockets: Node can wait for streams, not for
// SOCK_SEQPACKET. Not for frames, which the engine thread polls itself (poller.cc).
#include <uv.h>

#include "arena.h"
#include "convert.h"

namespace netloom {

namespace {

struct Watch {
  uv_poll_t handle{};
  Napi::Env env;
  Napi::FunctionReference callback;
  Napi::AsyncContext context;
  bool closing = false;

  Watch(Napi::Env env, Napi::Function callback) : env(env), callback(Napi::Persistent(callback)), context(env, "netloom.watchReadable") {}
};

/// The watch goes when libuv has let go of it.
void endWatch(Watch* watch) {
  if (watch->closing) return;
  watch->closing = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->handle), [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
}

void endWatchAtExit(void* data) { endWatch(static_cast<Watch*>(data)); }

void onReady(uv_poll_t* handle, int, int) {
  auto* watch = static_cast<Watch*>(handle->data);
  Napi::HandleScope scope(watch->env);
  try {
    watch->callback.MakeCallback(watch->env.Global(), 0, nullptr, watch->context);
  } catch (const Napi::Error& error) {
    napi_fatal_exception(watch->env, error.Value());  // as an exception in any other event's handler
  }
}

Napi::Value watchReadable(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    Napi::Env env = info.Env();
    const int fd = intArgument(info, 0);
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env, "this thread has no event loop");
    auto* watch = new Watch(env, info[1].As<Napi::Function>());
    watch->handle.data = watch;
    if (const int error = uv_poll_init(loop, &watch->handle, fd); error < 0) {
      delete watch;
      throw SystemError(-error, "uv_poll_init", "fd " + std::to_string(fd));
    }
    uv_poll_start(&watch->handle, UV_READABLE | UV_DISCONNECT, onReady);
    napi_add_env_cleanup_hook(env, endWatchAtExit, watch);
    return Napi::External<Watch>::New(env, watch);
  });
}

void unwatchReadable(const Napi::CallbackInfo& info) {
  auto* watch = info[0].As<Napi::External<Watch>>().Data();
  napi_remove_env_cleanup_hook(info.Env(), endWatchAtExit, watch);
  uv_poll_stop(&watch->handle);
  endWatch(watch);
}

}  // namespace

void registerReadableWatch(Napi::Env env, Napi::Object exports) {
  exports.Set("watchReadable", Napi::Function::New<watchReadable>(env, "watchReadable"));
  exports.Set("unwatchReadable", Napi::Function::New<unwatchReadable>(env, "unwatchReadable"));
}

}  // namespace netloom
