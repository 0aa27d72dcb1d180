// Closing TAPs without waiting. The last descriptor of a TAP takes the device with it, and the kernel lets the caller of close()
// wait until no CPU can know of it any more (netdev_run_todo, an RCU barrier: 10 to 30 ms, however fast the machine). The engine
// thread forwards frames meanwhile.
#include <unistd.h>

#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include "arena.h"
#include "convert.h"

namespace netloom {

namespace {

/// Barriers of several threads are shared by the kernel, so that many devices go in about the time of one.
constexpr int kMaxThreads = 8;

struct Closer {
  std::mutex mutex;
  std::deque<int> waiting;
  int threads = 0;
};

/// One for the process, since descriptors are; never destroyed, since its threads may outlive main().
Closer& closer() {
  static Closer* const only = new Closer;
  return *only;
}

void closeAll() {
  Closer& queue = closer();
  std::unique_lock<std::mutex> lock(queue.mutex);
  while (!queue.waiting.empty()) {
    const int fd = queue.waiting.front();
    queue.waiting.pop_front();
    lock.unlock();
    close(fd);
    lock.lock();
  }
  queue.threads--;
}

void closeFdInBackground(const Napi::CallbackInfo& info) {
  const int fd = intArgument(info, 0);
  Closer& queue = closer();
  const std::lock_guard<std::mutex> lock(queue.mutex);
  queue.waiting.push_back(fd);
  if (queue.threads == kMaxThreads) return;
  try {
    std::thread(closeAll).detach();
    queue.threads++;
  } catch (const std::system_error&) {
    if (queue.threads > 0) return;  // one of those will come to it
    queue.waiting.pop_back();
    close(fd);
  }
}

}  // namespace

void registerBackgroundClose(Napi::Env env, Napi::Object exports) {
  exports.Set("closeFdInBackground", Napi::Function::New<closeFdInBackground>(env, "closeFdInBackground"));
}

}  // namespace netloom
