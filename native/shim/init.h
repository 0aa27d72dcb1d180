// The PID 1 of a sandbox made with `init`: adopts orphans and buries them, and holds the PID namespace open between
// the processes that come and go.
#pragma once

#include <sys/types.h>

#include <string>

#include "ground.h"

namespace netloom::shim {

/// Starts it as the first child in the new PID namespace, where it makes `ground` its own; it dies with the caller, which must
/// be single-threaded. Signals other than SIGKILL and SIGSTOP from outside do nothing to it: it has no handlers (kill(2)).
/// `warning` tells what could not be mounted. Throws SystemError.
pid_t startInit(const Ground& ground, std::string& warning);

}  // namespace netloom::shim
