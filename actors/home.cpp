#include "actors/home.hpp"

#include <chrono>

namespace mooring::actors {

home::home(caf::actor_system& system, std::function<void(std::function<void()>)> post)
    : caf::execution_unit(&system), post_(std::move(post)) {}

void home::exec_later(caf::resumable* job) {
  if (owner_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    local_.push_back(job);
    return;
  }
  bool first = false;
  bool adopted = false;
  {
    const std::lock_guard hold(mutex_);
    first = remote_.empty();
    adopted = adopted_;
    remote_.push_back(job);
  }
  if (first && !adopted) post_([this] { run(); });
}

void home::run() {
  if (running_) return;
  running_ = true;
  owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  for (;;) {
    {
      const std::lock_guard hold(mutex_);
      taken_.swap(remote_);
    }
    local_.insert(local_.end(), taken_.begin(), taken_.end());
    taken_.clear();
    if (local_.empty()) break;
    while (!local_.empty()) {
      auto* const job = local_.front();
      local_.pop_front();
      switch (job->resume(this, throughput)) {
      case caf::resumable::resume_later: local_.push_back(job); break;
      case caf::resumable::done:
      case caf::resumable::awaiting_message:
      case caf::resumable::shutdown_execution_unit: caf::intrusive_ptr_release(job); break;
      }
    }
  }
  for (const auto& at_rest : at_rest_) at_rest();
  running_ = false;
}

void home::adopt_until(const std::function<bool()>& finished) {
  {
    const std::lock_guard hold(mutex_);
    adopted_ = true;
  }
  while (!finished()) {
    run();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  run();
}

} // namespace mooring::actors
