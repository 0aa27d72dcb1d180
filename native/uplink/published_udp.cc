#include "published_udp.h"

#include "outer_socket.h"

namespace netloom::uplink {
namespace {

/// The address outside that clients spoke to: answers must come from there. Level, type and bytes of IP_PKTINFO or IPV6_PKTINFO.
struct LocalAddress {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
  size_t length = 0;

  void take(msghdr& message) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(header), sizeof info);
        in_pktinfo answer{};
        answer.ipi_spec_dst = info.ipi_spec_dst;
        put(IPPROTO_IP, IP_PKTINFO, &answer, sizeof answer);
      } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
        put(IPPROTO_IPV6, IPV6_PKTINFO, CMSG_DATA(header), sizeof(in6_pktinfo));
      }
    }
  }

  void put(int level, int type, const void* data, size_t size) {
    auto* header = reinterpret_cast<cmsghdr*>(control);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), data, size);
    length = CMSG_SPACE(size);
  }
};

}  // namespace

class PublishedUdp::Flow : public UdpFlow {
 public:
  Flow(PublishedUdp& port, const Tuple& tuple, const Endpoint& client) : UdpFlow(port.relay_, tuple), port_(&port), client_(client) {}

  void forward(DatagramBatch& batch, int from, int to, uint8_t) override {
    if (port_ == nullptr) return;
    SocketName name(client_);
    iovec parts[DatagramBatch::kSize];
    mmsghdr messages[DatagramBatch::kSize]{};
    for (int i = from; i < to; i++) {
      parts[i] = {batch.data(i), batch.length(i)};
      msghdr& message = messages[i].msg_hdr;
      message.msg_name = name.get();
      message.msg_namelen = name.length;
      message.msg_iov = &parts[i];
      message.msg_iovlen = 1;
      message.msg_control = local_.control;
      message.msg_controllen = local_.length;
    }
    Counters& counters = relay_.helper.counters;
    while (from < to) {
      const int sent = sendmmsg(port_->socket_.get(), messages + from, static_cast<unsigned>(to - from), MSG_DONTWAIT);
      if (sent > 0) {
        counters.udpOut += static_cast<uint64_t>(sent);
        from += sent;
      } else {
        counters.udpDropped++;  // the first of them: an error that an earlier one met may be told here, too
        from++;
      }
    }
    relay_.touch(*this, true);
  }

  void ready(uint32_t) override {}
  void ending() override {
    if (port_ != nullptr) port_->clients_.erase(client_);
  }

  PublishedUdp* port_;  ///< null when it is published no more
  const Endpoint client_;
  LocalAddress local_;
};

void tellDestinations(int fd, bool v6) {
  const int on = 1;
  setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on);
  setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL, &on, sizeof on);
}

PublishedUdp::PublishedUdp(UdpRelay& relay, UniqueFd socket, const Endpoint& target)
    : relay_(relay), socket_(std::move(socket)), target_(target) {
  relay_.helper.loop.add(socket_.get(), EPOLLIN, *this);
}

void PublishedUdp::close() {
  socket_.reset(-1);
  const auto clients = std::exchange(clients_, {});
  for (const auto& [client, flow] : clients) {
    flow->port_ = nullptr;
    relay_.remove(*flow);
  }
}

void PublishedUdp::ready(uint32_t) {
  DatagramBatch& batch = relay_.batch;
  const int count = batch.receive(socket_.get());
  UdpFlow* flows[DatagramBatch::kSize];
  int from = 0;
  for (int i = 0; i < count; i++) {
    const Endpoint client = Endpoint::of(batch.peer(i));
    Flow* flow = find(client);
    if (flow == nullptr) {
      // A new one may take the place of one that has datagrams here.
      relay_.deliver(flows, batch, from, i);
      from = i;
      flow = begin(client);
    }
    if (flow == nullptr) {
      relay_.helper.counters.udpDropped++;
      from = i + 1;
      continue;
    }
    flow->local_.take(batch.header(i));
    relay_.touch(*flow, false);
    flows[i] = flow;
  }
  relay_.deliver(flows, batch, from, count);
}

PublishedUdp::Flow* PublishedUdp::find(const Endpoint& client) const {
  const auto found = clients_.find(client);
  return found == clients_.end() ? nullptr : found->second;
}

PublishedUdp::Flow* PublishedUdp::begin(const Endpoint& client) {
  Endpoint shown = client;
  const bool keepsAddress = !client.address.isLoopback() && client.address.isV4() == target_.address.isV4();
  if (!keepsAddress) shown.address = relay_.helper.ownAddress(target_.address);
  // Another client may have that port already, or a flow that the container began.
  for (int tries = 0; relay_.find({target_, shown}) != nullptr; tries++) {
    if (keepsAddress || tries == 0xffff) return nullptr;
    shown.port = shown.port == 0xffff ? 1024 : static_cast<uint16_t>(shown.port + 1);
  }
  auto flow = std::make_unique<Flow>(*this, Tuple{target_, shown}, client);
  Flow* const added = flow.get();
  if (relay_.add(std::move(flow), {}) == nullptr) return nullptr;
  clients_.emplace(client, added);
  return added;
}

}  // namespace netloom::uplink
