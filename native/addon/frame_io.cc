// Batched reads and writes of frames: one crossing from JavaScript per device and batch, nothing allocated here.
// Raw Node-API instead of its C++ wrapper, since these run hundreds of thousands of times a second.
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arena.h"

namespace netloom {

namespace {

// virtio_net_hdr, little endian (TUNSETVNETLE): flags 0, gso_type 1, hdr_len 2, gso_size 4, csum_start 6, csum_offset 8,
// then num_buffers and, in the longer forms, fields that stay zero.
// <linux/virtio_net.h> itself is no C++ in some releases (a field named `class`), so its values stand here.
constexpr int kMaxVnetHeader = 24;
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kDataValid = 2;
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcpV4 = 1;
constexpr uint8_t kGsoUdpFragments = 3;
constexpr uint8_t kGsoTcpV6 = 4;
constexpr uint8_t kGsoUdpSegments = 5;
constexpr uint8_t kGsoEcn = 0x80;

uint16_t loadLe16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }
void storeLe16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

bool isKnownGso(uint8_t type) {
  switch (type & ~kGsoEcn) {
    case kGsoTcpV4:
    case kGsoUdpFragments:
    case kGsoTcpV6:
    case kGsoUdpSegments:
      return true;
    default:
      return false;
  }
}

/// Copies the header into the metadata of `handle`; false when it contradicts itself or the frame's length.
bool takeVnetHeader(Arena& arena, int32_t handle, const uint8_t* header, int32_t length) {
  int32_t flags = 0;
  if (header[0] & kNeedsChecksum) {
    const int32_t csumStart = loadLe16(header + 6);
    const int32_t csumOffset = loadLe16(header + 8);
    if (csumStart + csumOffset + 2 > length) return false;
    arena.csumStart[handle] = static_cast<uint16_t>(csumStart);
    arena.csumOffset[handle] = static_cast<uint16_t>(csumOffset);
    flags |= kFlagChecksum;
  } else if (header[0] & kDataValid) {
    flags |= kFlagChecksumValid;
  }
  if (header[1] != kGsoNone) {
    const uint16_t hdrLen = loadLe16(header + 2);
    const uint16_t gsoSize = loadLe16(header + 4);
    if (!isKnownGso(header[1]) || gsoSize == 0 || hdrLen > length) return false;
    arena.gsoType[handle] = header[1];
    arena.gsoSize[handle] = gsoSize;
    arena.hdrLen[handle] = hdrLen;
    flags |= kFlagGso;
  }
  arena.flags[handle] = flags;
  return true;
}

void fillVnetHeader(const Arena& arena, int32_t handle, uint8_t* header, int vnetHeaderLength) {
  std::memset(header, 0, static_cast<size_t>(vnetHeaderLength));
  const int32_t flags = arena.flags[handle];
  if (flags & kFlagChecksum) {
    header[0] = kNeedsChecksum;
    storeLe16(header + 6, arena.csumStart[handle]);
    storeLe16(header + 8, arena.csumOffset[handle]);
  } else if (flags & kFlagChecksumValid) {
    header[0] = kDataValid;
  }
  if (flags & kFlagGso) {
    header[1] = arena.gsoType[handle];
    storeLe16(header + 2, arena.hdrLen[handle]);
    storeLe16(header + 4, arena.gsoSize[handle]);
  }
}

struct Arguments {
  napi_env env;
  napi_value values[7];

  Arguments(napi_env env, napi_callback_info info) : env(env) {
    size_t count = 7;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  Arena& arena(int index) const {
    void* pointer = nullptr;
    napi_get_value_external(env, values[index], &pointer);
    return *static_cast<Arena*>(pointer);
  }
  int32_t number(int index) const {
    int32_t value = 0;
    napi_get_value_int32(env, values[index], &value);
    return value;
  }
  int32_t* array(int index) const {
    void* data = nullptr;
    napi_get_typedarray_info(env, values[index], nullptr, nullptr, &data, nullptr, nullptr);
    return static_cast<int32_t*>(data);
  }
  napi_value answer(int32_t value) const {
    napi_value result;
    napi_create_int32(env, value, &result);
    return result;
  }
};

/// read(2) that is not cut short by a signal.
ssize_t readOnce(int fd, void* into, size_t capacity) {
  ssize_t got;
  while ((got = read(fd, into, capacity)) < 0 && errno == EINTR) {
  }
  return got;
}

// readFrames(arena, fd, vnetHeaderLength, out, max, result): number; the contract is in src/io/native-binding.ts
napi_value readFrames(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Arena& arena = arguments.arena(0);
  const int fd = arguments.number(1);
  const int32_t vnet = arguments.number(2);
  int32_t* out = arguments.array(3);
  const int32_t max = arguments.number(4);
  int32_t* result = arguments.array(5);

  const int32_t smallCapacity = arena.smallSlotSize - arena.headroom;
  const size_t capacity = static_cast<size_t>(arena.largeSlotSize - arena.headroom + vnet);
  int32_t malformed = 0, truncated = 0, ended = 0, count = 0;
  while (count < max) {
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
    if (vnet > 0 && !takeVnetHeader(arena, handle, frame - vnet, length)) {
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
  }
  result[0] = ended;
  result[1] = malformed;
  result[2] = truncated;
  return arguments.answer(count);
}

// discardFrames(fd, max): number
napi_value discardFrames(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const int fd = arguments.number(0);
  const int32_t max = arguments.number(1);
  uint8_t none[kMaxVnetHeader];  // a frame is taken off the queue whole, however little of it is read
  int32_t count = 0;
  while (count < max && readOnce(fd, none, sizeof none) > 0) count++;
  return arguments.answer(count);
}

// writeFrames(arena, fd, vnetHeaderLength, handles, from, count, result): number
napi_value writeFrames(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const Arena& arena = arguments.arena(0);
  const int fd = arguments.number(1);
  const int32_t vnet = arguments.number(2);
  int32_t* handles = arguments.array(3) + arguments.number(4);
  const int32_t count = arguments.number(5);
  int32_t* result = arguments.array(6);

  int32_t done = 0, failed = 0, lastFailure = 0, ended = 0;
  while (done < count) {
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

void set(Napi::Env env, Napi::Object exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  exports.Set(name, Napi::Value(env, function));
}

}  // namespace

void registerFrameIo(Napi::Env env, Napi::Object exports) {
  set(env, exports, "readFrames", readFrames);
  set(env, exports, "discardFrames", discardFrames);
  set(env, exports, "writeFrames", writeFrames);
}

}  // namespace netloom
