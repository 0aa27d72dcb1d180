// Between Node-API and the plain C++ of native/common: errors, numbers, byte arrays.
#pragma once

#include <napi.h>

#include <cstring>
#include <string>
#include <utility>

#include "../common/system_error.h"
#include "../common/unique_fd.h"

namespace netloom {

/// The JavaScript form of a failed system call, in the shape of Node's own: code 'EPERM', errno (negative, as Node
/// has it), syscall, and a message that names the object.
inline Napi::Error toJsError(Napi::Env env, const SystemError& error) {
  const char* code = strerrorname_np(error.number);
  const std::string name = code ? code : "E" + std::to_string(error.number);
  auto result = Napi::Error::New(env, name + ": " + std::strerror(error.number) + ", " + error.syscall + " '" + error.what() + "'");
  result.Set("code", name);
  result.Set("errno", static_cast<double>(-error.number));
  result.Set("syscall", error.syscall);
  return result;
}

/// Runs a binding's body; a SystemError leaves it as a JavaScript exception.
template <typename Body>
auto guarded(const Napi::CallbackInfo& info, Body&& body) {
  try {
    return body();
  } catch (const SystemError& error) {
    throw toJsError(info.Env(), error);
  }
}

inline int intArgument(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Number>().Int32Value(); }

inline std::string textArgument(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::String>().Utf8Value(); }

/// Pointer and size of a Uint8Array, also one on a SharedArrayBuffer, where napi_get_arraybuffer_info (and so
/// Napi::TypedArray::ArrayBuffer) fails.
inline std::pair<uint8_t*, size_t> bytesOf(Napi::Env env, napi_value array) {
  void* data = nullptr;
  size_t length = 0;
  if (napi_get_typedarray_info(env, array, nullptr, &length, &data, nullptr, nullptr) != napi_ok) {
    throw Napi::TypeError::New(env, "a Uint8Array is wanted");
  }
  return {static_cast<uint8_t*>(data), length};
}

inline Napi::Uint8Array toUint8Array(Napi::Env env, const uint8_t* data, size_t length) {
  auto array = Napi::Uint8Array::New(env, length);
  if (length > 0) std::memcpy(array.Data(), data, length);
  return array;
}

}  // namespace netloom
