// UDP in both directions: a connected socket outside for each flow of a container, and the answers to published ports.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "datagram_batch.h"
#include "helper.h"

namespace netloom::uplink {

class UdpRelay;

/// What a flow does with a container's datagrams.
class UdpFlow : public Watcher {
 public:
  UdpFlow(UdpRelay& relay, const Tuple& tuple) : relay_(relay), tuple_(tuple) {}
  /// Datagrams [from, to) of the batch go outside, with this TTL.
  virtual void forward(DatagramBatch& batch, int from, int to, uint8_t ttl) = 0;
  /// The flow is about to go.
  virtual void ending() {}

  const Tuple& tuple() const { return tuple_; }

 protected:
  friend class UdpRelay;
  UdpRelay& relay_;
  const Tuple tuple_;
  int64_t lastUsed_ = 0;
  bool isAssured_ = false;  ///< both sides have spoken
  std::list<UdpFlow*>::iterator place_;
};

class UdpRelay {
 public:
  /// `receiver6` may be invalid.
  UdpRelay(Helper& helper, UniqueFd receiver, UniqueFd receiver6);

  void tick();
  /// The flow of that tuple, or null.
  UdpFlow* find(const Tuple& tuple);
  /// Takes the flow; makes room for it when there are too many.
  UdpFlow& add(std::unique_ptr<UdpFlow> flow);
  void remove(UdpFlow& flow);
  /// The outside spoke: the flow lives on.
  void touch(UdpFlow& flow, bool isAssured);
  /// Sends datagrams [0, count) of the batch to the flow's container, as if from its destination.
  void deliver(UdpFlow& flow, DatagramBatch& batch, int from, int to);

  Helper& helper;
  DatagramBatch batch;

 private:
  struct Receiver : Watcher {
    UdpRelay* relay = nullptr;
    UniqueFd socket;
    void ready(uint32_t) override { relay->receive(socket.get()); }
  };

  void receive(int fd);
  /// The flow to which datagram `i` of the batch belongs, a new one if need be; null when it may not go out.
  UdpFlow* flowOf(const Tuple& tuple);
  void evict();

  Receiver receivers_[2];
  std::unordered_map<Tuple, std::unique_ptr<UdpFlow>, TupleHash> flows_;
  std::list<UdpFlow*> unreplied_, assured_;  ///< the oldest first
};

}  // namespace netloom::uplink
