// Network namespaces without touching the calling thread's own: setns and unshare change one thread only, so the
// work is done on a thread that lives just for it. What it opens there (sockets, TAPs) keeps the namespace it was
// opened in and may be used from any thread afterwards.
#pragma once

#include <fcntl.h>
#include <sched.h>

#include <exception>
#include <string>
#include <thread>

#include "system_error.h"
#include "unique_fd.h"

namespace netloom {

/// Calls `work` on a short-lived thread; an exception in it is thrown again here.
template <typename Work>
void onShortLivedThread(Work&& work) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

/// Calls `work` inside the network namespace that `netns` (an fd of a /proc/PID/ns/net file) names. A negative
/// `netns` means the caller's own namespace: `work` then runs at once, with no thread.
template <typename Work>
void inNetns(int netns, Work&& work) {
  if (netns < 0) return work();
  onShortLivedThread([&] {
    if (setns(netns, CLONE_NEWNET) < 0) throwErrno("setns", "network namespace fd " + std::to_string(netns));
    work();
  });
}

/// Opens a namespace file: /proc/PID/ns/net, or a bind mount of one (/run/netns/NAME).
inline UniqueFd openNetns(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throwErrno("open", path);
  return fd;
}

/// A new, empty network namespace that lives as long as the returned fd (or anything opened inside it).
inline UniqueFd createNetns() {
  UniqueFd fd;
  onShortLivedThread([&] {
    if (unshare(CLONE_NEWNET) < 0) throwErrno("unshare", "new network namespace");
    fd = openNetns("/proc/thread-self/ns/net");
  });
  return fd;
}

}  // namespace netloom
