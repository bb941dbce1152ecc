// Deadlines of many connections at the price of one timer.
//
// A ring of slots, one per tick of 100 ms, each a list of the timers that are due in it. Setting and
// cancelling touch neighbours only. A deadline beyond the ring waits in its farthest slot and is looked at
// again from there.
//
// A timer is set to the earliest moment at which its owner must look; an owner whose deadline moved later in
// the meantime sets it again when it fires. So the busy path (deadlines only move later) costs nothing.
//
// Threads: one. Times are milliseconds of a monotonic clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mooring::net {

class timer_wheel;

// A member or base of what has deadlines. Leaves the wheel when it ends.
class wheel_timer {
 public:
  wheel_timer() = default;
  wheel_timer(const wheel_timer&) = delete;
  wheel_timer& operator=(const wheel_timer&) = delete;
  virtual ~wheel_timer() { unlink(); }
  virtual void on_timer(std::int64_t now_ms) = 0;
  bool is_set() const { return next_ != nullptr; }

 private:
  friend class timer_wheel;
  void unlink();
  wheel_timer* previous_ = nullptr;
  wheel_timer* next_ = nullptr;
  std::int64_t due_ms_ = 0;
};

class timer_wheel {
 public:
  static constexpr std::int64_t tick_ms = 100;
  static constexpr std::size_t slots = 512;

  explicit timer_wheel(std::int64_t now_ms);

  // Sets the timer, or moves it when `due_ms` is earlier than what it is set to. It fires within one tick
  // after.
  void set_earlier(wheel_timer& timer, std::int64_t due_ms);
  void cancel(wheel_timer& timer) { timer.unlink(); }

  // Fires what is due. A timer is no longer set when it is called, and may be set again by the call.
  void advance(std::int64_t now_ms);

 private:
  struct head final : wheel_timer {
    void on_timer(std::int64_t) override {}
  };
  void link(wheel_timer& timer, std::int64_t due_ms);
  std::array<head, slots> ring_;
  std::int64_t tick_; // the last one that was fired
};

} // namespace mooring::net
