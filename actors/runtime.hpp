// runtime: all actors of a node, started and stopped in order. Keeps CAF out of sight of main.
//
//   runtime up(options) → wait_ready() → net::server with make_gateway → … → server.stop() → up.stop()
//
// Threads: construct, wait_ready and stop from one thread; the rest from any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/surroundings.hpp"
#include "api/service.hpp"
#include "base/document.hpp"
#include "base/result.hpp"
#include "net/gateway.hpp"
#include "net/thread_context.hpp"
#include "storage/backup_stream.hpp"
#include "storage/environment.hpp"

namespace mooring::actors {

struct runtime_options {
  actor_settings settings;
  unsigned network_threads = 1;
  std::vector<storage::environment_options> shards; // one each, in order
  std::uint64_t apply_bytes_max = 16ull << 20;
  std::int64_t apply_age_ms = 1'000;
  // The top of the supervision tree has failed: the process must end. Called once, from an actor's thread.
  std::function<void(const std::string& why)> fatal;
};

// What one shard is doing, for the metrics.
struct shard_report {
  std::uint64_t commits = 0, commit_bytes = 0, entries = 0, rows_applied = 0, applies = 0, reloads = 0;
  std::uint64_t pending_bytes = 0, log_bytes = 0, storage_full = 0;
  bool leading = false;
  // bucket's upper bound, count in it; the last: infinity
  std::vector<std::pair<double, std::uint64_t>> commit_seconds;
  double commit_seconds_sum = 0;
  std::vector<std::pair<double, std::uint64_t>> group_sizes;
  std::uint64_t group_sum = 0;
  storage::environment_stats files;
};

class runtime {
 public:
  explicit runtime(runtime_options options);
  ~runtime(); // stops

  // Until every shard leads and its tables hold what its log holds, or cannot for want of room on its disk: then
  // is_ready says so. unavailable when it takes too long, or `is_over` (asked again and again) says so.
  result<void> wait_ready(std::int64_t timeout_ms, const std::function<bool()>& is_over = {});
  bool is_ready(std::string& why_not) const;

  // REQUIRES: `service` and the context outlive the gateway.
  std::unique_ptr<net::gateway> make_gateway(net::thread_context& thread, const api::service& service);

  // Ends all actors, after the network threads have ended; the writers bring the tables up to date with the log. Idempotent.
  void stop();

  const census& who() const;
  // Asks an actor what it is doing: an object document. Nothing when it does not answer within a second.
  std::optional<document> inspect(std::uint64_t actor_id) const;
  // Makes an actor fail, as a defect in it would: for the console and for tests. False: there is no such actor.
  bool fail(std::uint64_t actor_id);
  const actor_counters& counters() const;
  std::vector<shard_report> shards() const;

  // What streams a consistent copy of every shard. A shard that is loaded anew meanwhile ends it. REQUIRES: it ends before
  // stop().
  std::unique_ptr<storage::backup_writer> begin_backup(const std::filesystem::path& data) const;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace mooring::actors
