// What Node's fs lacks for unpacking images: FIFOs, overlayfs whiteouts, extended attributes.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <vector>

#include "arena.h"
#include "convert.h"

namespace netloom {

namespace {

/// The kernel's limit for a value and for a list of names: XATTR_SIZE_MAX, XATTR_LIST_MAX.
constexpr size_t maxXattrBytes = 65536;

void makeFifo(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const std::string path = textArgument(info, 0);
    if (mkfifo(path.c_str(), static_cast<mode_t>(intArgument(info, 1))) < 0) throwErrno("mkfifo", path);
  });
}

void makeWhiteout(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const std::string path = textArgument(info, 0);
    if (mknod(path.c_str(), S_IFCHR, makedev(0, 0)) < 0) throwErrno("mknod", path);
  });
}

void setXattr(const Napi::CallbackInfo& info) {
  guarded(info, [&] {
    const std::string path = textArgument(info, 0);
    const std::string name = textArgument(info, 1);
    const auto [value, length] = bytesOf(info.Env(), info[2]);
    if (lsetxattr(path.c_str(), name.c_str(), value, length, 0) < 0) throwErrno("lsetxattr", path + " " + name);
  });
}

Napi::Value getXattr(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::string path = textArgument(info, 0);
    const std::string name = textArgument(info, 1);
    std::vector<uint8_t> value(maxXattrBytes);
    const ssize_t length = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (length < 0 && (errno == ENODATA || errno == ENOTSUP)) return info.Env().Null();
    if (length < 0) throwErrno("lgetxattr", path + " " + name);
    return toUint8Array(info.Env(), value.data(), static_cast<size_t>(length));
  });
}

Napi::Value listXattrs(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::string path = textArgument(info, 0);
    std::vector<char> names(maxXattrBytes);
    ssize_t length = llistxattr(path.c_str(), names.data(), names.size());
    if (length < 0 && errno == ENOTSUP) length = 0;
    if (length < 0) throwErrno("llistxattr", path);
    auto result = Napi::Array::New(info.Env());
    for (size_t at = 0; at < static_cast<size_t>(length); at += std::strlen(&names[at]) + 1) result.Set(result.Length(), std::string(&names[at]));
    return result;
  });
}

}  // namespace

void registerFileNodes(Napi::Env env, Napi::Object exports) {
  exports.Set("makeFifo", Napi::Function::New<makeFifo>(env, "makeFifo"));
  exports.Set("makeWhiteout", Napi::Function::New<makeWhiteout>(env, "makeWhiteout"));
  exports.Set("setXattr", Napi::Function::New<setXattr>(env, "setXattr"));
  exports.Set("getXattr", Napi::Function::New<getXattr>(env, "getXattr"));
  exports.Set("listXattrs", Napi::Function::New<listXattrs>(env, "listXattrs"));
}

}  // namespace netloom
