// The fields of `setup`, read into what the parts that make a sandbox want.
#pragma once

#include "container_root.h"
#include "identity.h"
#include "message.h"
#include "namespaces.h"

namespace netloom::shim {

/// Throws SystemError EINVAL, as the others.
NamespaceOptions namespaceOptions(const Message& request);
RootOptions rootOptions(const Message& request, bool userNamespace);
/// `caps`, a hexadecimal mask; `fallback` without it.
Capabilities parseCapabilities(const Message& request, const Capabilities& fallback);

}  // namespace netloom::shim
