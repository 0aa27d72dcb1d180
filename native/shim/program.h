// The last step of a new process: finding its program and becoming it, with the words of Docker for what goes wrong.
#pragma once

#include <string>
#include <vector>

namespace netloom::shim {

/// What a child tells through its pipe before it becomes the program: a warning, then nothing or a failure.
struct Report {
  int error;  ///< 0: a warning
  char text[508];
};

/// Reports a failure and ends.
[[noreturn]] void fail(int report, int error, const std::string& text);

/// Go begins its errno texts with a small letter.
std::string lowerCase(std::string text);

/// Executes `argv` with `env`, looked up in the PATH of that, or reports why not. `asDocker`: what execve itself refuses is
/// no failure to start but said on stderr by the process, which ends with 1.
[[noreturn]] void execute(std::vector<std::string>& argv, std::vector<std::string>& env, bool asDocker, int report);

}  // namespace netloom::shim
