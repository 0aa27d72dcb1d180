// Batched reads and writes of a TAP's frames: one crossing from JavaScript per device and batch, nothing allocated here.
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "datagram_run.h"
#include "frame_call.h"
#include "vnet_header.h"

namespace netloom {

namespace {

/// read(2) that is not cut short by a signal.
ssize_t readOnce(int fd, void* into, size_t capacity) {
  ssize_t got;
  while ((got = read(fd, into, capacity)) < 0 && errno == EINTR) {
  }
  return got;
}

// readFrames(arena, fd, vnetHeaderLength, out, max, result): number; the contract is in src/io/native-binding.ts
napi_value readFrames(napi_env env, napi_callback_info info) {
  const FrameCall arguments(env, info);
  Arena& arena = arguments.arena(0);
  const int fd = arguments.number(1);
  const int32_t vnet = arguments.number(2);
  int32_t* out = arguments.array(3);
  const int32_t max = arguments.number(4);
  int32_t* result = arguments.array(5);

  const int32_t smallCapacity = arena.smallSlotSize - arena.headroom;
  const size_t capacity = static_cast<size_t>(arena.largeSlotSize - arena.headroom + vnet);
  int32_t malformed = 0, truncated = 0, ended = 0, count = 0, bytes = 0;
  while (count < max && bytes < kBatchBytes) {
    // Both stacks are looked at before the read, so that a frame is never taken from the kernel and then lost for want
    // of a slot: the caller grows the pool and calls again.
    if (arena.tops[0] == 0 || arena.tops[1] == 0) {
      ended = ENOBUFS;
      break;
    }
    // The large slot stays on its stack while frames are small: the next read finds it in the cache.
    const int32_t large = arena.largeFree[arena.tops[1] - 1];
    const int32_t largeStart = arena.slotStart(large) + arena.headroom;
    uint8_t* frame = arena.chunkOf(large) + largeStart;
    const ssize_t got = readOnce(fd, frame - vnet, capacity);
    if (got <= 0) {
      ended = got == 0 ? 0 : errno;  // 0: end of file, which a TAP never gives
      break;
    }
    const int32_t length = static_cast<int32_t>(got) - vnet;
    if (static_cast<size_t>(got) == capacity) {  // the kernel cuts silently: a full buffer is all that tells
      truncated++;
      continue;
    }
    if (length <= 0) {
      malformed++;
      continue;
    }
    const bool small = length <= smallCapacity;
    const int32_t handle = small ? arena.smallFree[arena.tops[0] - 1] : large;
    arena.flags[handle] = 0;
    if (vnet > 0 && !takeVnetHeader(arena, handle, frame - vnet, vnet, length)) {
      malformed++;
      continue;
    }
    if (small) {
      arena.tops[0]--;
      const int32_t start = arena.slotStart(handle) + arena.headroom;
      std::memcpy(arena.chunkOf(handle) + start, frame, static_cast<size_t>(length));
      arena.start[handle] = start;
    } else {
      arena.tops[1]--;
      arena.start[handle] = largeStart;
    }
    arena.length[handle] = length;
    out[count++] = handle;
    bytes += length;
  }
  result[0] = ended;
  result[1] = malformed;
  result[2] = truncated;
  return arguments.answer(count);
}

// discardFrames(fd, max): number
napi_value discardFrames(napi_env env, napi_callback_info info) {
  const FrameCall arguments(env, info);
  const int fd = arguments.number(0);
  const int32_t max = arguments.number(1);
  uint8_t none[kMaxVnetHeader];  // a frame is taken off the queue whole, however little of it is read
  int32_t count = 0;
  while (count < max && readOnce(fd, none, sizeof none) > 0) count++;
  return arguments.answer(count);
}

// writeFrames(arena, fd, vnetHeaderLength, handles, from, count, result, joins): number
napi_value writeFrames(napi_env env, napi_callback_info info) {
  const FrameCall arguments(env, info);
  const Arena& arena = arguments.arena(0);
  const int fd = arguments.number(1);
  const int32_t vnet = arguments.number(2);
  int32_t* handles = arguments.array(3) + arguments.number(4);
  const int32_t count = arguments.number(5);
  int32_t* result = arguments.array(6);

  const int32_t joins = arguments.number(7);

  int32_t done = 0, failed = 0, lastFailure = 0, ended = 0, alone = 0;
  DatagramRun run(arena);
  while (done < count) {
    const int joined = joins != 0 && done >= alone ? run.find(handles + done, count - done, joins) : 0;
    if (joined > 0) {
      const ssize_t put = run.write(fd, vnet, handles + done, joined);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0 && errno == EAGAIN) {
        ended = EAGAIN;
        break;
      }
      if (put >= 0) done += joined;
      else alone = done + joined;  // refused as one: each for itself, so that each has its own errno
      continue;
    }
    const int32_t handle = handles[done];
    const int32_t start = arena.start[handle];
    const size_t length = static_cast<size_t>(arena.length[handle]);
    uint8_t* frame = arena.chunkOf(handle) + start;
    ssize_t put;
    if (vnet <= start - arena.slotStart(handle)) {  // the header goes into the headroom: one contiguous write
      if (vnet > 0) fillVnetHeader(arena, handle, frame - vnet, vnet);
      put = write(fd, frame - vnet, length + static_cast<size_t>(vnet));
    } else {  // encapsulated so deep that the headroom is used up
      uint8_t header[kMaxVnetHeader];
      fillVnetHeader(arena, handle, header, vnet);
      const iovec parts[] = {{header, static_cast<size_t>(vnet)}, {frame, length}};
      put = writev(fd, parts, 2);
    }
    if (put < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        ended = EAGAIN;
        break;
      }
      failed++;
      lastFailure = errno;
      handles[done] = ~handle;
    }
    done++;
  }
  result[0] = ended;
  result[1] = failed;
  result[2] = lastFailure;
  return arguments.answer(done);
}

}  // namespace

void registerFrameIo(Napi::Env env, Napi::Object exports) {
  setFrameFunction(env, exports, "readFrames", readFrames);
  setFrameFunction(env, exports, "discardFrames", discardFrames);
  setFrameFunction(env, exports, "writeFrames", writeFrames);
}

}  // namespace netloom
