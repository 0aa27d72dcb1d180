// What all parts of the helper share, and how packets that it makes itself leave towards the containers.
#pragma once

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "address.h"
#include "counters.h"
#include "event_loop.h"
#include "inside.h"
#include "packet.h"
#include "source_shares.h"

namespace netloom::uplink {

/// Seconds.
struct Timeouts {
  int64_t udpUnreplied = 30, udpAssured = 180, ping = 30;
};

struct Helper {
  /// `descriptorLimit`: how many this process may have.
  Helper(UniqueFd pair, size_t descriptorLimit) : inside(std::move(pair)), descriptors(descriptorLimit) {}

  EventLoop loop;
  Counters counters;
  InsideSockets inside;
  Timeouts timeouts;
  Address address, address6;  ///< the helper's own on tap0: the sender where none is known
  UniqueFd raw4, raw6;
  /// Those of containers' connections and flows, by the container's address.
  SourceShares descriptors;

  /// After an accept() or the like that failed for want of descriptors or memory: nothing more is heard of that socket until
  /// the next tick. It stays readable, and would keep the loop busy with failing.
  void restUntilTick(int fd, Watcher& watcher) {
    loop.modify(fd, 0, watcher);
    resting.push_back({fd, &watcher});
  }
  void wakeResting() {
    for (const auto& [fd, watcher] : std::exchange(resting, {})) loop.modify(fd, EPOLLIN, *watcher);
  }
  void forgetResting(const Watcher& watcher) {
    resting.erase(std::remove_if(resting.begin(), resting.end(), [&](const auto& one) { return one.second == &watcher; }), resting.end());
  }
  std::vector<std::pair<int, Watcher*>> resting;

  const Address& ownAddress(const Address& like) const { return like.isV4() ? address : address6; }

  /// A whole packet to a container. A full queue loses it, as any network may.
  void send(const std::vector<uint8_t>& packet, const Address& destination) {
    const SocketName name({destination, 0});
    sendto(destination.isV4() ? raw4.get() : raw6.get(), packet.data(), packet.size(), 0, name.get(), name.length);
  }

  void sendError(const IcmpReport& report, const Address& destination, const uint8_t* original, size_t length) {
    send(icmpErrorPacket(report, destination, original, length), destination);
    counters.icmpErrors++;
  }
};

}  // namespace netloom::uplink
