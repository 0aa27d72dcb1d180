// Output of a process whose client may come and go, as records appended to a file:
//
//   0                 8                12        16
//   +-----------------+----------------+---------+---------- ...
//   | time (LE, ns)   | length n (LE)  | stream  | n bytes
//   +-----------------+----------------+---------+---------- ...
//
// Time is CLOCK_REALTIME since 1970; the stream (LE) is 1 for stdout and a terminal, 2 for stderr. A record is one
// read of the pipe, at most 32 KiB. src/sandbox/process-log.ts reads it.
//
// A log that has reached its size goes on in a new file: NAME, NAME.1, NAME.2, ... No file is ever renamed, so that a reader at
// the end of one finds the next by its number; the oldest are removed.
#pragma once

#include <string>

#include "../common/unique_fd.h"

namespace netloom::shim {

enum class ReadState { open, ended };

struct LogLimits {
  uint64_t maxBytes = 0;  ///< of a file, which may exceed it by one record; 0: no limit
  uint64_t maxFiles = 1;  ///< the current one included
};

class LogFile {
 public:
  /// Goes on with the last file of `name` in `directory`, or begins the first, with mode 0600. An unfinished record at its end,
  /// of a writer that was killed, is cut off. Throws SystemError.
  LogFile(int directory, const std::string& name, const LogLimits& limits);

  /// Moves what a non-blocking pipe or pty holds into the file. On a full disk the bytes are lost and counted: a
  /// process must not stand still because its log cannot be kept.
  ReadState pump(int fd, int stream);

  uint64_t lostBytes() const { return lostBytes_; }

 private:
  void findFiles();
  bool openFile(uint64_t number, int flags);
  std::string fileName(uint64_t number) const;
  void rotate();

  UniqueFd directory_;
  const std::string name_;
  const LogLimits limits_;
  UniqueFd file_;
  uint64_t first_ = 0;    ///< numbers of the oldest file and of the one that is written
  uint64_t current_ = 0;
  uint64_t size_ = 0;
  uint64_t lostBytes_ = 0;
};

}  // namespace netloom::shim
