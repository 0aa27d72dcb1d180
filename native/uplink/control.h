// The helper's main object: one client's requests, and the parts that they start.
#pragma once

#include <memory>

#include "../shim/connection.h"
#include "ping_relay.h"
#include "publisher.h"
#include "tcp_gate.h"

namespace netloom::uplink {

class Control : public Watcher {
 public:
  Control(UniqueFd control, UniqueFd pair);
  /// Returns when the client has gone.
  void run();
  void ready(uint32_t events) override;

 private:
  std::vector<std::string> answer(const shim::Message& request);
  std::vector<std::string> begin(const shim::Message& request);
  void publish(const shim::Message& request);
  std::vector<std::string> stats() const;

  Helper helper_;
  shim::Connection connection_;
  TcpRelays relays_;
  std::unique_ptr<TcpGate> gate_;
  std::unique_ptr<UdpRelay> udp_;
  std::unique_ptr<PingRelay> pings_;
  std::unique_ptr<Publisher> publisher_;
};

}  // namespace netloom::uplink
