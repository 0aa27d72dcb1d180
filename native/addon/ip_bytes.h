// Fields and sums of headers in network byte order, for what moves packets between sockets and frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace netloom {

inline uint32_t get16(const uint8_t* at) { return static_cast<uint32_t>(at[0]) << 8 | at[1]; }
inline uint32_t get32(const uint8_t* at) { return get16(at) << 16 | get16(at + 2); }
inline void put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
inline void put32(uint8_t* at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

/// Ones-complement sum in the machine's own order, unfolded (RFC 1071 section 2 (B)). Only the last piece may be odd.
inline uint64_t sumBytes(const uint8_t* bytes, size_t length, uint64_t total = 0) {
  for (; length >= 16; bytes += 16, length -= 16) {
    uint32_t words[4];
    std::memcpy(words, bytes, 16);
    total += static_cast<uint64_t>(words[0]) + words[1] + words[2] + words[3];
  }
  uint32_t rest[4] = {};
  std::memcpy(rest, bytes, length);
  return total + rest[0] + rest[1] + rest[2] + rest[3];
}

inline uint16_t foldSum(uint64_t total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return static_cast<uint16_t>(total);
}

/// Stores a sum, or its complement as a checksum: the two bytes as they are in memory.
inline void storeSum(uint8_t* at, uint16_t sum) { std::memcpy(at, &sum, 2); }
inline void storeChecksum(uint8_t* at, uint64_t total) {
  const uint16_t sum = static_cast<uint16_t>(~foldSum(total));
  storeSum(at, sum == 0 ? 0xffff : sum);
}

/// Of the IPv4 or IPv6 header at `ip` (RFC 793, RFC 8200 8.1).
inline uint64_t pseudoHeader(const uint8_t* ip, uint8_t protocol, uint32_t length) {
  uint8_t tail[8];
  put32(tail, length);
  put32(tail + 4, protocol);
  return sumBytes(tail, 8, (ip[0] >> 4) == 4 ? sumBytes(ip + 12, 8) : sumBytes(ip + 8, 32));
}

inline void fillIpv4Checksum(uint8_t* ip) {
  put16(ip + 10, 0);
  storeSum(ip + 10, static_cast<uint16_t>(~foldSum(sumBytes(ip, static_cast<size_t>(ip[0] & 15) * 4))));
}

}  // namespace netloom
