// One network thread as others see it.
#pragma once

#include <functional>

namespace mooring::net {

class thread_context {
 public:
  // Runs `work` on this network thread, in the order of the posts. Thread-safe and cheap: many posts wake the
  // thread once, and the answers they bring leave in one write per connection. After the server has stopped,
  // work is dropped.
  virtual void post(std::function<void()> work) = 0;
  // Calls `work` on this network thread whenever it has done what was ready and is about to wait, and under
  // constant load at the end of each turn (network_thread::turn_length). What was gathered during the turn leaves then. To be
  // called once, on the thread itself or before it runs.
  virtual void at_rest(std::function<void()> work) = 0;
  // 0, 1, … below server_options::threads.
  virtual unsigned index() const = 0;

 protected:
  ~thread_context() = default;
};

} // namespace mooring::net
