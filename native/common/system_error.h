// A failed system call as a C++ exception: what failed, on which object, and errno.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>

namespace netloom {

class SystemError : public std::runtime_error {
 public:
  /// `syscall` must be a string literal; `object` names what it was done to ("TAP eth0", "/proc/7/ns/net").
  SystemError(int number, const char* syscall, const std::string& object)
      : std::runtime_error(object), number(number), syscall(syscall) {}

  const int number;
  const char* const syscall;
};

[[noreturn]] inline void throwErrno(const char* syscall, const std::string& object) {
  throw SystemError(errno, syscall, object);
}

}  // namespace netloom
