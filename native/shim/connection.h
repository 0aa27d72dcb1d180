// The client's end of the control socket, never waited for: a client that does not read makes a queue here, it does
// not stop the sandbox.
#pragma once

#include <deque>

#include "message.h"

namespace netloom::shim {

class Connection {
 public:
  explicit Connection(UniqueFd socket);

  int fd() const { return socket_.get(); }
  bool wantsToWrite() const { return !queue_.empty(); }
  /// Sends, or queues when the socket is full. Does nothing after the client has gone.
  void send(Message message);
  /// Sends what is queued, as far as the socket takes it.
  void flush();
  /// One message. Sets `closed` when the client has gone. Throws SystemError for a malformed message.
  Message receive(bool& closed);

 private:
  /// False when the socket is full.
  bool transmit(const Message& message);

  UniqueFd socket_;
  std::deque<Message> queue_;
};

}  // namespace netloom::shim
