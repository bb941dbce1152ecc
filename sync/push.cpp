#include "sync/push.hpp"

#include <algorithm>

namespace mooring::sync {

namespace {

const push_setting* find(const std::vector<push_setting>& settings, std::optional<domain> in) {
  for (const auto& one : settings)
    if (one.in == in) return &one;
  return nullptr;
}

// The setting that counts; null: none.
const push_setting* setting_for(const std::vector<push_setting>& settings, std::optional<domain> in) {
  if (in)
    if (const auto* own = find(settings, in)) return own;
  return find(settings, std::nullopt);
}

constexpr std::int64_t minute_us = 60'000'000;

// What an event is for the settings: calls `with(domain or none, priority)` until it says true.
template<class With> bool any_domain(const feed_event& what, With&& with) {
  if (what.slot.kind != slot_kind::notification) return with(std::optional(what.slot.in), what.slot.urgency);
  const auto& told = std::get<notification>(what.what);
  if (told.kind == notification_kind::message) return with(std::optional<domain>{}, told.urgency);
  for (int i = 0; i < domain_count; ++i)
    if (const auto in = static_cast<domain>(i);
        holds(told.domains, in) && with(std::optional(in), told.urgency))
      return true;
  return false;
}

} // namespace

bool passes_push(const std::vector<push_setting>& settings, std::optional<domain> in, priority urgency) {
  if (settings.empty()) return true;
  if (const auto* counts = setting_for(settings, in)) return counts->active && urgency >= counts->least;
  if (!in) return true;
  return std::none_of(settings.begin(), settings.end(), [](const push_setting& one) { return one.active; });
}

bool passes_push(const std::vector<push_setting>& settings, const feed_event& what) {
  if (settings.empty()) return true;
  return any_domain(
      what, [&](std::optional<domain> in, priority urgency) { return passes_push(settings, in, urgency); });
}

bool holds_back(const std::vector<push_setting>& settings, std::optional<domain> in, priority urgency) {
  if (urgency != priority::normal) return false;
  const auto* counts = setting_for(settings, in);
  return counts != nullptr && counts->battery_saver;
}

bool holds_back(const std::vector<push_setting>& settings, const feed_event& what) {
  if (settings.empty()) return false;
  // A trigger that is wanted now for one of its domains is not held for the sake of another.
  return !any_domain(what, [&](std::optional<domain> in, priority urgency) {
    return passes_push(settings, in, urgency) && !holds_back(settings, in, urgency);
  });
}

std::int64_t push_budget::due_us(const push_limits& limits, position upto, std::int64_t now_us) const {
  const auto most = static_cast<std::size_t>(std::max(limits.pushes_per_minute, 0));
  if (most == 0 || upto <= counted_upto_ || last_us_.size() < most) return now_us;
  return std::max(now_us, last_us_[oldest_] + minute_us);
}

void push_budget::count(const push_limits& limits, position upto, std::int64_t now_us) {
  if (upto <= counted_upto_) return;
  counted_upto_ = upto;
  const auto most = static_cast<std::size_t>(std::max(limits.pushes_per_minute, 0));
  if (last_us_.size() < most) {
    last_us_.push_back(now_us);
  } else if (most > 0) {
    last_us_[oldest_] = now_us;
    oldest_ = (oldest_ + 1) % most;
  }
}

bool push_budget::is_idle(std::int64_t now_us) const {
  return std::all_of(last_us_.begin(), last_us_.end(),
                     [&](std::int64_t at) { return now_us - at >= minute_us; });
}

void waiting::add(const std::vector<push_setting>& settings, const feed_event& what) {
  if (what.slot.urgency != priority::normal)
    urgent = true;
  else if (holds_back(settings, what))
    saved = true;
  else
    normal = true;
  upto = std::max(upto, what.slot.at);
}

pace pacing::decide(const push_limits& limits, push_budget& of_user, const waiting& what,
                    std::int64_t now_us) {
  if (!what.any()) {
    saved_since_us_.reset();
    return {};
  }
  auto due_us = now_us;
  if (!what.urgent) {
    due_us = of_user.due_us(limits, what.upto, now_us);
    if (!what.normal) {
      if (!saved_since_us_) saved_since_us_ = now_us;
      due_us = std::max(due_us, *saved_since_us_ + limits.battery_saver_ms * 1000);
    }
  }
  if (due_us > now_us) return {false, due_us};
  of_user.count(limits, what.upto, now_us);
  saved_since_us_.reset();
  return {true, now_us};
}

} // namespace mooring::sync
