#include "datagram_batch.h"

#include <netinet/udp.h>

namespace netloom::uplink {
namespace {

constexpr size_t kMaxSegment = 1452;     ///< what Ethernet carries, whichever the family
constexpr size_t kMaxSegmented = 65'000;  ///< below IPv4's longest packet with its headers

}  // namespace

DatagramBatch::DatagramBatch()
    : bytes_(kSize * kStride), headers_(kSize), outgoing_(kSize), parts_(kSize), outgoingParts_(kSize), peers_(kSize), controls_(kSize) {}

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

int DatagramBatch::segmentsAt(int from, int to) const {
  const size_t segment = length(from);
  if (segment == 0 || segment > kMaxSegment) return 1;
  size_t total = segment;
  int next = from + 1;
  for (; next < to && length(next) <= segment && length(next) > 0 && total + length(next) <= kMaxSegmented; next++) {
    total += length(next);
    if (length(next) < segment) return next + 1 - from;
  }
  return next - from;
}

int DatagramBatch::sendSegments(int fd, int from, int count) {
  for (int i = 0; i < count; i++) outgoingParts_[i] = {data(from + i), length(from + i)};
  msghdr message{};
  message.msg_iov = outgoingParts_.data();
  message.msg_iovlen = static_cast<size_t>(count);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  const auto segment = static_cast<uint16_t>(length(from));
  std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
  return sendmsg(fd, &message, MSG_DONTWAIT) < 0 ? -1 : count;
}

}  // namespace netloom::uplink
