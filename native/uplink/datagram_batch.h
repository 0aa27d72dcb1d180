// Buffers of recvmmsg and sendmmsg: up to 64 datagrams with their peers and control data.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <vector>

#include "address.h"

namespace netloom::uplink {

class DatagramBatch {
 public:
  static constexpr int kSize = 64;
  static constexpr size_t kMaxDatagram = 65536;  ///< more than IPv4 and IPv6 without jumbograms carry

  DatagramBatch();

  /// Receives what is there. Returns how many, or a negative number with errno set.
  int receive(int fd, int most = kSize);

  uint8_t* data(int i) { return &bytes_[static_cast<size_t>(i) * kStride]; }
  size_t length(int i) const { return headers_[i].msg_len; }
  msghdr& header(int i) { return headers_[i].msg_hdr; }
  const sockaddr_storage& peer(int i) const { return peers_[i]; }

  /// Sends datagrams [from, to) unchanged over a connected socket. Returns how many, or a negative number with errno set.
  int send(int fd, int from, int to);
  /// How many datagrams from `from` on, below `to`, can go as segments of one: all of one length but the last, which may be shorter.
  int segmentsAt(int from, int to) const;
  /// Sends these with one passage through the kernel's stack (udp(7), UDP_SEGMENT). All of them, or a negative number with errno
  /// set: EMSGSIZE, EINVAL and EIO when the way does not take segments of that length.
  int sendSegments(int fd, int from, int count);

 private:
  /// No power of two, or all datagrams would share a few sets of the processor's cache.
  static constexpr size_t kStride = kMaxDatagram + 4096 + 64;
  struct alignas(cmsghdr) Control {
    char bytes[128];
  };
  std::vector<uint8_t> bytes_;
  std::vector<mmsghdr> headers_, outgoing_;
  std::vector<iovec> parts_, outgoingParts_;
  std::vector<sockaddr_storage> peers_;
  std::vector<Control> controls_;
};

}  // namespace netloom::uplink
