// A limit for work that may hang.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace mooring {

// Calls `missed` once, on a thread of its own, when this object still exists after `time`. The thread inherits the
// signal mask.
class deadline {
 public:
  deadline(std::chrono::milliseconds time, std::function<void()> missed);
  ~deadline(); // waits for `missed` when that runs
  deadline(const deadline&) = delete;
  deadline& operator=(const deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable reached_;
  bool is_met_ = false;
  std::thread thread_;
};

} // namespace mooring
