#include "arena.h"

#include "convert.h"

namespace netloom {

namespace {

/// Fills `pointer` from the typed array options[name] and keeps that array alive.
template <typename Element>
void bind(Arena& arena, Napi::Object options, const char* name, Element*& pointer) {
  Napi::Value view = options.Get(name);
  void* data = nullptr;
  if (!view.IsTypedArray() || napi_get_typedarray_info(options.Env(), view, nullptr, nullptr, &data, nullptr, nullptr) != napi_ok) {
    throw Napi::TypeError::New(options.Env(), std::string("createArena: ") + name + " must be a typed array");
  }
  pointer = static_cast<Element*>(data);
  arena.keepAlive.push_back(Napi::Persistent(view.As<Napi::Object>()));
}

Napi::Value createArena(const Napi::CallbackInfo& info) {
  auto options = info[0].As<Napi::Object>();
  auto arena = std::make_unique<Arena>();
  arena->largeBase = options.Get("largeBase").As<Napi::Number>().Int32Value();
  arena->smallSlotSize = options.Get("smallSlotSize").As<Napi::Number>().Int32Value();
  arena->largeSlotSize = options.Get("largeSlotSize").As<Napi::Number>().Int32Value();
  arena->headroom = options.Get("headroom").As<Napi::Number>().Int32Value();
  bind(*arena, options, "start", arena->start);
  bind(*arena, options, "length", arena->length);
  bind(*arena, options, "flags", arena->flags);
  bind(*arena, options, "gsoType", arena->gsoType);
  bind(*arena, options, "gsoSize", arena->gsoSize);
  bind(*arena, options, "hdrLen", arena->hdrLen);
  bind(*arena, options, "csumStart", arena->csumStart);
  bind(*arena, options, "csumOffset", arena->csumOffset);
  bind(*arena, options, "smallFree", arena->smallFree);
  bind(*arena, options, "largeFree", arena->largeFree);
  bind(*arena, options, "tops", arena->tops);
  return Napi::External<Arena>::New(info.Env(), arena.release(), [](Napi::Env, Arena* ended) { delete ended; });
}

void arenaAddChunk(const Napi::CallbackInfo& info) {
  Arena& arena = *info[0].As<Napi::External<Arena>>().Data();
  const size_t number = info[1].As<Napi::Number>().Uint32Value();
  if (arena.chunks.size() <= number) arena.chunks.resize(number + 1);
  arena.chunks[number] = bytesOf(info.Env(), info[2]).first;
  arena.keepAlive.push_back(Napi::Persistent(info[2].As<Napi::Object>()));
}

}  // namespace

void registerArena(Napi::Env env, Napi::Object exports) {
  exports.Set("createArena", Napi::Function::New<createArena>(env, "createArena"));
  exports.Set("arenaAddChunk", Napi::Function::New<arenaAddChunk>(env, "arenaAddChunk"));
}

}  // namespace netloom
