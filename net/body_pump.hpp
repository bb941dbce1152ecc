// Brings the pieces of a body_source to its session, one at a time, each when the session wants it: a peer
// that does not read costs one piece of memory. Has a thread of its own.
//
// Internal to net. Kept by its network_thread until its own thread has ended; everything but the
// constructor's caller and join runs on the network thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "net/body_source.hpp"

namespace mooring::net {

class thread_inbox;

class body_pump : public std::enable_shared_from_this<body_pump> {
 public:
  // Called on the network thread with each piece, never after cancel().
  using taker = std::function<void(result<std::string>)>;

  body_pump(std::unique_ptr<body_source> source, std::shared_ptr<thread_inbox> inbox, taker take);
  ~body_pump();
  body_pump(const body_pump&) = delete;
  body_pump& operator=(const body_pump&) = delete;

  // `ended` is called on the network thread when the pump's own has nothing left to do. unavailable: the system has
  // no thread for it; nothing was begun.
  result<void> start(std::function<void(body_pump&)> ended);
  // The session has room for a piece.
  void want();
  void cancel();
  void join();

 private:
  void run(const std::function<void(body_pump&)>& ended);

  const std::shared_ptr<thread_inbox> inbox_;
  taker take_; // the network thread's; empty: cancelled
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<body_source> source_; // ended on the pump's thread
  bool wanted_ = false;
  bool cancelled_ = false;
  std::thread thread_;
};

} // namespace mooring::net
