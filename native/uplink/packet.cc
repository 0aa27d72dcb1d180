#include "packet.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <algorithm>
#include <cerrno>

namespace netloom::uplink {
namespace {

constexpr uint8_t kTtl = 64;
constexpr size_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20, kIcmpHeader = 8;
constexpr size_t kMaxIcmp4 = 576, kMaxIcmp6 = 1280;

void put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

void put32(uint8_t* at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

uint32_t get16(const uint8_t* at) { return static_cast<uint32_t>(at[0]) << 8 | at[1]; }
uint32_t get32(const uint8_t* at) { return get16(at) << 16 | get16(at + 2); }

/// Ones-complement sum in the machine's own order (RFC 1071 section 2 (B)): eight bytes at a time, unfolded.
uint64_t sum(const uint8_t* bytes, size_t length, uint64_t total = 0) {
  for (; length >= 8; bytes += 8, length -= 8) {
    uint32_t words[2];
    std::memcpy(words, bytes, 8);
    total += static_cast<uint64_t>(words[0]) + words[1];
  }
  uint32_t rest[2] = {};
  std::memcpy(rest, bytes, length);
  return total + rest[0] + rest[1];
}

/// Folds and complements; the two bytes are stored as they are in memory.
uint16_t finish(uint64_t total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return static_cast<uint16_t>(~total);
}

/// Sum of the pseudo-header (RFC 768, RFC 8200 section 8.1).
uint64_t pseudoHeader(const Address& source, const Address& destination, uint8_t protocol, size_t length) {
  uint8_t tail[8];
  put32(tail, static_cast<uint32_t>(length));
  put32(tail + 4, protocol);
  return sum(tail, 8, sum(destination.data(), destination.size(), sum(source.data(), source.size())));
}

size_t writeIpHeader(uint8_t* at, const Address& source, const Address& destination, uint8_t protocol, uint8_t ttl, size_t payload) {
  if (source.isV4()) {
    std::memset(at, 0, kIpv4Header);
    at[0] = 0x45;
    put16(at + 2, static_cast<uint32_t>(std::min<size_t>(kIpv4Header + payload, 0xffff)));
    at[8] = ttl;
    at[9] = protocol;
    std::memcpy(at + 12, source.data(), 4);
    std::memcpy(at + 16, destination.data(), 4);
    const uint16_t checksum = finish(sum(at, kIpv4Header));
    std::memcpy(at + 10, &checksum, 2);
    return kIpv4Header;
  }
  std::memset(at, 0, kIpv6Header);
  at[0] = 0x60;
  put16(at + 4, static_cast<uint32_t>(payload));
  at[6] = protocol;
  at[7] = ttl;
  std::memcpy(at + 8, source.bytes.data(), 16);
  std::memcpy(at + 24, destination.bytes.data(), 16);
  return kIpv6Header;
}

}  // namespace

bool parseSyn(const uint8_t* packet, size_t length, SynPacket& syn) {
  if (length < kIpv4Header) return false;
  size_t header;
  Address source, destination;
  if (packet[0] >> 4 == 4) {
    header = static_cast<size_t>(packet[0] & 15) * 4;
    if (header < kIpv4Header || packet[9] != IPPROTO_TCP || (get16(packet + 6) & 0x3fff) != 0) return false;
    source = Address::ofV4(packet + 12);
    destination = Address::ofV4(packet + 16);
    syn.ttl = packet[8];
  } else {
    header = kIpv6Header;
    if (packet[0] >> 4 != 6 || length < header || packet[6] != IPPROTO_TCP) return false;
    source = Address::ofV6(packet + 8);
    destination = Address::ofV6(packet + 24);
    if (source.isV4() || destination.isV4()) return false;  // mapped addresses are not for the wire (RFC 4038 section 4.2)
    syn.ttl = packet[7];
  }
  if (length < header + kTcpHeader) return false;
  const uint8_t* tcp = packet + header;
  if ((tcp[13] & 0x17) != 0x02) return false;  // FIN, SYN, RST, ACK: SYN alone
  syn.tuple = {{source, static_cast<uint16_t>(get16(tcp))}, {destination, static_cast<uint16_t>(get16(tcp + 2))}};
  syn.sequence = get32(tcp + 4);
  return true;
}

IcmpReport reportOf(int error, const Address& destination, const Address& sender) {
  IcmpReport report;
  report.sender = sender;
  const bool v4 = destination.isV4();
  uint8_t code;
  switch (error) {
    case ENETUNREACH: code = v4 ? ICMP_NET_UNREACH : ICMP6_DST_UNREACH_NOROUTE; break;
    case EHOSTUNREACH: code = v4 ? ICMP_HOST_UNREACH : ICMP6_DST_UNREACH_ADDR; break;
    case ECONNREFUSED: code = v4 ? ICMP_PORT_UNREACH : ICMP6_DST_UNREACH_NOPORT; break;
    case EACCES:  // a route or a firewall that prohibits
    case EPERM: code = v4 ? ICMP_PKT_FILTERED : ICMP6_DST_UNREACH_ADMIN; break;
    default: return report;
  }
  report.type = v4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH;
  report.code = code;
  return report;
}

size_t writeUdpHeaders(uint8_t* headers, const Endpoint& source, const Endpoint& destination, uint8_t ttl, const uint8_t* payload,
                       size_t length) {
  const size_t ip = writeIpHeader(headers, source.address, destination.address, IPPROTO_UDP, ttl, 8 + length);
  uint8_t* udp = headers + ip;
  put16(udp, source.port);
  put16(udp + 2, destination.port);
  put16(udp + 4, static_cast<uint32_t>(std::min<size_t>(8 + length, 0xffff)));
  put16(udp + 6, 0);
  if (payload == nullptr) return ip + 8;
  uint16_t checksum = finish(sum(payload, length, sum(udp, 8, pseudoHeader(source.address, destination.address, IPPROTO_UDP, 8 + length))));
  if (checksum == 0) checksum = 0xffff;  // RFC 768: 0 says that there is none
  std::memcpy(udp + 6, &checksum, 2);
  return ip + 8;
}

std::vector<uint8_t> icmpPacket(const Address& source, const Address& destination, uint8_t ttl, std::vector<uint8_t> message) {
  put16(message.data() + 2, 0);
  const uint64_t pseudo = source.isV4() ? 0 : pseudoHeader(source, destination, IPPROTO_ICMPV6, message.size());
  const uint16_t checksum = finish(sum(message.data(), message.size(), pseudo));
  std::memcpy(message.data() + 2, &checksum, 2);
  std::vector<uint8_t> packet(source.isV4() ? kIpv4Header : kIpv6Header);
  writeIpHeader(packet.data(), source, destination, source.isV4() ? uint8_t{IPPROTO_ICMP} : uint8_t{IPPROTO_ICMPV6}, ttl, message.size());
  packet.insert(packet.end(), message.begin(), message.end());
  return packet;
}

std::vector<uint8_t> icmpErrorPacket(const IcmpReport& report, const Address& destination, const uint8_t* original, size_t length) {
  const bool v4 = destination.isV4();
  const size_t most = v4 ? kMaxIcmp4 - kIpv4Header - kIcmpHeader : kMaxIcmp6 - kIpv6Header - kIcmpHeader;
  std::vector<uint8_t> message(kIcmpHeader);
  message[0] = report.type;
  message[1] = report.code;
  put32(&message[4], v4 ? report.info & 0xffff : report.info);  // RFC 1191 section 4, RFC 4443 section 3.2
  message.insert(message.end(), original, original + std::min(length, most));
  return icmpPacket(report.sender, destination, kTtl, std::move(message));
}

std::vector<uint8_t> resetPacket(const SynPacket& syn) {
  const auto& [inside, outside] = syn.tuple;
  std::vector<uint8_t> packet(kIpv6Header + kTcpHeader);
  const size_t header = writeIpHeader(packet.data(), outside.address, inside.address, IPPROTO_TCP, kTtl, kTcpHeader);
  packet.resize(header + kTcpHeader);
  uint8_t* tcp = packet.data() + header;
  put16(tcp, outside.port);
  put16(tcp + 2, inside.port);
  put32(tcp + 8, syn.sequence + 1);
  tcp[12] = 5 << 4;
  tcp[13] = 0x14;  // RST, ACK
  const uint16_t checksum = finish(sum(tcp, kTcpHeader, pseudoHeader(outside.address, inside.address, IPPROTO_TCP, kTcpHeader)));
  std::memcpy(tcp + 16, &checksum, 2);
  return packet;
}

}  // namespace netloom::uplink
