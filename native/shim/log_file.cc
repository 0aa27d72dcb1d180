#include "log_file.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

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

}  // namespace

LogFile::LogFile(int directory, const std::string& name)
    : file_(openat(directory, name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
  if (!file_) throwErrno("open", "log file " + name);
}

ReadState LogFile::pump(int fd, int stream) {
  char bytes[kRecord];
  for (;;) {
    const ssize_t got = read(fd, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return ReadState::open;
    if (got <= 0) return ReadState::ended;  // a pty reports EIO when its last other end has closed
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    RecordHeader header{htole64(now.tv_sec * 1000000000ull + now.tv_nsec), htole32(static_cast<uint32_t>(got)),
                        htole32(static_cast<uint32_t>(stream))};
    iovec parts[] = {{&header, sizeof header}, {bytes, static_cast<size_t>(got)}};
    const auto whole = static_cast<ssize_t>(sizeof header) + got;
    const off_t before = lseek(file_.get(), 0, SEEK_END);
    const ssize_t wrote = writev(file_.get(), parts, 2);
    if (wrote == whole) continue;
    lostBytes_ += static_cast<uint64_t>(got);
    if (wrote > 0 && ftruncate(file_.get(), before) < 0) return ReadState::open;  // half a record would hide all later ones
  }
}

}  // namespace netloom::shim
