// Echo requests of containers, sent by ping sockets (icmp(7), SOCK_DGRAM).
#pragma once

#include <memory>
#include <unordered_map>

#include "helper.h"

namespace netloom::uplink {

class PingRelay {
 public:
  /// Raw sockets that hear echo requests; `receiver6` may be invalid.
  PingRelay(Helper& helper, UniqueFd receiver, UniqueFd receiver6);
  void tick();

 private:
  struct Receiver : Watcher {
    PingRelay* relay = nullptr;
    UniqueFd socket;
    bool v6 = false;
    void ready(uint32_t) override { relay->receive(*this); }
  };
  /// One identifier towards one address. The kernel gives the socket an identifier of its own.
  struct Flow : Watcher {
    PingRelay* relay = nullptr;
    Tuple tuple;  ///< source port: the identifier
    UniqueFd socket;
    SourceShares::Share place, descriptor;
    int64_t lastUsed = 0;
    int ttl = -1;
    void ready(uint32_t) override { relay->answered(*this); }
  };

  void receive(Receiver& receiver);
  void request(const Tuple& tuple, int ttl, uint8_t* message, size_t length);
  void answered(Flow& flow);
  Flow* flowOf(const Tuple& tuple);
  void remove(Flow& flow);
  void sendError(const Tuple& tuple, const IcmpReport& report, const uint8_t* message, size_t length);

  Helper& helper_;
  Receiver receivers_[2];
  SourceShares places_;
  std::unordered_map<Tuple, std::unique_ptr<Flow>, TupleHash> flows_;
};

}  // namespace netloom::uplink
