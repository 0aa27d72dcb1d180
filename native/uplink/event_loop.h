// One thread's epoll: watchers of descriptors, work that goes on in the next round, and a tick each second.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::uplink {

/// Hears of its descriptors. May retire itself, or others, while it does.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void ready(uint32_t events) = 0;
  /// After EventLoop::again.
  virtual void resume() {}

 private:
  friend class EventLoop;
  bool retired_ = false;
  bool waitsForTurn_ = false;
};

class EventLoop {
 public:
  EventLoop();

  /// `events` of epoll_ctl(2). The descriptor leaves by being closed, or by `remove`. Throws SystemError.
  void add(int fd, uint32_t events, Watcher& watcher);
  void modify(int fd, uint32_t events, Watcher& watcher);
  void remove(int fd);
  /// Calls `resume` in the next round, after everybody else had a turn.
  void again(Watcher& watcher);
  /// Deletes the watcher when no event of this round can name it any more; it hears of nothing from now on.
  void retire(std::unique_ptr<Watcher> watcher);
  /// Calls back once a second.
  void onTick(std::function<void()> tick) { tick_ = std::move(tick); }
  /// Seconds of the monotonic clock, as of this round.
  int64_t now() const { return now_; }
  void run();
  void stop() { running_ = false; }

 private:
  UniqueFd epoll_;
  std::vector<Watcher*> next_;
  std::vector<std::unique_ptr<Watcher>> graveyard_;
  std::function<void()> tick_;
  int64_t now_;
  bool running_ = true;
};

}  // namespace netloom::uplink
