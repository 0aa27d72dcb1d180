#include "message.h"

#include <cerrno>
#include <charconv>

#include "../common/system_error.h"

namespace netloom::shim {
namespace {

void appendLittleEndian(std::vector<uint8_t>& bytes, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(value >> shift));
}

uint32_t littleEndian(const std::vector<uint8_t>& bytes, size_t at) {
  return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | static_cast<uint32_t>(bytes[at + 3]) << 24;
}

/// The value when `text` is `key=value` of that key, else a view with a null pointer.
std::string_view valueOf(std::string_view text, std::string_view key) {
  if (text.size() <= key.size() || text.compare(0, key.size(), key) != 0 || text[key.size()] != '=') return {};
  return text.substr(key.size() + 1);
}

}  // namespace

std::string_view Message::word() const { return fields.empty() ? std::string_view() : std::string_view(fields[0]); }

std::string Message::get(std::string_view key, std::string_view fallback) const {
  for (size_t i = 1; i < fields.size(); i++) {
    if (const auto value = valueOf(fields[i], key); value.data()) return std::string(value);
  }
  return std::string(fallback);
}

bool Message::has(std::string_view key) const {
  for (size_t i = 1; i < fields.size(); i++) {
    if (valueOf(fields[i], key).data()) return true;
  }
  return false;
}

std::vector<std::string> Message::all(std::string_view key) const {
  std::vector<std::string> values;
  for (size_t i = 1; i < fields.size(); i++) {
    if (const auto value = valueOf(fields[i], key); value.data()) values.emplace_back(value);
  }
  return values;
}

int64_t Message::integer(std::string_view key) const {
  const std::string text = get(key);
  int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    throw SystemError(EINVAL, "parse", std::string(key) + " '" + text + "' is not an integer");
  }
  return value;
}

int64_t Message::integer(std::string_view key, int64_t fallback) const { return has(key) ? integer(key) : fallback; }

std::vector<uint8_t> encode(const Message& message) {
  std::vector<uint8_t> bytes;
  appendLittleEndian(bytes, message.number);
  for (const std::string& text : message.fields) {
    appendLittleEndian(bytes, static_cast<uint32_t>(text.size()));
    bytes.insert(bytes.end(), text.begin(), text.end());
  }
  return bytes;
}

Message decode(const std::vector<uint8_t>& bytes) {
  const SystemError malformed(EBADMSG, "decode", "a message of " + std::to_string(bytes.size()) + " bytes");
  if (bytes.size() < 4) throw malformed;
  Message message;
  message.number = littleEndian(bytes, 0);
  for (size_t at = 4; at < bytes.size();) {
    if (bytes.size() - at < 4) throw malformed;
    const size_t length = littleEndian(bytes, at);
    at += 4;
    if (length > bytes.size() - at) throw malformed;
    message.fields.emplace_back(reinterpret_cast<const char*>(bytes.data()) + at, length);
    at += length;
  }
  return message;
}

}  // namespace netloom::shim
