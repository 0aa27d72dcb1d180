#include "log_file.h"

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <vector>

#include "../common/system_error.h"

namespace netloom::shim {
namespace {

constexpr size_t kRecord = 32 * 1024;

struct RecordHeader {
  uint64_t time;
  uint32_t length;
  uint32_t stream;
};
static_assert(sizeof(RecordHeader) == 16, "the layout in log_file.h");

/// Where the last whole record of a file ends.
uint64_t wholeRecords(int file) {
  std::vector<char> chunk(256 * 1024);
  uint64_t at = 0;
  for (;;) {
    const ssize_t got = pread(file, chunk.data(), chunk.size(), static_cast<off_t>(at));
    if (got <= 0) return at;
    uint64_t whole = 0;
    for (RecordHeader header; whole + sizeof header <= static_cast<uint64_t>(got);) {
      std::memcpy(&header, chunk.data() + whole, sizeof header);
      const uint64_t end = whole + sizeof header + le32toh(header.length);
      if (le32toh(header.length) > kRecord || end > static_cast<uint64_t>(got)) break;
      whole = end;
    }
    if (whole == 0) return at;
    at += whole;
  }
}

}  // namespace

LogFile::LogFile(int directory, const std::string& name, const LogLimits& limits)
    : directory_(fcntl(directory, F_DUPFD_CLOEXEC, 0)), name_(name), limits_(limits) {
  findFiles();
  if (!openFile(current_, O_CREAT)) throwErrno("open", "log file " + fileName(current_));
  const off_t end = lseek(file_.get(), 0, SEEK_END);
  size_ = end > 0 ? wholeRecords(file_.get()) : 0;
  if (end > 0 && size_ < static_cast<uint64_t>(end) && ftruncate(file_.get(), static_cast<off_t>(size_)) < 0) {
    throwErrno("ftruncate", "log file " + fileName(current_));
  }
}

std::string LogFile::fileName(uint64_t number) const { return number == 0 ? name_ : name_ + "." + std::to_string(number); }

bool LogFile::openFile(uint64_t number, int flags) {
  file_ = UniqueFd(openat(directory_.get(), fileName(number).c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
  return static_cast<bool>(file_);
}

void LogFile::findFiles() {
  bool found = faccessat(directory_.get(), name_.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  DIR* listing = fdopendir(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!listing) return;
  while (const dirent* entry = readdir(listing)) {
    const std::string candidate = entry->d_name;
    if (candidate.compare(0, name_.size() + 1, name_ + ".") != 0) continue;
    uint64_t number = 0;
    const char* const end = candidate.data() + candidate.size();
    const auto result = std::from_chars(candidate.data() + name_.size() + 1, end, number);
    if (result.ec != std::errc() || result.ptr != end || number == 0) continue;
    current_ = std::max(current_, number);
    first_ = found ? std::min(first_, number) : number;
    found = true;
  }
  closedir(listing);
}

void LogFile::rotate() {
  UniqueFd full = std::move(file_);
  if (!openFile(current_ + 1, O_CREAT | O_EXCL)) {
    file_ = std::move(full);  // no space for another one: the old one goes on
    return;
  }
  current_++;
  size_ = 0;
  while (current_ - first_ + 1 > limits_.maxFiles) unlinkat(directory_.get(), fileName(first_++).c_str(), 0);
}

ReadState LogFile::pump(int fd, int stream) {
  char bytes[kRecord];
  for (;;) {
    const ssize_t got = read(fd, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return ReadState::open;
    if (got <= 0) return ReadState::ended;  // a pty reports EIO when its last other end has closed
    if (limits_.maxBytes && size_ >= limits_.maxBytes) rotate();
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    RecordHeader header{htole64(now.tv_sec * 1000000000ull + now.tv_nsec), htole32(static_cast<uint32_t>(got)),
                        htole32(static_cast<uint32_t>(stream))};
    iovec parts[] = {{&header, sizeof header}, {bytes, static_cast<size_t>(got)}};
    const auto whole = static_cast<ssize_t>(sizeof header) + got;
    const ssize_t wrote = writev(file_.get(), parts, 2);
    if (wrote == whole) {
      size_ += static_cast<uint64_t>(whole);
      continue;
    }
    lostBytes_ += static_cast<uint64_t>(got);
    // Half a record would hide all later ones.
    if (wrote > 0 && ftruncate(file_.get(), static_cast<off_t>(size_)) < 0) return ReadState::open;
  }
}

}  // namespace netloom::shim
