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
  /// What a container holds; that which was used longest ago first.
  struct Source {
    std::list<UdpFlow*> unreplied, assured;
    std::list<UdpFlow*>& of(const UdpFlow& flow) { return flow.isAssured_ ? assured : unreplied; }
  };
  UdpRelay& relay_;
  const Tuple tuple_;
  int64_t lastUsed_ = 0;
  bool isAssured_ = false;  ///< both sides have spoken
  SourceShares::Share place_, descriptor_;
  Source* source_ = nullptr;
  std::list<UdpFlow*>::iterator at_;
};

class UdpRelay {
 public:
  /// `receiver6` may be invalid.
  UdpRelay(Helper& helper, UniqueFd receiver, UniqueFd receiver6);

  void tick();
  /// The flow of that tuple, or null.
  UdpFlow* find(const Tuple& tuple);
  /// Takes the flow, which holds a descriptor of its own or `descriptor` is nothing. Another one of the same container makes room when that
  /// has its share already; null when there is none to do so.
  UdpFlow* add(std::unique_ptr<UdpFlow> flow, SourceShares::Share descriptor);
  void remove(UdpFlow& flow);
  /// A datagram passed: the flow lives on, and others of its container make room before it does. `isAnswer`: both sides have spoken now.
  void touch(UdpFlow& flow, bool isAnswer);
  /// Sends datagrams [from, to) of the batch to their flows' containers, as if from the flows' destinations, all of one family.
  /// `flows[i]` is that of datagram i.
  void deliver(UdpFlow* const* flows, DatagramBatch& batch, int from, int to);

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
  /// Ends the flow of this container that was used longest ago, of those that nobody has answered if there are such. False when it has none.
  bool evict(const Address& source);

  Receiver receivers_[2];
  std::unordered_map<Tuple, std::unique_ptr<UdpFlow>, TupleHash> flows_;
  std::unordered_map<Address, UdpFlow::Source, AddressHash> sources_;
  SourceShares places_;
};

}  // namespace netloom::uplink
