#include "datagram_batch.h"

namespace netloom::uplink {

DatagramBatch::DatagramBatch()
    : bytes_(kSize * kMaxDatagram), headers_(kSize), outgoing_(kSize), parts_(kSize), outgoingParts_(kSize), peers_(kSize), controls_(kSize) {}

int DatagramBatch::receive(int fd, int most) {
  for (int i = 0; i < most; i++) {
    parts_[i] = {data(i), kMaxDatagram};
    msghdr& header = headers_[i].msg_hdr;
    header.msg_name = &peers_[i];
    header.msg_namelen = sizeof peers_[i];
    header.msg_iov = &parts_[i];
    header.msg_iovlen = 1;
    header.msg_control = controls_[i].bytes;
    header.msg_controllen = sizeof controls_[i].bytes;
    header.msg_flags = 0;
  }
  return recvmmsg(fd, headers_.data(), static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
}

int DatagramBatch::send(int fd, int from, int to) {
  for (int i = from; i < to; i++) {
    outgoingParts_[i] = {data(i), length(i)};
    outgoing_[i].msg_hdr = {};
    outgoing_[i].msg_hdr.msg_iov = &outgoingParts_[i];
    outgoing_[i].msg_hdr.msg_iovlen = 1;
  }
  return sendmmsg(fd, &outgoing_[from], static_cast<unsigned>(to - from), MSG_DONTWAIT);
}

}  // namespace netloom::uplink
