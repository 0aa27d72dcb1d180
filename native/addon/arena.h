// The frame pool as C++ sees it: raw pointers into the SharedArrayBuffers of src/engine/frame-pool.ts.
#pragma once

#include <napi.h>

#include <cstdint>
#include <vector>

namespace netloom {

// Bits of `flags`, values as in src/engine/frame-pool.ts.
constexpr int32_t kFlagChecksum = 1 << 1;
constexpr int32_t kFlagChecksumValid = 1 << 2;
constexpr int32_t kFlagGso = 1 << 3;

constexpr int kSlotBits = 13;  // a handle is (chunk << 13) | slot
constexpr int32_t kSlotMask = (1 << kSlotBits) - 1;

struct Arena {
  std::vector<uint8_t*> chunks;  // by chunk number; null where there is none yet
  int32_t largeBase = 0;         // first handle of the large class
  int32_t smallSlotSize = 0;
  int32_t largeSlotSize = 0;
  int32_t headroom = 0;

  // Metadata, indexed by handle.
  int32_t* start = nullptr;
  int32_t* length = nullptr;
  int32_t* flags = nullptr;
  uint8_t* gsoType = nullptr;
  uint16_t* gsoSize = nullptr;
  uint16_t* hdrLen = nullptr;
  uint16_t* csumStart = nullptr;
  uint16_t* csumOffset = nullptr;

  // Free stacks and how many handles each holds: tops[0] small, tops[1] large.
  int32_t* smallFree = nullptr;
  int32_t* largeFree = nullptr;
  int32_t* tops = nullptr;

  std::vector<Napi::ObjectReference> keepAlive;  // the JavaScript views: the memory lives as long as the arena

  uint8_t* chunkOf(int32_t handle) const { return chunks[static_cast<uint32_t>(handle) >> kSlotBits]; }
  int32_t slotStart(int32_t handle) const {
    return (handle & kSlotMask) * (handle >= largeBase ? largeSlotSize : smallSlotSize);
  }
};

void registerArena(Napi::Env env, Napi::Object exports);
void registerFrameIo(Napi::Env env, Napi::Object exports);
void registerPacketSocket(Napi::Env env, Napi::Object exports);
void registerPoller(Napi::Env env, Napi::Object exports);
void registerSystem(Napi::Env env, Napi::Object exports);
void registerMessages(Napi::Env env, Napi::Object exports);
void registerReadableWatch(Napi::Env env, Napi::Object exports);
void registerFileNodes(Napi::Env env, Napi::Object exports);
void registerBackgroundClose(Napi::Env env, Napi::Object exports);
void registerProgram(Napi::Env env, Napi::Object exports);
void registerUdpUnderlay(Napi::Env env, Napi::Object exports);

}  // namespace netloom
