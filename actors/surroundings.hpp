// What every actor of a node shares: settings, clock, census, counters. Immutable or thread-safe; outlives all actors.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/census.hpp"
#include "actors/presence.hpp"
#include "base/time.hpp"
#include "sync/push.hpp"
#include "sync/rules.hpp"

namespace mooring::actors {

struct actor_settings {
  sync::rule_settings rules;
  sync::push_limits push;
  std::size_t devices_alive_max = 100'000;  // beyond, idle ones stop at the next housekeeping
  std::int64_t idle_timeout_ms = 60'000;    // device and tenant actors
  std::size_t tenant_queue_max = 10'000;    // commands that wait for their commit; beyond, UNAVAILABLE
  std::size_t device_queue_max = 1'000;     // commands of one device that wait for their turn
  std::int64_t request_timeout_ms = 30'000; // then UNAVAILABLE
  std::uint32_t restarts_max = 10; // of one actor within restart_period_ms; then its supervisor fails
  std::int64_t restart_period_ms = 60'000;
  std::int64_t housekeeping_ms = 1'000;
  std::int64_t sweep_round_ms =
      3'600'000; // a round visits every tenant; the next begins so long after it began
  std::size_t group_bytes_max = 1u << 20; // batches that make one raft entry
};

// Everything an operator would draw that the actors know. Relaxed atomics.
struct actor_counters {
  std::atomic<std::uint64_t> commands{0}, replays{0}, refused_full{0}, timeouts{0};
  std::atomic<std::uint64_t> items_synced{0}, items_failed{0}, items_duplicate{0};
  // by domain and strategy
  std::array<std::array<std::atomic<std::uint64_t>, 7>, sync::domain_count> conflicts{};
  std::atomic<std::uint64_t> queries{0};
  std::atomic<std::uint64_t> queries_near_head{0}; // of these: answered by their tenants (tenant.hpp)
  std::atomic<std::int64_t> commands_waiting{0};   // decided, not yet durable
  std::atomic<std::int64_t> answers_held_bytes{0}; // of queries, until what they show is durable
  std::atomic<std::uint64_t> groups{0}, grouped_batches{0}, swept_rows{0};
  std::atomic<std::uint64_t> events_written{0}; // as JSON; each is sent to as many as select the same of it
};

struct surroundings {
  actor_settings settings;
  const clock* time = &system_clock();
  census* who = nullptr;
  presence* connections = nullptr;
  actor_counters* counters = nullptr;
};

// Restarts within a period, for a supervisor's decision.
class restart_window {
 public:
  // True while the actor may be started again.
  bool allow(std::int64_t now_us, const actor_settings& settings) {
    const auto since = now_us - settings.restart_period_ms * 1000;
    std::erase_if(at_us_, [&](std::int64_t at) { return at < since; });
    at_us_.push_back(now_us);
    return at_us_.size() <= settings.restarts_max;
  }
  std::uint32_t count() const { return static_cast<std::uint32_t>(at_us_.size()); }
  // The pause before the next start: 20 ms, 40 ms, … 2.5 s.
  std::int64_t back_off_us() const { return 10'000ll << std::min<std::uint32_t>(count(), 8); }

 private:
  std::vector<std::int64_t> at_us_;
};

} // namespace mooring::actors
