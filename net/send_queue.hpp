// Bytes that wait for a peer to take them, in pieces of some 64 KiB.
//
// One string would hold what has left already until it is emptied, and double as it grows: a queue of 4 MiB
// could cost 16. Here memory follows what waits: a piece is freed as soon as it has left.
//
// Internal to net. An empty queue holds no memory; its piece goes to the next connection of the thread that
// sends.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>

namespace mooring::net {

class send_queue {
 public:
  send_queue() = default;
  ~send_queue() { clear(); }
  send_queue(const send_queue&) = delete;
  send_queue& operator=(const send_queue&) = delete;

  // Append here. Good until the next call of any member.
  std::string& tail();
  std::size_t bytes() const { return full_bytes_ + tail_.size() - sent_; }
  bool empty() const { return bytes() == 0; }
  // What leaves next; empty only when everything is. It keeps its length or grows until it is taken, as
  // OpenSSL demands of a write that it could not finish.
  std::string_view front() const {
    return std::string_view(full_.empty() ? tail_ : full_.front()).substr(sent_);
  }
  // The first bytes of `front` have left.
  void take(std::size_t bytes);
  void clear();

 private:
  std::list<std::string> full_; // before the tail
  std::string tail_;
  std::size_t full_bytes_ = 0;
  std::size_t sent_ = 0; // bytes of the first piece that have left
};

} // namespace mooring::net
