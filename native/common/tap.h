// TAP and TUN devices (Documentation/networking/tuntap.rst): opened in the calling thread's network namespace.
#pragma once

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "system_error.h"
#include "unique_fd.h"

// Headers older than the kernel that runs lack the newer offloads.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef TUN_F_UDP_TUNNEL_GSO
#define TUN_F_UDP_TUNNEL_GSO 0x080
#define TUN_F_UDP_TUNNEL_GSO_CSUM 0x100
#endif

namespace netloom {

struct TapOptions {
  std::string name;          ///< at most 15 bytes; "" or "tap%d" lets the kernel choose
  bool tun = false;          ///< packets without an Ethernet header
  int vnetHeaderLength = 0;  ///< 0: no virtio_net_hdr before each frame; else 10, 12 or 24 bytes
  uint32_t offloads = 0;     ///< TUN_F_ bits wanted: which unfinished frames the kernel may hand to us
  bool persist = false;      ///< the device outlives its last fd
  int64_t ownerUid = -1;     ///< a user who may open it later without CAP_NET_ADMIN; -1: none
};

struct Tap {
  UniqueFd fd;            ///< non-blocking, close-on-exec
  std::string name;       ///< the kernel's choice when a pattern was given
  int ifindex = 0;
  uint32_t offloads = 0;  ///< TUN_F_ bits granted
};

/// Grants the largest part of `wanted` that this kernel takes: each step gives up the newest offloads left.
inline uint32_t negotiateOffloads(int fd, uint32_t wanted) {
  constexpr uint32_t kTunnel = TUN_F_UDP_TUNNEL_GSO | TUN_F_UDP_TUNNEL_GSO_CSUM;  // Linux 6.17
  constexpr uint32_t kUso = TUN_F_USO4 | TUN_F_USO6;                              // Linux 6.2
  constexpr uint32_t kTso = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  const uint32_t attempts[] = {wanted, wanted & ~kTunnel, wanted & ~(kTunnel | kUso), wanted & ~(kTunnel | kUso | kTso), 0};
  for (uint32_t mask : attempts) {
    if (ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(mask)) == 0) return mask;
  }
  return 0;
}

inline int interfaceIndex(const std::string& name) {
  UniqueFd socketFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socketFd) throwErrno("socket", "AF_INET");
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (ioctl(socketFd.get(), SIOCGIFINDEX, &request) < 0) throwErrno("ioctl SIOCGIFINDEX", "interface " + name);
  return request.ifr_ifindex;
}

/// Creates the device, or attaches to a persistent one of that name. Throws SystemError: EPERM without CAP_NET_ADMIN
/// in the namespace, ENOENT without /dev/net/tun, EBUSY when another process holds it.
inline Tap openTap(const TapOptions& options) {
  const std::string object = std::string(options.tun ? "TUN " : "TAP ") + (options.name.empty() ? "(any name)" : options.name);
  Tap tap;
  tap.fd = UniqueFd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tap.fd) throwErrno("open", "/dev/net/tun");
  const int fd = tap.fd.get();

  ifreq request{};
  std::strncpy(request.ifr_name, options.name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>((options.tun ? IFF_TUN : IFF_TAP) | IFF_NO_PI | (options.vnetHeaderLength ? IFF_VNET_HDR : 0));
  if (ioctl(fd, TUNSETIFF, &request) < 0) throwErrno("ioctl TUNSETIFF", object);
  tap.name = request.ifr_name;

  if (options.vnetHeaderLength) {
    int length = options.vnetHeaderLength;
    if (ioctl(fd, TUNSETVNETHDRSZ, &length) < 0) throwErrno("ioctl TUNSETVNETHDRSZ", object);
    int littleEndian = 1;  // the header's byte order must not depend on the machine: the code that fills it writes LE
    if (ioctl(fd, TUNSETVNETLE, &littleEndian) < 0) throwErrno("ioctl TUNSETVNETLE", object);
  }
  // A persistent device keeps the mask of its last owner, so it is set even when nothing is wanted.
  tap.offloads = negotiateOffloads(fd, options.vnetHeaderLength ? options.offloads : 0);
  if (options.ownerUid >= 0 && ioctl(fd, TUNSETOWNER, static_cast<unsigned long>(options.ownerUid)) < 0) {
    throwErrno("ioctl TUNSETOWNER", object);
  }
  if (options.persist && ioctl(fd, TUNSETPERSIST, 1UL) < 0) throwErrno("ioctl TUNSETPERSIST", object);
  tap.ifindex = interfaceIndex(tap.name);
  return tap;
}

/// Features of this kernel's tun driver as IFF_ bits (IFF_VNET_HDR, IFF_MULTI_QUEUE, ...). Needs no privilege but
/// access to /dev/net/tun.
inline uint32_t tunFeatures() {
  UniqueFd fd(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!fd) throwErrno("open", "/dev/net/tun");
  unsigned int features = 0;
  if (ioctl(fd.get(), TUNGETFEATURES, &features) < 0) throwErrno("ioctl TUNGETFEATURES", "/dev/net/tun");
  return features;
}

}  // namespace netloom
