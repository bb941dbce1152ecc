#include "base/deadline.hpp"

#include <utility>

namespace mooring {

deadline::deadline(std::chrono::milliseconds time, std::function<void()> missed)
    : thread_([this, time, missed = std::move(missed)] {
      std::unique_lock lock(mutex_);
      if (reached_.wait_for(lock, time, [this] { return is_met_; })) return;
      lock.unlock();
      missed();
    }) {}

deadline::~deadline() {
  {
    const std::lock_guard lock(mutex_);
    is_met_ = true;
  }
  reached_.notify_all();
  thread_.join();
}

} // namespace mooring
