// Counting what a tenant does, hour by hour. Pure; belongs to the tenant actor.
//
// Counts are kept in memory and written as rows, with whatever batch comes next, at most once a minute: a
// crash may lose the last minute of them, never an upload. Memory: about 2 KiB.
#pragma once

#include <optional>
#include <vector>

#include "sync/analytics_hour.hpp"
#include "sync/answers.hpp"
#include "sync/commands.hpp"
#include "sync/store.hpp"

namespace mooring::sync {

inline constexpr std::int64_t analytics_write_ms = 60'000;

class analytics {
 public:
  // What is stored of the present hour, after a start. Once; what was counted before stays.
  void resume(const analytics_hour& stored);

  // An upload was answered. `took_us` from its arrival to its commit.
  void count(const upload& what, const upload_answer& answer, std::int64_t took_us, instant now);

  // Something was counted, and the last writing is a minute ago or the hour is over.
  bool is_due(instant now) const;
  bool has_news() const { return counted_ || !ended_.empty(); }
  // The rows to put; empty when nothing was counted since.
  void take(instant now, write_list& out);

  const analytics_hour& present() const { return present_; }

 private:
  void turn_to(std::int64_t hour);

  analytics_hour present_;
  bool counted_ = false; // since the last writing
  std::vector<analytics_hour>
      ended_; // hours that are over and not yet written; one, unless nothing is ever written
  instant written_at_;
};

} // namespace mooring::sync
