#include "event_loop.h"

#include <algorithm>
#include <ctime>

#include "../common/system_error.h"

namespace netloom::uplink {
namespace {

constexpr int kEventsPerRound = 256;

int64_t monotonicMilliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1'000'000;
}

}  // namespace

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), now_(monotonicMilliseconds() / 1000) {
  if (!epoll_) throwErrno("epoll_create1", "event loop");
}

void EventLoop::add(int fd, uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) throwErrno("epoll_ctl", "fd " + std::to_string(fd));
}

void EventLoop::modify(int fd, uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) < 0) throwErrno("epoll_ctl", "fd " + std::to_string(fd));
}

void EventLoop::remove(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void EventLoop::again(Watcher& watcher) {
  if (watcher.retired_ || watcher.waitsForTurn_) return;
  watcher.waitsForTurn_ = true;
  next_.push_back(&watcher);
}

void EventLoop::retire(std::unique_ptr<Watcher> watcher) {
  watcher->retired_ = true;
  if (watcher->waitsForTurn_) next_.erase(std::find(next_.begin(), next_.end(), watcher.get()));
  graveyard_.push_back(std::move(watcher));
}

void EventLoop::run() {
  epoll_event events[kEventsPerRound];
  int64_t nextTick = monotonicMilliseconds() + 1000;
  while (running_) {
    const int64_t before = monotonicMilliseconds();
    const int timeout = next_.empty() ? static_cast<int>(std::max<int64_t>(nextTick - before, 0)) : 0;
    const int count = epoll_wait(epoll_.get(), events, kEventsPerRound, timeout);
    if (count < 0 && errno != EINTR) throwErrno("epoll_wait", "event loop");
    const int64_t milliseconds = monotonicMilliseconds();
    now_ = milliseconds / 1000;
    std::vector<Watcher*> turn = std::move(next_);
    next_.clear();
    for (Watcher* watcher : turn) watcher->waitsForTurn_ = false;
    for (int i = 0; i < count; i++) {
      auto* watcher = static_cast<Watcher*>(events[i].data.ptr);
      if (!watcher->retired_) watcher->ready(events[i].events);
    }
    for (Watcher* watcher : turn) {
      if (!watcher->retired_) watcher->resume();
    }
    if (milliseconds >= nextTick) {
      nextTick = milliseconds + 1000;
      if (tick_) tick_();
    }
    // What goes may retire others.
    for (std::vector<std::unique_ptr<Watcher>> gone; !graveyard_.empty(); gone.clear()) std::swap(gone, graveyard_);
  }
}

}  // namespace netloom::uplink
