// One published UDP port and the flows of its clients.
#pragma once

#include <unordered_map>

#include "udp_relay.h"

namespace netloom::uplink {

/// A port that is published, of either protocol.
class PublishedPort : public Watcher {
 public:
  /// Frees the port, at once.
  virtual void close() = 0;
};

class PublishedUdp : public PublishedPort {
 public:
  /// `socket` is bound, and tells the address that a datagram came to (openPublishedUdp).
  PublishedUdp(UdpRelay& relay, UniqueFd socket, const Endpoint& target);
  ~PublishedUdp() override { close(); }

  void ready(uint32_t events) override;
  void close() override;

 private:
  class Flow;

  Flow* find(const Endpoint& client) const;
  /// null when the client's address and port are another flow's, or there is no room.
  Flow* begin(const Endpoint& client);

  UdpRelay& relay_;
  UniqueFd socket_;
  const Endpoint target_;
  std::unordered_map<Endpoint, Flow*, EndpointHash> clients_;
};

/// Makes a socket tell where each datagram came to, and its TTL.
void tellDestinations(int fd, bool v6);

}  // namespace netloom::uplink
