#include "net/timer_wheel.hpp"

#include <algorithm>

namespace mooring::net {

void wheel_timer::unlink() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = next_ = nullptr;
}

timer_wheel::timer_wheel(std::int64_t now_ms)
    : tick_(now_ms / tick_ms) {
  for (auto& slot : ring_) slot.previous_ = slot.next_ = &slot;
}

void timer_wheel::link(wheel_timer& timer, std::int64_t due_ms) {
  // Rounded up, so that a timer never fires early; at least the next tick, at most one round away.
  const auto wanted = (due_ms + tick_ms - 1) / tick_ms;
  const auto tick = std::clamp(wanted, tick_ + 1, tick_ + static_cast<std::int64_t>(slots) - 1);
  auto& slot = ring_[static_cast<std::size_t>(tick) % slots];
  timer.due_ms_ = due_ms;
  timer.previous_ = slot.previous_;
  timer.next_ = &slot;
  slot.previous_->next_ = &timer;
  slot.previous_ = &timer;
}

void timer_wheel::set_earlier(wheel_timer& timer, std::int64_t due_ms) {
  if (timer.is_set()) {
    if (due_ms >= timer.due_ms_) return;
    timer.unlink();
  }
  link(timer, due_ms);
}

void timer_wheel::advance(std::int64_t now_ms) {
  const auto last = now_ms / tick_ms;
  // After a long pause one round visits every slot.
  if (last - tick_ > static_cast<std::int64_t>(slots)) tick_ = last - static_cast<std::int64_t>(slots);
  while (tick_ < last) {
    ++tick_;
    auto& slot = ring_[static_cast<std::size_t>(tick_) % slots];
    // The list is taken off first: a call may set timers, also into this very slot's next round.
    head due;
    due.previous_ = due.next_ = &due;
    if (slot.next_ != &slot) {
      due.next_ = slot.next_;
      due.previous_ = slot.previous_;
      due.next_->previous_ = due.previous_->next_ = &due;
      slot.previous_ = slot.next_ = &slot;
    }
    while (due.next_ != &due) {
      auto& timer = *due.next_;
      timer.unlink();
      if (timer.due_ms_ > now_ms)
        link(timer, timer.due_ms_); // it waited here for lack of a farther slot
      else
        timer.on_timer(now_ms);
    }
    due.previous_ = due.next_ = nullptr;
  }
}

} // namespace mooring::net
