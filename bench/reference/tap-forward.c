// The limit of what a TAP allows: forwards frames between two TAPs with nothing in between but read and write.
// netloom's engine is measured against it (DESIGN: at least 0.95 of its throughput, at most 1.25 of its round trip).
//
//   cc -O2 -o tap-forward tap-forward.c
//   tap-forward [--vnet 0|1] [--offloads MASK] NETNS-PATH NAME NETNS-PATH NAME
//
// NETNS-PATH is a file such as /proc/PID/ns/net or /proc/PID/fd/N, or '-' for the caller's own namespace. MASK holds TUN_F_
// bits (default 0x6f: checksum, TSO4, TSO6, ECN, USO4, USO6, as netloom asks for); what the kernel does not know is left
// out as in native/common/tap.h. Prints "ready", runs until it is killed or its parent ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { BATCH = 64, VNET_HEADER = 12 };  // frames per turn and device, and header length, as in netloom

static int vnet = 1;
static unsigned long offloads = 0x6f;

static void fail(const char *what, const char *object) {
  fprintf(stderr, "tap-forward: %s '%s': %s\n", what, object, strerror(errno));
  exit(1);
}

static int open_tap(const char *netns, const char *name) {
  if (strcmp(netns, "-") != 0) {
    int ns = open(netns, O_RDONLY | O_CLOEXEC);
    if (ns < 0) fail("open", netns);
    if (setns(ns, CLONE_NEWNET) < 0) fail("setns", netns);
    close(ns);
  }
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail("open", "/dev/net/tun");
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0);
  if (ioctl(fd, TUNSETIFF, &request) < 0) fail("TUNSETIFF", name);
  if (!vnet) return fd;
  int length = VNET_HEADER, little_endian = 1;
  if (ioctl(fd, TUNSETVNETHDRSZ, &length) < 0) fail("TUNSETVNETHDRSZ", name);
  if (ioctl(fd, TUNSETVNETLE, &little_endian) < 0) fail("TUNSETVNETLE", name);
  if (ioctl(fd, TUNSETOFFLOAD, offloads) < 0 && ioctl(fd, TUNSETOFFLOAD, offloads & 0x0f) < 0) fail("TUNSETOFFLOAD", name);
  return fd;
}

/// Moves a batch; a frame that cannot be written is lost, as on a wire.
static void forward(int from, int to) {
  static char frame[VNET_HEADER + 69632];
  for (int i = 0; i < BATCH; i++) {
    ssize_t length = read(from, frame, sizeof frame);
    if (length <= 0) return;
    if (write(to, frame, (size_t)length) < 0 && errno == EBADFD) exit(0);
  }
}

int main(int argc, char **argv) {
  int at = 1;
  for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
    if (strcmp(argv[at], "--vnet") == 0) vnet = atoi(argv[at + 1]);
    else if (strcmp(argv[at], "--offloads") == 0) offloads = strtoul(argv[at + 1], NULL, 0);
    else break;
  }
  if (argc - at != 4) {
    fprintf(stderr, "usage: tap-forward [--vnet 0|1] [--offloads MASK] NETNS-PATH NAME NETNS-PATH NAME\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // setns changes where '-' and relative paths lead, so both paths must be absolute or the first must be the '-'.
  int taps[2] = {open_tap(argv[at], argv[at + 1]), open_tap(argv[at + 2], argv[at + 3])};
  int poller = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < 2; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (unsigned)i};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, taps[i], &event) < 0) fail("epoll_ctl", "tap");
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[2];
    int ready = epoll_wait(poller, events, 2, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].events & EPOLLERR) return 0;  // the interface was deleted
      forward(taps[events[i].data.u32], taps[1 - events[i].data.u32]);
    }
  }
}
