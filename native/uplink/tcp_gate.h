// Connections that containers open: the SYN is held until the outside has answered.
#pragma once

#include <memory>
#include <unordered_map>

#include "tcp_relay.h"

namespace netloom::uplink {

class TcpGate : public Watcher {
 public:
  /// `listener6` may be invalid.
  TcpGate(Helper& helper, TcpRelays& relays, UniqueFd tun, UniqueFd listener, UniqueFd listener6);

  /// SYNs on the TUN.
  void ready(uint32_t events) override;
  void tick();

 private:
  struct Listener : Watcher {
    TcpGate* gate = nullptr;
    UniqueFd socket;
    void ready(uint32_t) override { gate->accept(*this); }
  };
  /// An attempt to connect outside.
  struct Attempt : Watcher {
    TcpGate* gate = nullptr;
    SynPacket syn;
    std::vector<uint8_t> packet;
    UniqueFd outer;
    SourceShares::Share opening, descriptors;
    bool isLetIn = false;  ///< connected outside; the container's handshake goes on
    int64_t deadline = 0;
    void ready(uint32_t) override { gate->decided(*this); }
  };

  void handle(const uint8_t* packet, size_t length);
  void decided(Attempt& attempt);
  /// Tells the container why there is no connection.
  void refuse(Attempt& attempt, int error);
  void letIn(Attempt& attempt);
  void forget(Attempt& attempt);
  void accept(Listener& listener);

  Helper& helper_;
  TcpRelays& relays_;
  UniqueFd tun_;
  SourceShares openings_;
  Listener listeners_[2];
  std::unordered_map<Tuple, std::unique_ptr<Attempt>, TupleHash> attempts_;
};

}  // namespace netloom::uplink
