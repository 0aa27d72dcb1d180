#include "program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace netloom::shim {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string variable(const std::vector<std::string>& env, const std::string& name) {
  for (const std::string& entry : env) {
    if (entry.compare(0, name.size() + 1, name + "=") == 0) return entry.substr(name.size() + 1);
  }
  return "";
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

constexpr int kNotExecutable = -1;  // where EACCES would mean that it cannot even be looked at

/// What Go's exec.LookPath says about a program's file, or 0: Docker looks before it leaps.
int checkExecutable(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) < 0) return errno;
  return S_ISDIR(found.st_mode) || !(found.st_mode & 0111) ? kNotExecutable : 0;
}

/// The program's file, by the new process's PATH, or a failure with the sentences of Docker.
std::string findProgram(const std::string& name, const std::vector<std::string>& env, int report) {
  const std::string quoted = "exec: \"" + name + "\": ";
  if (name.find('/') != std::string::npos) {
    const int error = checkExecutable(name);
    if (error == 0) return name;
    if (error == kNotExecutable) fail(report, EACCES, quoted + "permission denied");
    fail(report, error, quoted + "stat " + name + ": " + lowerCase(std::strerror(error)));
  }
  std::string path = variable(env, "PATH");
  if (path.empty()) path = kDefaultPath;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find(':', at), path.size());
    const std::string directory = path.substr(at, end - at);
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (checkExecutable(candidate) == 0) return candidate;
    at = end + 1;
  }
  fail(report, ENOENT, quoted + "executable file not found in $PATH");
}

}  // namespace

void fail(int report, int error, const std::string& text) {
  Report message{};
  message.error = error;
  std::strncpy(message.text, text.c_str(), sizeof message.text - 1);
  if (write(report, &message, sizeof message) < 0) _exit(126);
  _exit(127);
}

std::string lowerCase(std::string text) {  // Go begins its errno texts so
  text[0] = static_cast<char>(std::tolower(text[0]));
  return text;
}

void execute(std::vector<std::string>& argv, std::vector<std::string>& env, bool asDocker, int report) {
  const std::string program = findProgram(argv[0], env, report);
  const auto arguments = pointers(argv), variables = pointers(env);
  execve(program.c_str(), arguments.data(), variables.data());
  const int error = errno;
  const std::string reason = lowerCase(std::strerror(error));
  if (!asDocker || error == E2BIG) fail(report, error, "exec: \"" + argv[0] + "\": " + reason);
  // A file without a format, or without its interpreter: for Docker the container has started by now, and says so itself.
  dprintf(2, "exec %s: %s\n", program.c_str(), reason.c_str());
  _exit(1);
}

}  // namespace netloom::shim
