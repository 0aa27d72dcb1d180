// The limit of what a TAP allows: frames from one TAP to another and back, nothing else. No table, no pool, no counters.
//
//   tap-forward NETNS-PATH NAME NETNS-PATH NAME     prints "ready" when both TAPs are there, runs until killed
//
// Same device settings as netloom: virtio_net_hdr of 12 bytes, all offloads, non-blocking, at most 64 frames per turn.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { BATCH = 64, VNET_HEADER = 12, CAPACITY = 69632 };

static void check(int result, const char* what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
}

static int openTap(const char* netns, const char* name) {
  const int namespaceFd = open(netns, O_RDONLY | O_CLOEXEC);
  check(namespaceFd, netns);
  check(setns(namespaceFd, CLONE_NEWNET), "setns");
  close(namespaceFd);
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  check(fd, "/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  check(ioctl(fd, TUNSETIFF, &request), "TUNSETIFF");
  int length = VNET_HEADER;
  check(ioctl(fd, TUNSETVNETHDRSZ, &length), "TUNSETVNETHDRSZ");
  const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) < 0) check(ioctl(fd, TUNSETOFFLOAD, tcp), "TUNSETOFFLOAD");
  return fd;
}

int main(int count, char** arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: tap-forward NETNS-PATH NAME NETNS-PATH NAME\n");
    return 2;
  }
  const int ends[2] = {openTap(arguments[1], arguments[2]), openTap(arguments[3], arguments[4])};
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  check(poller, "epoll_create1");
  for (uint32_t end = 0; end < 2; end++) {
    struct epoll_event interest = {.events = EPOLLIN, .data.u32 = end};
    check(epoll_ctl(poller, EPOLL_CTL_ADD, ends[end], &interest), "epoll_ctl");
  }
  puts("ready");
  fflush(stdout);

  static uint8_t frame[CAPACITY];
  for (;;) {
    struct epoll_event ready[2];
    const int events = epoll_wait(poller, ready, 2, -1);
    for (int i = 0; i < events; i++) {
      const uint32_t from = ready[i].data.u32;
      for (int n = 0; n < BATCH; n++) {
        const ssize_t got = read(ends[from], frame, sizeof frame);
        if (got <= 0) break;
        // A full queue or an interface that is down loses the frame, as a cable would.
        if (write(ends[1 - from], frame, (size_t)got) < 0 && errno == EBADFD) return 0;
      }
    }
  }
}
