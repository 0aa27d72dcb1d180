// The helper namespace's side: makes sockets there on request, and the other process's view of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::uplink {

/// Where tproxy sends to, of both protocols. Only the helper's own namespace knows the number.
constexpr uint16_t kRedirectPort = 1;

constexpr char kTunName[] = "tun0";

/// The letters of the sockets that are made once; upper case is IPv6's.
enum OnceMade : char {
  tun = 't',           ///< a TUN without headers, kTunName
  tcp = 'l',           ///< listens transparently on kRedirectPort, non-blocking
  udp = 'u',           ///< bound transparently to kRedirectPort; tells original destination and TTL
  icmp = 'i',          ///< raw, echo requests only; IPv6's tells destination and hop limit
  raw = 'r'            ///< sends whole packets from any source
};

/// Serves the other end of `pair` until it closes.
void serveInside(int pair);

/// What the process outside asks for.
class InsideSockets {
 public:
  explicit InsideSockets(UniqueFd pair) : pair_(std::move(pair)) {}

  /// All that is made once. Throws SystemError with what failed inside.
  std::map<char, UniqueFd> open();
  /// A new non-blocking TCP socket that may be bound to any address. Throws SystemError.
  UniqueFd tcpSocket(int family);

 private:
  std::vector<UniqueFd> ask(char letter, std::string& letters);

  UniqueFd pair_;
  std::vector<UniqueFd> spare_[2];  ///< they come in dozens: one question for a burst of connections
};

}  // namespace netloom::uplink
