// epoll, eventfd, the timer slack and the scheduler's class: what an engine thread sleeps on, and how soon it runs when it is woken.
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "arena.h"
#include "convert.h"

namespace netloom {

namespace {

constexpr int kMaxEvents = 256;

// Bits of an event as JavaScript sees them (src/io/native-binding.ts).
constexpr int32_t kReadable = 1;
constexpr int32_t kWritable = 2;
constexpr int32_t kBroken = 4;

struct Poller {
  UniqueFd fd;
  bool precise = true;  // epoll_pwait2 (Linux 5.11) is there
  epoll_event events[kMaxEvents];
};

Poller& pollerArgument(const Napi::CallbackInfo& info) { return *info[0].As<Napi::External<Poller>>().Data(); }

Napi::Value pollerCreate(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    auto poller = std::make_unique<Poller>();
    poller->fd = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
    if (!poller->fd) throwErrno("epoll_create1", "poller");
    return Napi::External<Poller>::New(info.Env(), poller.release(), [](Napi::Env, Poller* ended) { delete ended; });
  });
}

/// (poller, fd, token, interest)
void control(const Napi::CallbackInfo& info, int operation) {
  guarded(info, [&] {
    const int fd = intArgument(info, 1);
    epoll_event event{};
    if (operation != EPOLL_CTL_DEL) {
      const int interest = intArgument(info, 3);
      event.data.u32 = info[2].As<Napi::Number>().Uint32Value();
      event.events = (interest & kReadable ? EPOLLIN : 0u) | (interest & kWritable ? EPOLLOUT : 0u);
    }
    if (epoll_ctl(pollerArgument(info).fd.get(), operation, fd, &event) < 0) throwErrno("epoll_ctl", "fd " + std::to_string(fd));
  });
}
void pollerAdd(const Napi::CallbackInfo& info) { control(info, EPOLL_CTL_ADD); }
void pollerModify(const Napi::CallbackInfo& info) { control(info, EPOLL_CTL_MOD); }
void pollerRemove(const Napi::CallbackInfo& info) { control(info, EPOLL_CTL_DEL); }

int waitFor(Poller& poller, int64_t timeoutNs, int max) {
  const int fd = poller.fd.get();
  if (timeoutNs <= 0) return epoll_wait(fd, poller.events, max, timeoutNs == 0 ? 0 : -1);
  const timespec timeout{static_cast<time_t>(timeoutNs / 1000000000), static_cast<long>(timeoutNs % 1000000000)};
#ifdef SYS_epoll_pwait2
  if (poller.precise) {
    const long ready = syscall(SYS_epoll_pwait2, fd, poller.events, max, &timeout, nullptr, 0);
    if (ready >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(ready);  // EPERM: a seccomp filter
    poller.precise = false;
  }
#endif
  // An epoll fd can itself be polled, and ppoll takes nanoseconds on every kernel.
  pollfd waited{fd, POLLIN, 0};
  const int ready = ppoll(&waited, 1, &timeout, nullptr);
  return ready > 0 ? epoll_wait(fd, poller.events, max, 0) : ready;
}

// pollerWait(poller, events, timeoutNs): number; raw Node-API, since it runs every turn of the engine
napi_value pollerWait(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  void* pointer = nullptr;
  napi_get_value_external(env, values[0], &pointer);
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(env, values[1], nullptr, &length, &data, nullptr, nullptr);
  int64_t timeoutNs = 0;
  napi_get_value_int64(env, values[2], &timeoutNs);

  Poller& poller = *static_cast<Poller*>(pointer);
  const int max = length / 2 < kMaxEvents ? static_cast<int>(length / 2) : kMaxEvents;
  int ready = waitFor(poller, timeoutNs, max);
  if (ready < 0) ready = 0;  // EINTR: the caller looks at its clock and comes back
  int32_t* out = static_cast<int32_t*>(data);
  for (int i = 0; i < ready; i++) {
    const epoll_event& event = poller.events[i];
    out[2 * i] = static_cast<int32_t>(event.data.u32);
    out[2 * i + 1] = (event.events & EPOLLIN ? kReadable : 0) | (event.events & EPOLLOUT ? kWritable : 0) |
                     (event.events & (EPOLLERR | EPOLLHUP) ? kBroken : 0);
  }
  napi_value result;
  napi_create_int32(env, ready, &result);
  return result;
}

void pollerClose(const Napi::CallbackInfo& info) { pollerArgument(info).fd.reset(-1); }

void setTimerSlack(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const unsigned long slack = static_cast<unsigned long>(info[0].As<Napi::Number>().Int64Value());
    if (prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0) < 0) throwErrno("prctl PR_SET_TIMERSLACK", std::to_string(slack) + " ns");
  });
}

// setRealtime(isRealtime)
void setRealtime(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const bool wanted = info[0].As<Napi::Boolean>().Value();
    sched_param parameter{};
    parameter.sched_priority = wanted ? 1 : 0;
    // Threads and processes that this one starts are ordinary ones.
    const int policy = (wanted ? SCHED_RR : SCHED_OTHER) | SCHED_RESET_ON_FORK;
    if (sched_setscheduler(0, policy, &parameter) < 0) throwErrno("sched_setscheduler", wanted ? "SCHED_RR" : "SCHED_OTHER");
  });
}

// threadCpuTime(): number
Napi::Value threadCpuTime(const Napi::CallbackInfo& info) {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return Napi::Number::New(info.Env(), static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec));
}

Napi::Value eventfdCreate(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) throwErrno("eventfd", "eventfd");
    return Napi::Number::New(info.Env(), fd);
  });
}

Napi::Value timerfdCreate(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const int64_t periodNs = info[0].As<Napi::Number>().Int64Value();
    const timespec period{static_cast<time_t>(periodNs / 1000000000), static_cast<long>(periodNs % 1000000000)};
    const itimerspec both{period, period};
    UniqueFd fd(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!fd || timerfd_settime(fd.get(), 0, &both, nullptr) < 0) throwErrno("timerfd_create", std::to_string(periodNs) + " ns");
    return Napi::Number::New(info.Env(), fd.release());
  });
}

void eventfdWrite(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const int fd = intArgument(info, 0);
    const uint64_t one = 1;
    // EAGAIN: the counter is full, so the sleeper is awake anyway.
    if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN) throwErrno("write", "eventfd " + std::to_string(fd));
  });
}

Napi::Value eventfdDrain(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const int fd = intArgument(info, 0);
    uint64_t count = 0;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN) throwErrno("read", "eventfd " + std::to_string(fd));
    return Napi::Number::New(info.Env(), static_cast<double>(count));
  });
}

}  // namespace

void registerPoller(Napi::Env env, Napi::Object exports) {
  exports.Set("pollerCreate", Napi::Function::New<pollerCreate>(env, "pollerCreate"));
  exports.Set("pollerAdd", Napi::Function::New<pollerAdd>(env, "pollerAdd"));
  exports.Set("pollerModify", Napi::Function::New<pollerModify>(env, "pollerModify"));
  exports.Set("pollerRemove", Napi::Function::New<pollerRemove>(env, "pollerRemove"));
  exports.Set("pollerClose", Napi::Function::New<pollerClose>(env, "pollerClose"));
  napi_value wait;
  napi_create_function(env, "pollerWait", NAPI_AUTO_LENGTH, pollerWait, nullptr, &wait);
  exports.Set("pollerWait", Napi::Value(env, wait));
  exports.Set("setTimerSlack", Napi::Function::New<setTimerSlack>(env, "setTimerSlack"));
  exports.Set("setRealtime", Napi::Function::New<setRealtime>(env, "setRealtime"));
  exports.Set("threadCpuTime", Napi::Function::New<threadCpuTime>(env, "threadCpuTime"));
  exports.Set("eventfdCreate", Napi::Function::New<eventfdCreate>(env, "eventfdCreate"));
  exports.Set("timerfdCreate", Napi::Function::New<timerfdCreate>(env, "timerfdCreate"));
  exports.Set("eventfdWrite", Napi::Function::New<eventfdWrite>(env, "eventfdWrite"));
  exports.Set("eventfdDrain", Napi::Function::New<eventfdDrain>(env, "eventfdDrain"));
}

}  // namespace netloom
