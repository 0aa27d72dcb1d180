// The shim's messages: one SOCK_SEQPACKET datagram each. README.md describes the verbs.
//
//   0               4               8            8+n
//   +---------------+---------------+------------+---- ...
//   | number (LE)   | length n (LE) | field      | next field: length, bytes
//   +---------------+---------------+------------+---- ...
//
// The number of a request is chosen by the client and comes back in every reply to it; events have number 0. The first
// field is a word (the verb of a request; "ok", "part" or "error" of a reply; the name of an event). The others are
// `key=value`, where a key may come several times and a value may hold any bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../common/unique_fd.h"

namespace netloom::shim {

/// No message is longer: the default send buffer of a Unix socket (212,992 bytes) takes it whole.
constexpr size_t kMaxMessage = 128 * 1024;

struct Message {
  uint32_t number = 0;
  std::vector<std::string> fields;
  std::vector<UniqueFd> fds;

  Message() = default;
  Message(uint32_t number, std::vector<std::string> fields) : number(number), fields(std::move(fields)) {}

  /// The first field; empty when there is none.
  std::string_view word() const;
  /// The value of the first `key=value` field of that key, or `fallback`.
  std::string get(std::string_view key, std::string_view fallback = "") const;
  bool has(std::string_view key) const;
  /// All values of that key, in order.
  std::vector<std::string> all(std::string_view key) const;
  /// The value as a decimal integer. Throws SystemError EINVAL when it is missing or not one.
  int64_t integer(std::string_view key) const;
  int64_t integer(std::string_view key, int64_t fallback) const;
};

std::vector<uint8_t> encode(const Message& message);
/// Throws SystemError EBADMSG when the lengths do not add up.
Message decode(const std::vector<uint8_t>& bytes);

inline std::string field(std::string_view key, std::string_view value) {
  return std::string(key) + "=" + std::string(value);
}
inline std::string field(std::string_view key, int64_t value) { return field(key, std::to_string(value)); }

}  // namespace netloom::shim
