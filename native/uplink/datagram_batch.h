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

  uint8_t* data(int i) { return &bytes_[static_cast<size_t>(i) * kMaxDatagram]; }
  size_t length(int i) const { return headers_[i].msg_len; }
  msghdr& header(int i) { return headers_[i].msg_hdr; }
  const sockaddr_storage& peer(int i) const { return peers_[i]; }

  /// Sends datagrams [from, to) unchanged over a connected socket. Returns how many, or a negative number with errno set.
  int send(int fd, int from, int to);

 private:
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
