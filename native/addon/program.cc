// Starting a shim. Node's child_process forks, which copies the page tables of the whole daemon: 7 ms of its main thread with a
// thousand containers, and growing. posix_spawn borrows the memory until the program runs.
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "arena.h"
#include "convert.h"

namespace netloom {

namespace {

void must(int error, const char* call, const std::string& path) {
  if (error != 0) throw SystemError(error, call, path);
}

struct Actions {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  Actions() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  Actions(const Actions&) = delete;
  ~Actions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
};

/// The end of a process can be polled for on this descriptor (pidfd_open(2), Linux 5.3).
UniqueFd openPidfd(pid_t pid) {
#ifdef SYS_pidfd_open
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
#else
  errno = ENOSYS;
  return UniqueFd();
#endif
}

// startProgram(path, arguments): { pid, pidfd, stderr }
Napi::Value startProgram(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const std::string path = textArgument(info, 0);
    const auto list = info[1].As<Napi::Array>();
    std::vector<std::string> texts{path};
    for (uint32_t i = 0; i < list.Length(); i++) texts.push_back(list.Get(i).As<Napi::String>().Utf8Value());
    std::vector<char*> arguments;
    for (std::string& text : texts) arguments.push_back(text.data());
    arguments.push_back(nullptr);
    char* environment[] = {nullptr};

    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) throwErrno("pipe2", path);
    UniqueFd ours(ends[0]), theirs(ends[1]);
    Actions actions;
    must(posix_spawn_file_actions_addopen(&actions.files, 0, "/dev/null", O_RDWR, 0), "posix_spawn", path);
    must(posix_spawn_file_actions_addopen(&actions.files, 1, "/dev/null", O_RDWR, 0), "posix_spawn", path);
    must(posix_spawn_file_actions_adddup2(&actions.files, theirs.get(), 2), "posix_spawn", path);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&actions.attributes, &none);
    posix_spawnattr_setsigdefault(&actions.attributes, &all);  // node ignores SIGPIPE
    posix_spawnattr_setflags(&actions.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    pid_t pid = 0;
    must(posix_spawn(&pid, path.c_str(), &actions.files, &actions.attributes, arguments.data(), environment), "posix_spawn", path);
    UniqueFd pidfd = openPidfd(pid);
    if (!pidfd) {
      const int failure = errno;
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
      throw SystemError(failure, "pidfd_open", path);
    }
    auto result = Napi::Object::New(info.Env());
    result.Set("pid", static_cast<double>(pid));
    result.Set("pidfd", pidfd.release());
    result.Set("stderr", ours.release());
    return result;
  });
}

// takeExitStatus(pid): its exit status, -N when signal N ended it. Of a process that has ended: it does not wait long.
Napi::Value takeExitStatus(const Napi::CallbackInfo& info) {
  return guarded(info, [&]() -> Napi::Value {
    const pid_t pid = intArgument(info, 0);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
      if (errno != EINTR) throwErrno("waitpid", std::to_string(pid));
    }
    return Napi::Number::New(info.Env(), WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
  });
}

}  // namespace

void registerProgram(Napi::Env env, Napi::Object exports) {
  exports.Set("startProgram", Napi::Function::New<startProgram>(env, "startProgram"));
  exports.Set("takeExitStatus", Napi::Function::New<takeExitStatus>(env, "takeExitStatus"));
}

}  // namespace netloom
