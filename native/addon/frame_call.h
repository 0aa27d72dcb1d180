// Arguments of the functions that move frames. Raw Node-API instead of its C++ wrapper, since these run hundreds of
// thousands of times a second.
#pragma once

#include "arena.h"

namespace netloom {

// A batch ends with the frame that reaches this: 64 super-frames would be 4 MiB, out of the cache before they are
// written again (10 % more system time per byte than with this limit, on a core with 1 MiB of L2).
constexpr int32_t kBatchBytes = 192 * 1024;

struct FrameCall {
  napi_env env;
  napi_value values[8];

  FrameCall(napi_env env, napi_callback_info info) : env(env) {
    size_t count = 8;
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

inline void setFrameFunction(Napi::Env env, Napi::Object exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  exports.Set(name, Napi::Value(env, function));
}

}  // namespace netloom
