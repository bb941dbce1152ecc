#include "actors/home.hpp"

namespace mooring::actors {

void home::attach(post_function post) {
  const std::lock_guard hold(mutex_);
  post_ = std::move(post);
  if (post_ && !remote_.empty()) post_([this] { run(); });
}

void home::exec_later(caf::resumable* job) {
  if (owner_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    local_.push_back(job);
    return;
  }
  const std::lock_guard hold(mutex_);
  remote_.push_back(job);
  if (remote_.size() == 1 && post_) post_([this] { run(); });
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
  running_ = false;
}

void home::rest() {
  // Sent by the thread itself, outside of run(): nobody else would come for it, nor for what others send to the same actor.
  if (!local_.empty()) run();
  for (const auto& at_rest : at_rest_) at_rest();
}

} // namespace mooring::actors
