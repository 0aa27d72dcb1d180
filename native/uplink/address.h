// Addresses of both families in one form, keys of tables, and their way to and from sockaddr.
#pragma once

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

namespace netloom::uplink {

/// 16 bytes in network order; IPv4 is mapped (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2).
struct Address {
  std::array<uint8_t, 16> bytes{};

  static Address ofV4(const void* four) {
    Address address;
    address.bytes[10] = address.bytes[11] = 0xff;
    std::memcpy(&address.bytes[12], four, 4);
    return address;
  }
  static Address ofV6(const void* sixteen) {
    Address address;
    std::memcpy(address.bytes.data(), sixteen, 16);
    return address;
  }
  /// Unspecified when the text is neither; TypeScript has checked it.
  static Address parse(const std::string& text) {
    uint8_t raw[16];
    if (inet_pton(AF_INET, text.c_str(), raw) == 1) return ofV4(raw);
    if (inet_pton(AF_INET6, text.c_str(), raw) == 1) return ofV6(raw);
    return {};
  }

  bool isV4() const { return half(0) == 0 && half(8) >> 32 == 0xffff; }
  /// 4 or 16 bytes.
  const uint8_t* data() const { return isV4() ? &bytes[12] : bytes.data(); }
  size_t size() const { return isV4() ? 4 : 16; }
  int family() const { return isV4() ? AF_INET : AF_INET6; }

  bool isLoopback() const {
    return isV4() ? bytes[12] == 127 : half(0) == 0 && half(8) == 1;
  }
  /// Whether a container may be connected to it: not to the user's loopback (which connect() also reaches by the unspecified
  /// address), not to groups, and not to IPv6 addresses that mean something on one link only.
  bool isOutside() const {
    if (isV4()) return bytes[12] != 0 && bytes[12] != 127 && bytes[12] < 224;
    if (half(0) == 0 && half(8) <= 1) return false;                  // ::, ::1
    if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) return false;  // fe80::/10
    return bytes[0] != 0xff;
  }
  bool operator==(const Address& other) const { return bytes == other.bytes; }

 private:
  /// Eight bytes as a number.
  uint64_t half(size_t at) const {
    uint64_t word;
    std::memcpy(&word, &bytes[at], sizeof word);
    return be64toh(word);
  }
};

struct Endpoint {
  Address address;
  uint16_t port = 0;  ///< host order; of an echo flow, its identifier

  static Endpoint of(const sockaddr_storage& name) {
    if (name.ss_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
      return {Address::ofV4(&v4.sin_addr), ntohs(v4.sin_port)};
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
    return {Address::ofV6(&v6.sin6_addr), ntohs(v6.sin6_port)};
  }
  bool operator==(const Endpoint& other) const { return port == other.port && address == other.address; }
};

/// An endpoint as the system calls want it.
struct SocketName {
  sockaddr_storage storage{};
  socklen_t length = 0;

  explicit SocketName(const Endpoint& endpoint) {
    if (endpoint.address.isV4()) {
      auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
      v4.sin_family = AF_INET;
      v4.sin_port = htons(endpoint.port);
      std::memcpy(&v4.sin_addr, endpoint.address.data(), 4);
      length = sizeof v4;
    } else {
      auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(endpoint.port);
      std::memcpy(&v6.sin6_addr, endpoint.address.bytes.data(), 16);
      length = sizeof v6;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// A flow as the container has it: `source` is inside.
struct Tuple {
  Endpoint source, destination;

  bool operator==(const Tuple& other) const { return source == other.source && destination == other.destination; }
};

struct EndpointHash {
  size_t operator()(const Endpoint& endpoint) const {
    uint64_t words[2];
    std::memcpy(words, endpoint.address.bytes.data(), 16);
    uint64_t hash = (words[0] ^ (words[1] * 0x9e3779b97f4a7c15u) ^ endpoint.port) * 0xbf58476d1ce4e5b9u;
    return hash ^ (hash >> 29);
  }
};

struct AddressHash {
  size_t operator()(const Address& address) const { return EndpointHash()({address, 0}); }
};

struct TupleHash {
  size_t operator()(const Tuple& tuple) const {
    return EndpointHash()(tuple.source) * 31 + EndpointHash()(tuple.destination);
  }
};

}  // namespace netloom::uplink
