#include "ground.h"

#include <sched.h>
#include <unistd.h>

#include "../common/system_error.h"
#include "kernel_files.h"
#include "namespaces.h"

namespace netloom::shim {

std::string enterGround(const Ground& ground, bool isFirst) {
  if (!ground.ownRoot) return isFirst ? mountProc() : "";
  // Also moves the root and the working directory, to the root of that namespace (setns(2)).
  if (setns(ground.mountNamespace.get(), CLONE_NEWNS) < 0) throwErrno("setns", "the sandbox's mounts");
  // Where the shim is in a chroot, that is not the sandbox's.
  if (fchdir(ground.root.get()) < 0 || chroot(".") < 0 || chdir("/") < 0) throwErrno("chroot", "the sandbox's root");
  return isFirst ? mountProcess(ground.privileged) : "";
}

}  // namespace netloom::shim
