// What the helper counts; README.md names them.
#pragma once

#include <cstdint>

namespace netloom::uplink {

struct Counters {
  uint64_t tcpOpened = 0, tcpRefused = 0, tcpUnreachable = 0, tcpDropped = 0, tcpReset = 0, tcpActive = 0, tcpAccepted = 0;
  uint64_t udpFlows = 0, udpActive = 0, udpOut = 0, udpIn = 0, udpDropped = 0;
  uint64_t pings = 0, pingReplies = 0, icmpErrors = 0;
  uint64_t bytesOut = 0, bytesIn = 0;
};

}  // namespace netloom::uplink
