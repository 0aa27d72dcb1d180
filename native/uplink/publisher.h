// Published ports: listening sockets outside, from which connections and datagrams go to a container.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "published_udp.h"
#include "tcp_relay.h"

namespace netloom::uplink {

class Publisher {
 public:
  Publisher(Helper& helper, TcpRelays& relays, UdpRelay& udp) : helper_(helper), relays_(relays), udp_(udp) {}

  /// Listens at `from`; what comes there goes to `target`. Throws SystemError: EADDRINUSE, EADDRNOTAVAIL, EACCES.
  void publish(const std::string& key, bool tcp, const Endpoint& from, const Endpoint& target);
  /// Connections that are open go on. An unknown key is no error.
  void unpublish(const std::string& key);
  void tick();

 private:
  struct TcpPort : PublishedPort {
    Publisher* publisher = nullptr;
    UniqueFd listener;
    Endpoint target;
    void ready(uint32_t) override { publisher->accept(*this); }
    void close() override { listener.reset(-1); }
  };
  /// A connection that was accepted outside, on its way to the container.
  struct Opening : Watcher {
    Publisher* publisher = nullptr;
    UniqueFd inner, outer;
    SourceShares::Share descriptors;
    int64_t deadline = 0;
    void ready(uint32_t) override { publisher->opened(*this); }
  };

  void accept(TcpPort& port);
  UniqueFd connectInside(const Endpoint& client, const Endpoint& target);
  void opened(Opening& opening);
  void end(Opening& opening);

  Helper& helper_;
  TcpRelays& relays_;
  UdpRelay& udp_;
  std::map<std::string, std::unique_ptr<PublishedPort>> ports_;
  std::unordered_map<Opening*, std::unique_ptr<Opening>> openings_;
};

}  // namespace netloom::uplink
