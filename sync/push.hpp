// When a device is pushed what waits for it (domain.md, "The change feed"; docs/decisions/0030 and 0031).
// Pure; time is the caller's, in monotonic µs.
//
// Three questions, asked in this order for each device that is caught up with the feed:
//   passes_push   does it want this at all?          no: pass over it, it costs nothing
//   holds_back    may it wait in battery saver?      tells which of the three flags of `waiting` it sets
//   pacing        do all that wait leave now?        all, or none: the order of the feed is never changed
// A backlog that a device asks for by connecting is not paced: it is on its way as fast as the socket takes
// it.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "sync/queries.hpp"

namespace mooring::sync {

// The setting of the domain itself, else the one for every domain, else: everything, unless the device has
// named domains that it wants, then nothing. No domain: a message; only the setting for every domain counts.
bool passes_push(const std::vector<push_setting>& settings, std::optional<domain> in, priority urgency);
// A trigger passes when one of its domains does.
bool passes_push(const std::vector<push_setting>& settings, const feed_event& what);

// True when the setting that counts says battery saver and the push is NORMAL.
bool holds_back(const std::vector<push_setting>& settings, std::optional<domain> in, priority urgency);
bool holds_back(const std::vector<push_setting>& settings, const feed_event& what);

struct push_limits {
  std::int32_t pushes_per_minute = 10;    // of one user; 0: no limit
  std::int64_t battery_saver_ms = 60'000; // the longest that battery saver holds a push
};

// How many pushes one user got in the last minute: no NORMAL one leaves as the eleventh, in whichever minute
// one looks. What leaves together is one push, and what another device of the user was sent already is none.
// HIGH and CRITICAL count, and are never held. Eight bytes for each push of the limit.
class push_budget {
 public:
  // From when on the feed up to `upto` may be pushed: not later than `now_us` when it may be now.
  std::int64_t due_us(const push_limits& limits, position upto, std::int64_t now_us) const;
  void count(const push_limits& limits, position upto, std::int64_t now_us);
  // True when nothing was pushed for a minute: a new one would behave the same.
  bool is_idle(std::int64_t now_us) const;

 private:
  std::vector<std::int64_t> last_us_; // a ring of the last pushes, as many as the limit
  std::size_t oldest_ = 0;
  position counted_upto_ = 0;
};

// What waits for one device, in all.
struct waiting {
  bool urgent = false; // something HIGH or CRITICAL
  bool normal = false; // something NORMAL that battery saver does not hold
  bool saved = false;  // something that it holds
  position upto = 0;   // the last place of the feed that waits
  bool any() const { return urgent || normal || saved; }
  void add(const std::vector<push_setting>& settings, const feed_event& what); // REQUIRES: it passes
};

struct pace {
  static constexpr std::int64_t never_us = std::numeric_limits<std::int64_t>::max();
  bool send_now = false;                 // all that waits, in the feed's order
  std::int64_t wait_until_us = never_us; // else: ask again then, or when something more waits
};

// The clock of one device.
class pacing {
 public:
  // Urgent: now, with everything that waits before and behind it. NORMAL: when the user's budget allows. Held
  // only by battery saver: once the first of them has waited for the interval, and the budget allows. When it
  // says send_now it has counted the push, and the caller sends.
  pace decide(const push_limits& limits, push_budget& of_user, const waiting& what, std::int64_t now_us);

 private:
  std::optional<std::int64_t> saved_since_us_; // battery saver holds something since
};

} // namespace mooring::sync
