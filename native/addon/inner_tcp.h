// TCP segments inside VXLAN datagrams that belong together: what a network card's large receive offload, or the kernel's GRO
// (net/ipv4/tcp_offload.c), does for the packets of an interface.
#pragma once

#include <cstdint>
#include <cstring>

#include "ip_bytes.h"
#include "udp_underlay.h"

namespace netloom {

/// A datagram with a TCP segment inside that may be joined with its neighbors. Offsets from the VXLAN header.
struct InnerTcp {
  bool isCandidate = false;
  bool isFour = false;
  int ip = 0;
  int tcp = 0;
  int payloadAt = 0;
  int payload = 0;
  uint32_t sequence = 0;
  bool isPushed = false;
};

/// Where an inner packet of TCP or UDP has its transport header, from the VXLAN header, and whether the checksum there was left undone:
/// the field holds the pseudo-header's sum. A kernel on the same machine does so, since its packet crosses no wire.
struct InnerTransport {
  int at = 0;
  int checksumOffset = 0;
  bool isFour = false;
  bool isTcp = false;
  bool isUnfinished = false;
};

inline InnerTransport readInnerTransport(const uint8_t* vxlan, int length) {
  InnerTransport found;
  const int ip = kVxlanHeader + kEthernetHeader;
  if (length < ip + kIpv4Header + 8) return found;
  const uint8_t* header = vxlan + ip;
  const uint32_t type = get16(header - 2);
  uint8_t protocol = 0;
  int end = 0;
  if (type == 0x0800 && (header[0] >> 4) == 4 && (get16(header + 6) & 0x3fff) == 0) {
    protocol = header[9];
    found.isFour = true;
    found.at = ip + (header[0] & 15) * 4;
    end = ip + static_cast<int>(get16(header + 2));
  } else if (type == 0x86dd && length >= ip + kIpv6Header) {
    protocol = header[6];
    found.at = ip + kIpv6Header;
    end = found.at + static_cast<int>(get16(header + 4));
  }
  found.isTcp = protocol == kTcp;
  found.checksumOffset = found.isTcp ? 16 : 6;
  if ((protocol != kTcp && protocol != kUdp) || end > length || end < found.at + (found.isTcp ? 20 : 8)) return InnerTransport{};
  const auto size = static_cast<uint32_t>(end - found.at);
  const uint64_t pseudo = pseudoHeader(header, protocol, size);
  uint16_t field;
  std::memcpy(&field, vxlan + found.at + found.checksumOffset, 2);
  found.isUnfinished = field == foldSum(pseudo) && foldSum(sumBytes(vxlan + found.at, size, pseudo)) != 0xffff;
  return found;
}

constexpr uint8_t kAck = 0x10;
constexpr uint8_t kPsh = 0x08;

/// Reads a datagram. A candidate has data, no flags but ACK and PSH, no options of IP, and a right checksum or one left undone: what is
/// joined says that it is right.
inline InnerTcp readInnerTcp(const uint8_t* vxlan, int length) {
  InnerTcp found;
  const int ip = kVxlanHeader + kEthernetHeader;
  if (length < ip + kIpv4Header + 20) return found;
  const uint32_t type = get16(vxlan + ip - 2);
  const uint8_t* header = vxlan + ip;
  if (type == 0x0800) {
    if (header[0] != 0x45 || (get16(header + 6) & 0x3fff) != 0 || header[9] != kTcp) return found;
    if (static_cast<int>(get16(header + 2)) != length - ip || foldSum(sumBytes(header, kIpv4Header)) != 0xffff) return found;
    found.isFour = true;
    found.tcp = ip + kIpv4Header;
  } else if (type == 0x86dd) {
    if (length < ip + kIpv6Header + 20 || (header[0] >> 4) != 6 || header[6] != kTcp) return found;
    if (static_cast<int>(get16(header + 4)) != length - ip - kIpv6Header) return found;
    found.tcp = ip + kIpv6Header;
  } else {
    return found;
  }
  const uint8_t* tcp = vxlan + found.tcp;
  const int headerLength = (tcp[12] >> 4) * 4;
  found.ip = ip;
  found.payloadAt = found.tcp + headerLength;
  found.payload = length - found.payloadAt;
  if (headerLength < 20 || found.payload <= 0 || (tcp[13] & ~(kAck | kPsh)) != 0 || !(tcp[13] & kAck)) return found;
  const auto size = static_cast<uint32_t>(length - found.tcp);
  const uint64_t pseudo = pseudoHeader(header, kTcp, size);
  uint16_t field;
  std::memcpy(&field, tcp + 16, 2);
  if (foldSum(sumBytes(tcp, size, pseudo)) != 0xffff && field != foldSum(pseudo)) return found;
  found.sequence = get32(tcp + 4);
  found.isPushed = (tcp[13] & kPsh) != 0;
  found.isCandidate = true;
  return found;
}

/// Whether all headers of two candidates are the same but for lengths, identification, checksums, sequence and PSH.
inline bool haveSameHeaders(const uint8_t* a, const InnerTcp& first, const uint8_t* b, const InnerTcp& second) {
  if (first.isFour != second.isFour || first.payloadAt != second.payloadAt) return false;
  if (std::memcmp(a, b, static_cast<size_t>(first.ip)) != 0) return false;
  const uint8_t* ipA = a + first.ip;
  const uint8_t* ipB = b + first.ip;
  if (first.isFour) {
    if (ipA[1] != ipB[1] || std::memcmp(ipA + 6, ipB + 6, 4) != 0 || std::memcmp(ipA + 12, ipB + 12, 8) != 0) return false;
  } else if (std::memcmp(ipA, ipB, 4) != 0 || std::memcmp(ipA + 6, ipB + 6, 34) != 0) {
    return false;
  }
  const uint8_t* tcpA = a + first.tcp;
  const uint8_t* tcpB = b + second.tcp;
  const auto options = static_cast<size_t>(first.payloadAt - first.tcp - 20);
  return std::memcmp(tcpA, tcpB, 4) == 0 && std::memcmp(tcpA + 8, tcpB + 8, 4) == 0 && tcpA[12] == tcpB[12] &&
         std::memcmp(tcpA + 14, tcpB + 14, 2) == 0 && std::memcmp(tcpA + 20, tcpB + 20, options) == 0;
}

}  // namespace netloom
