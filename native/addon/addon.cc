// The addon netloom_native. Arenas and pollers are externals of the environment that made them, so every worker thread may
// load it; of the process are only the threads that close descriptors.
#include "arena.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  netloom::registerArena(env, exports);
  netloom::registerFrameIo(env, exports);
  netloom::registerPacketSocket(env, exports);
  netloom::registerPoller(env, exports);
  netloom::registerSystem(env, exports);
  netloom::registerMessages(env, exports);
  netloom::registerReadableWatch(env, exports);
  netloom::registerFileNodes(env, exports);
  netloom::registerBackgroundClose(env, exports);
  netloom::registerProgram(env, exports);
  netloom::registerUdpUnderlay(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(netloom_native, init)
