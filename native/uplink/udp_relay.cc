#include "udp_relay.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <algorithm>
#include <cerrno>

#include "outer_socket.h"

namespace netloom::uplink {
namespace {

constexpr size_t kMaxFlows = 16384;
constexpr uint8_t kTtl = 64;
constexpr int kTurns = 4;  ///< batches of one socket before the others have a turn
constexpr int kFlowBuffer = 1 << 20;

#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR 74  // linux/in6.h
#endif

/// Where the datagram was going before tproxy. False when the kernel did not say.
bool originalDestination(msghdr& message, Endpoint& destination) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    const bool v4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_ORIGDSTADDR;
    const bool v6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_ORIGDSTADDR;
    if (!v4 && !v6) continue;
    sockaddr_storage name{};
    std::memcpy(&name, CMSG_DATA(header), v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    destination = Endpoint::of(name);
    return destination.address.isV4() == v4;
  }
  return false;
}

/// A flow that a container began: one connected socket.
class OutboundFlow : public UdpFlow {
 public:
  OutboundFlow(UdpRelay& relay, const Tuple& tuple, UniqueFd socket) : UdpFlow(relay, tuple), socket_(std::move(socket)) {
    relay.helper.loop.add(socket_.get(), EPOLLIN, *this);
  }

  void forward(DatagramBatch& batch, int from, int to, uint8_t ttl) override {
    if (ttl != ttl_) setTtl(socket_.get(), !tuple_.destination.address.isV4(), ttl_ = ttl);
    Counters& counters = relay_.helper.counters;
    for (int tries = 0; from < to; tries++) {
      const int run = takesSegments_ ? batch.segmentsAt(from, to) : 1;
      const int sent = run > 1 ? batch.sendSegments(socket_.get(), from, run) : batch.send(socket_.get(), from, to);
      if (sent < 0 && run > 1 && (errno == EMSGSIZE || errno == EINVAL || errno == EIO)) {
        takesSegments_ = false;  // a narrow path, or a device without checksums: one by one
        continue;
      }
      if (sent > 0) {
        counters.udpOut += static_cast<uint64_t>(sent);
        from += sent;
        continue;
      }
      const int error = errno;
      // An earlier datagram's error is told by the call after it, which has sent nothing. So it is tried again, once.
      if (reportErrors() && tries < DatagramBatch::kSize) continue;
      if (const IcmpReport report = reportOf(error, tuple_.destination.address, own()); report.type != 0) {
        quote(report, batch.data(from), batch.length(from), batch.length(from));
      }
      counters.udpDropped++;
      from++;
    }
  }

  void ready(uint32_t events) override {
    if (events & EPOLLERR) {
      reportErrors();
      int error;
      socklen_t length = sizeof error;
      getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    }
    DatagramBatch& batch = relay_.batch;
    for (int turn = 0; turn < kTurns; turn++) {
      const int count = batch.receive(socket_.get());
      if (count <= 0) return;
      relay_.touch(*this, true);
      UdpFlow* flows[DatagramBatch::kSize];
      std::fill(flows, flows + count, this);
      relay_.deliver(flows, batch, 0, count);
      if (count < DatagramBatch::kSize) return;
    }
  }

 private:
  const Address& own() const { return relay_.helper.ownAddress(tuple_.destination.address); }

  /// Gives what the error queue has back to the container. Returns whether there was anything.
  bool reportErrors() {
    uint8_t payload[1280];
    size_t sent;
    bool any = false;
    for (IcmpReport report; readReport(socket_.get(), own(), report, payload, sizeof payload, sent); any = true) {
      quote(report, payload, std::min(sent, sizeof payload), sent);
    }
    return any;
  }

  /// The container's datagram is rebuilt from the flow and the payload that came back.
  void quote(const IcmpReport& report, const uint8_t* payload, size_t available, size_t length) {
    std::vector<uint8_t> original(kMaxHeaders + std::min<size_t>(available, 1280));
    const size_t headers = writeUdpHeaders(original.data(), tuple_.source, tuple_.destination, 1, available == length ? payload : nullptr, length);
    std::memcpy(original.data() + headers, payload, original.size() - kMaxHeaders);
    relay_.helper.sendError(report, tuple_.source.address, original.data(), headers + original.size() - kMaxHeaders);
  }

  UniqueFd socket_;
  int ttl_ = kTtl;
  bool takesSegments_ = true;
};

}  // namespace

UdpRelay::UdpRelay(Helper& helper, UniqueFd receiver, UniqueFd receiver6) : helper(helper), places_(kMaxFlows) {
  receivers_[0].socket = std::move(receiver);
  receivers_[1].socket = std::move(receiver6);
  for (Receiver& one : receivers_) {
    one.relay = this;
    if (one.socket) helper.loop.add(one.socket.get(), EPOLLIN, one);
  }
}

void UdpRelay::receive(int fd) {
  for (int turn = 0; turn < kTurns; turn++) {
    const int count = batch.receive(fd);
    if (count <= 0) return;
    Tuple tuples[DatagramBatch::kSize];
    uint8_t ttls[DatagramBatch::kSize];
    for (int i = 0; i < count; i++) {
      tuples[i].source = Endpoint::of(batch.peer(i));
      if (!originalDestination(batch.header(i), tuples[i].destination)) tuples[i].destination = {};
      ttls[i] = ttlOf(batch.header(i), kTtl);
    }
    for (int i = 0; i < count;) {
      int end = i + 1;
      while (end < count && ttls[end] == ttls[i] && tuples[end] == tuples[i]) end++;
      const Tuple tuple = tuples[i];
      if (ttls[i] <= 1 && tuple.destination.address.isOutside()) {
        IcmpReport late;
        late.type = tuple.destination.address.isV4() ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED;
        late.sender = helper.ownAddress(tuple.destination.address);
        std::vector<uint8_t> original(kMaxHeaders);
        original.resize(writeUdpHeaders(original.data(), tuple.source, tuple.destination, ttls[i], batch.data(i), batch.length(i)));
        helper.sendError(late, tuple.source.address, original.data(), original.size());
      } else if (UdpFlow* flow = flowOf(tuple)) {
        touch(*flow, false);
        flow->forward(batch, i, end, static_cast<uint8_t>(ttls[i] - 1));
      } else {
        helper.counters.udpDropped += static_cast<uint64_t>(end - i);
      }
      i = end;
    }
    if (count < DatagramBatch::kSize) return;
  }
}

UdpFlow* UdpRelay::find(const Tuple& tuple) {
  const auto found = flows_.find(tuple);
  return found == flows_.end() ? nullptr : found->second.get();
}

UdpFlow* UdpRelay::flowOf(const Tuple& tuple) {
  if (UdpFlow* known = find(tuple)) return known;
  const Address& destination = tuple.destination.address;
  if (!destination.isOutside() || tuple.destination.port == 0) return nullptr;
  const Address& source = tuple.source.address;
  SourceShares::Share descriptor = helper.descriptors.take(source);
  if (!descriptor && evict(source)) descriptor = helper.descriptors.take(source);
  if (!descriptor) return nullptr;
  UniqueFd socket = openOuter(destination.family(), SOCK_DGRAM, 0);
  if (!socket && (errno == EMFILE || errno == ENFILE) && evict(source)) socket = openOuter(destination.family(), SOCK_DGRAM, 0);
  if (!socket) return nullptr;
  // A burst of answers; the kernel gives what net.core.rmem_max allows.
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kFlowBuffer, sizeof kFlowBuffer);
  const SocketName name(tuple.destination);
  if (connect(socket.get(), name.get(), name.length) < 0) {
    const IcmpReport report = reportOf(errno, destination, helper.ownAddress(destination));
    if (report.type == 0) return nullptr;
    uint8_t original[kMaxHeaders];
    const size_t length = writeUdpHeaders(original, tuple.source, tuple.destination, 1, nullptr, 0);
    helper.sendError(report, tuple.source.address, original, length);
    return nullptr;
  }
  return add(std::make_unique<OutboundFlow>(*this, tuple, std::move(socket)), std::move(descriptor));
}

UdpFlow* UdpRelay::add(std::unique_ptr<UdpFlow> flow, SourceShares::Share descriptor) {
  const Address& source = flow->tuple().source.address;
  SourceShares::Share place = places_.take(source);
  if (!place && evict(source)) place = places_.take(source);
  if (!place) return nullptr;
  UdpFlow& added = *flow;
  added.lastUsed_ = helper.loop.now();
  added.place_ = std::move(place);
  added.descriptor_ = std::move(descriptor);
  added.source_ = &sources_[source];
  std::list<UdpFlow*>& list = added.source_->of(added);
  added.at_ = list.insert(list.end(), &added);
  flows_.emplace(added.tuple(), std::move(flow));
  helper.counters.udpFlows++;
  helper.counters.udpActive++;
  return &added;
}

void UdpRelay::remove(UdpFlow& flow) {
  flow.ending();
  UdpFlow::Source& source = *flow.source_;
  source.of(flow).erase(flow.at_);
  if (source.unreplied.empty() && source.assured.empty()) sources_.erase(flow.tuple().source.address);
  flow.place_ = {};
  flow.descriptor_ = {};
  const auto found = flows_.find(flow.tuple());
  helper.loop.retire(std::move(found->second));
  flows_.erase(found);
  helper.counters.udpActive--;
}

void UdpRelay::touch(UdpFlow& flow, bool isAnswer) {
  flow.lastUsed_ = helper.loop.now();
  std::list<UdpFlow*>& from = flow.source_->of(flow);
  flow.isAssured_ |= isAnswer;
  std::list<UdpFlow*>& to = flow.source_->of(flow);
  to.splice(to.end(), from, flow.at_);
}

bool UdpRelay::evict(const Address& address) {
  const auto source = sources_.find(address);
  if (source == sources_.end()) return false;
  auto& [unreplied, assured] = source->second;
  remove(unreplied.empty() ? *assured.front() : *unreplied.front());
  return true;
}

void UdpRelay::deliver(UdpFlow* const* flows, DatagramBatch& received, int from, int to) {
  if (from >= to) return;
  uint8_t headers[DatagramBatch::kSize][kMaxHeaders];
  iovec parts[DatagramBatch::kSize][2];
  sockaddr_storage names[DatagramBatch::kSize];
  mmsghdr messages[DatagramBatch::kSize]{};
  for (int i = from; i < to; i++) {
    const Tuple& tuple = flows[i]->tuple();
    const SocketName name({tuple.source.address, 0});
    names[i] = name.storage;
    const uint8_t ttl = ttlOf(received.header(i), kTtl);
    const size_t length = writeUdpHeaders(headers[i], tuple.destination, tuple.source, ttl > 1 ? static_cast<uint8_t>(ttl - 1) : ttl,
                                          received.data(i), received.length(i));
    parts[i][0] = {headers[i], length};
    parts[i][1] = {received.data(i), received.length(i)};
    messages[i].msg_hdr.msg_name = &names[i];
    messages[i].msg_hdr.msg_namelen = name.length;
    messages[i].msg_hdr.msg_iov = parts[i];
    messages[i].msg_hdr.msg_iovlen = 2;
  }
  const int fd = flows[from]->tuple().source.address.isV4() ? helper.raw4.get() : helper.raw6.get();
  while (from < to) {
    const int sent = sendmmsg(fd, messages + from, static_cast<unsigned>(to - from), MSG_DONTWAIT);
    if (sent > 0) {
      helper.counters.udpIn += static_cast<uint64_t>(sent);
      from += sent;
    } else {
      helper.counters.udpDropped++;  // the first of them; the others may be shorter, or the queue empty again
      from++;
    }
  }
}

void UdpRelay::tick() {
  const int64_t now = helper.loop.now();
  for (auto next = flows_.begin(); next != flows_.end();) {
    UdpFlow& flow = *(next++)->second;
    if (now - flow.lastUsed_ >= (flow.isAssured_ ? helper.timeouts.udpAssured : helper.timeouts.udpUnreplied)) remove(flow);
  }
}

}  // namespace netloom::uplink
