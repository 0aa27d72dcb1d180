// Sockets of the namespace outside, and what the kernel reports on them (ip(7), IP_RECVERR).
#pragma once

#include <functional>

#include "../common/unique_fd.h"
#include "address.h"
#include "packet.h"

namespace netloom::uplink {

/// Non-blocking, close-on-exec, ICMP errors in its error queue; for SOCK_DGRAM it tells the TTL of what it receives.
/// Invalid with errno set when there is none.
UniqueFd openOuter(int family, int type, int protocol);

/// TTL or hop limit of what is sent from now on.
void setTtl(int fd, bool v6, int ttl);

/// Reads one report from the error queue. False when it is empty. `payload` gets the beginning of what was sent, `sent` its
/// length there. Reports of our own kernel (a packet too big for the interface) come with its own address, `own`, as sender.
bool readReport(int fd, const Address& own, IcmpReport& report, uint8_t* payload, size_t capacity, size_t& sent);

/// The TTL or hop limit in a received message's control data, or `fallback`.
uint8_t ttlOf(msghdr& message, uint8_t fallback);

}  // namespace netloom::uplink
