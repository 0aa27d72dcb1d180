#include "connection.h"

#include <fcntl.h>

#include "../common/fd_passing.h"

namespace netloom::shim {

Connection::Connection(UniqueFd socket) : socket_(std::move(socket)) {
  fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
}

void Connection::send(Message message) {
  if (!queue_.empty() || !transmit(message)) queue_.push_back(std::move(message));
}

void Connection::flush() {
  while (!queue_.empty() && transmit(queue_.front())) queue_.pop_front();
}

bool Connection::transmit(const Message& message) {
  const std::vector<uint8_t> bytes = encode(message);
  std::vector<int> fds;
  for (const UniqueFd& fd : message.fds) fds.push_back(fd.get());
  try {
    sendWithFds(socket_.get(), bytes.data(), bytes.size(), fds.data(), fds.size());
  } catch (const SystemError& error) {
    if (error.number == EAGAIN) return false;
    // EPIPE, ECONNRESET: the next receive() tells; nobody is left who could be told about anything else.
  }
  return true;
}

Message Connection::receive(bool& closed) {
  ReceivedMessage received;
  try {
    received = receiveWithFds(socket_.get(), kMaxMessage, 0);
  } catch (const SystemError& error) {
    if (error.number == EMSGSIZE) throw;
    closed = true;
    return {};
  }
  closed = received.data.empty();
  if (closed) return {};
  Message message = decode(received.data);
  message.fds = std::move(received.fds);
  return message;
}

}  // namespace netloom::shim
