// Two connected TCP sockets joined: bytes by splice(2), FIN as shutdown, RST as RST.
#pragma once

#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "helper.h"

namespace netloom::uplink {

/// Pipes for bytes on their way; given back when they are empty.
class PipePool {
 public:
  struct Pipe {
    UniqueFd reader, writer;
    explicit operator bool() const { return static_cast<bool>(reader); }
  };
  /// Invalid when there are no descriptors left.
  Pipe take();
  void give(Pipe pipe);

 private:
  std::vector<Pipe> spare_;
};

class TcpRelays;

/// A connection of a container to the outside, or from there to it. Owned by TcpRelays until it ends.
class TcpRelay : public Watcher {
 public:
  TcpRelay(TcpRelays& relays, UniqueFd inner, UniqueFd outer, SourceShares::Share descriptors);
  void start();

 private:
  friend class TcpRelays;

  void ready(uint32_t) override {}  // a watcher so that it can be retired while its sides still run

  /// One of the two sockets, as the event loop sees it.
  struct Side : Watcher {
    TcpRelay* relay = nullptr;
    UniqueFd socket;
    int number = 0;
    void ready(uint32_t events) override { relay->ready(number, events); }
    void resume() override { relay->pump(number); }
  };
  /// From side `number` to the other.
  struct Direction {
    PipePool::Pipe pipe;
    size_t queued = 0;
    bool ended = false;    ///< FIN came
    bool finished = false; ///< and was handed on
    bool starved = false;  ///< there was no pipe
  };
  enum class Outcome { waits, goesOn, brokenFrom, brokenTo };

  void ready(int number, uint32_t events);
  /// Moves what can be moved out of side `number`.
  void pump(int number);
  Outcome move(int number);
  /// The connection of side `number` is broken: what came from there goes on to the other side first, which is reset then.
  void broken(int number);
  /// Moves on what came before the break, and ends when the other side has acknowledged it, or has taken none of it for too long.
  void drain();
  void end(bool reset);

  TcpRelays& relays_;
  std::unique_ptr<Side> sides_[2];  ///< inner, outer
  SourceShares::Share share_;       ///< of descriptors
  Direction directions_[2];
  int broken_ = -1;           ///< side, or -1: neither
  int unacknowledged_ = 0;    ///< bytes that the other side had not acknowledged at the last look
  int64_t patientUntil_ = 0;  ///< of the loop's seconds; later with each byte that moves
  bool over_ = false;
};

class TcpRelays {
 public:
  explicit TcpRelays(Helper& helper);

  /// `descriptors`: what the container holds for the two.
  void add(UniqueFd inner, UniqueFd outer, SourceShares::Share descriptors);
  /// Those that found no pipe try again.
  void tick();

  Helper& helper;
  PipePool pipes;

 private:
  friend class TcpRelay;
  /// Acknowledgements are no event of a socket: those that wait for them look every few milliseconds.
  struct Looks : Watcher {
    TcpRelays* relays = nullptr;
    UniqueFd timer;
    void ready(uint32_t) override { relays->look(); }
  };
  void remove(TcpRelay* relay);
  void look();
  void setLooking(bool looking);

  Looks looks_;
  std::unordered_set<TcpRelay*> draining_;
  std::unordered_map<TcpRelay*, std::unique_ptr<TcpRelay>> relays_;
};

/// Closes so that the peer gets a RST.
void resetAndClose(UniqueFd& socket);

}  // namespace netloom::uplink
