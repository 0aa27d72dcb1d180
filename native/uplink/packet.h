// Packets that the helper makes itself: UDP and echo answers, RST, ICMP errors. RFC 791, 8200, 768, 793, 792, 4443.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <vector>

#include "address.h"

namespace netloom::uplink {

constexpr size_t kMaxHeaders = 48;  ///< IPv6 and UDP

/// A TCP packet as it came from a TUN, looked at just as far as the gate needs it.
struct SynPacket {
  Tuple tuple;
  uint32_t sequence = 0;
  uint8_t ttl = 0;
};

/// Whether the bytes are a whole SYN (and not SYN+ACK) of either family, without IPv6 extension headers.
bool parseSyn(const uint8_t* packet, size_t length, SynPacket& syn);

/// ICMP error as the outside reported it.
struct IcmpReport {
  uint8_t type = 0, code = 0;
  uint32_t info = 0;   ///< the MTU of fragmentation needed, packet too big
  Address sender;      ///< the router or host that sent it
};

/// "Destination unreachable" with the code that says what this errno of connect() or send() says; type 0 for none.
IcmpReport reportOf(int error, const Address& destination, const Address& sender);

/// IP and UDP headers, both checksums included, in front of a payload. Returns their length. The IPv4 identification stays 0:
/// a raw socket fills it in.
size_t writeUdpHeaders(uint8_t* headers, const Endpoint& source, const Endpoint& destination, uint8_t ttl, const uint8_t* payload,
                       size_t length);

/// A whole packet with an ICMP or ICMPv6 message, whose checksum field is filled in here.
std::vector<uint8_t> icmpPacket(const Address& source, const Address& destination, uint8_t ttl, std::vector<uint8_t> message);

/// The error about `original` (from its IP header on, or as much as is known), quoting as much as RFC 1812 4.3.2.3 and RFC 4443 2.4
/// allow. `report` is of the family of the original.
std::vector<uint8_t> icmpErrorPacket(const IcmpReport& report, const Address& destination, const uint8_t* original, size_t length);

/// The answer to a SYN at a closed port (RFC 9293 3.10.7.1).
std::vector<uint8_t> resetPacket(const SynPacket& syn);

}  // namespace netloom::uplink
