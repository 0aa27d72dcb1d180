// The host's mounts, as /proc/self/mountinfo lists them (proc(5)).
#pragma once

#include <string>
#include <vector>

namespace netloom::shim {

/// Mount points (directories, a parent before what is in it) of file systems that keep files: not of the kernel's own, of
/// networks, of memory.
std::vector<std::string> diskMounts();

/// Where the file system of that type is mounted whose super options have `word` ("" for any), or "".
std::string findMount(const std::string& type, const std::string& word = "");

}  // namespace netloom::shim
