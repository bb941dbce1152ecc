#include "sync/advice.hpp"

#include <algorithm>

namespace mooring::sync {

namespace {

// About what one flush of a slow disk takes in; more than that waits for the next one.
constexpr double commands_waiting_full = 1'000;
constexpr double busy_enough = 0.9;
constexpr double wait_seconds_first = 10, wait_seconds_most = 200; // before spreading by half

} // namespace

sync_advice advise(const node_load& load, std::uint64_t who) {
  const auto queue = static_cast<double>(load.commands_waiting) / commands_waiting_full;
  const auto pressure = std::max(load.busy, queue);
  sync_advice out;
  out.load = std::clamp(pressure, 0.0, 1.0);
  if (pressure < busy_enough) {
    out.reason = "the node has room";
    return out;
  }
  out.sync_now = false;
  out.reason = queue >= load.busy ? "uploads wait for the disk" : "the processors are busy";
  const auto wait =
      std::min(wait_seconds_most, wait_seconds_first * pressure * pressure / (busy_enough * busy_enough));
  const auto spread = 0.5 + static_cast<double>(who % 1'024) / 1'024; // 0.5 to 1.5
  out.wait_seconds = std::max(1, static_cast<std::int32_t>(wait * spread));
  return out;
}

} // namespace mooring::sync
