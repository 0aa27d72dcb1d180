// Output of a process whose client may come and go, as records appended to a file:
//
//   0                 8                12        16
//   +-----------------+----------------+---------+---------- ...
//   | time (LE, ns)   | length n (LE)  | stream  | n bytes
//   +-----------------+----------------+---------+---------- ...
//
// Time is CLOCK_REALTIME since 1970; the stream (LE) is 1 for stdout and a terminal, 2 for stderr. A record is one
// read of the pipe, at most 32 KiB. src/sandbox/process-log.ts reads it.
#pragma once

#include <string>

#include "../common/unique_fd.h"

namespace netloom::shim {

enum class ReadState { open, ended };

class LogFile {
 public:
  LogFile() = default;
  /// Appends to `name` in `directory`, created with mode 0600. Throws SystemError.
  LogFile(int directory, const std::string& name);

  /// Moves what a non-blocking pipe or pty holds into the file. On a full disk the bytes are lost and counted: a
  /// process must not stand still because its log cannot be kept.
  ReadState pump(int fd, int stream);

  uint64_t lostBytes() const { return lostBytes_; }

 private:
  UniqueFd file_;
  uint64_t lostBytes_ = 0;
};

}  // namespace netloom::shim
