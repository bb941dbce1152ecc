#include "actors/runtime.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <thread>

#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/directory.hpp"
#include "actors/home.hpp"
#include "actors/network.hpp"
#include "actors/pinned.hpp"
#include "actors/reader.hpp"
#include "base/log.hpp"
#include "cluster/entry_rows.hpp"
#include "cluster/lmdb_storage.hpp"

namespace mooring::actors {

namespace {

constexpr unsigned readers_per_shard = 2;
constexpr unsigned view_readers_spare = 2; // the writer's own look for tenants to sweep, and one more
// raft keeps unapplied entries in memory; their bytes are bounded too
constexpr std::uint64_t apply_entries_max = 1'000;

struct system_config : caf::actor_system_config {
  system_config() {
    add_message_types<caf::id_block::mooring>();
    // Work sharing: an idle worker sleeps. Work stealing polls, which costs an idle node CPU.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", 2);
    set("scheduler.max-throughput", home::throughput);
  }
};

class directory_host final : public directory_actor::base {
 public:
  directory_host(caf::actor_config& config, const surroundings& around, directory_setting setting)
      : directory_actor::base(config)
      , state_(std::in_place, this, around, std::move(setting)) {}
  const char* name() const override { return directory_state::actor_name; }
  void on_exit() override { state_.reset(); }

 protected:
  directory_actor::behavior_type make_behavior() override { return state_->behavior(); }

 private:
  std::optional<directory_state> state_;
};

// The top: hears when a directory fails.
class watcher final : public caf::event_based_actor {
 public:
  watcher(caf::actor_config& config, std::vector<directory_actor> directories,
          std::function<void(const std::string&)> fatal)
      : caf::event_based_actor(config)
      , directories_(std::move(directories))
      , fatal_(std::move(fatal)) {}

 protected:
  caf::behavior make_behavior() override {
    for (const auto& one : directories_) monitor(one);
    set_down_handler([this](const caf::down_msg& message) {
      if (message.reason && message.reason != caf::exit_reason::user_shutdown && fatal_)
        fatal_(fmt::format("a shard's supervisor failed: {}", caf::to_string(message.reason)));
    });
    return {[](housekeeping_tick) {}};
  }

 private:
  std::vector<directory_actor> directories_;
  std::function<void(const std::string&)> fatal_;
};

} // namespace

struct runtime::parts {
  explicit parts(runtime_options given)
      : options(std::move(given))
      , system(config) {}

  struct shard_parts {
    shard_access access;
    writer_counters counters;
    std::vector<std::unique_ptr<snapshot_lease>> leases; // by home
    std::vector<std::unique_ptr<outbox>> outboxes;       // by home
  };

  runtime_options options;
  census who;
  presence connections;
  actor_counters counters;
  surroundings around;
  std::vector<std::unique_ptr<shard_parts>> shards;
  system_config config;
  caf::actor_system system;
  std::vector<std::unique_ptr<home>> homes;
  std::vector<directory_actor> directories;
  std::vector<reader_actor> readers;
  caf::actor watch;
  bool stopped = false;
};

runtime::runtime(runtime_options options)
    : parts_(std::make_unique<parts>(std::move(options))) {
  auto& p = *parts_;
  p.around.settings = p.options.settings;
  p.around.who = &p.who;
  p.around.connections = &p.connections;
  p.around.counters = &p.counters;
  for (unsigned i = 0; i < p.options.network_threads; ++i)
    p.homes.push_back(std::make_unique<home>(p.system));
  for (std::size_t n = 0; n < p.options.shards.size(); ++n) {
    auto& shard = *p.shards.emplace_back(std::make_unique<parts::shard_parts>());
    directory_setting setting;
    for (auto& where : p.homes) {
      auto* const lease = shard.leases.emplace_back(std::make_unique<snapshot_lease>(shard.access)).get();
      auto* const batches = shard.outboxes.emplace_back(std::make_unique<outbox>()).get();
      where->on_rest([lease, batches] {
        lease->park();
        batches->flush();
      });
      setting.dwellings.push_back({where.get(), lease, batches});
    }
    for (unsigned i = 0; i < readers_per_shard; ++i) {
      p.readers.push_back(
          spawn_reader(p.system, p.around, shard.access, fmt::format("reader {} of shard {}", i, n)));
      setting.readers.push_back(p.readers.back());
    }
    setting.writer.number = static_cast<std::uint32_t>(n);
    setting.writer.access = &shard.access;
    setting.writer.files = p.options.shards[n];
    // Nobody waits for a view of the tables: who did might hold one of another shard, whose writer wants it back.
    setting.writer.files.view_readers = p.options.network_threads + readers_per_shard + view_readers_spare;
    setting.writer.counters = &shard.counters;
    auto& raft = setting.writer.shard;
    raft.members.shard = static_cast<std::uint32_t>(n);
    raft.read_rows = &cluster::read_entry_rows;
    raft.random_seed = n + 1;
    raft.apply.bytes_max = p.options.apply_bytes_max;
    raft.apply.age_max_ms = p.options.apply_age_ms;
    raft.apply.entries_max = apply_entries_max;
    p.directories.push_back(p.system.spawn<directory_host>(std::cref(p.around), std::move(setting)));
  }
  p.watch = p.system.spawn<watcher>(p.directories, p.options.fatal);
}

runtime::~runtime() {
  stop();
}

bool runtime::is_ready(std::string& why_not) const {
  for (std::size_t n = 0; n < parts_->shards.size(); ++n)
    if (const auto& is = parts_->shards[n]->counters; !is.leading) {
      why_not = fmt::format("shard {} {}", n, is.lacks_room ? "has no room on its disk" : "is being loaded");
      return false;
    }
  return true;
}

result<void> runtime::wait_ready(std::int64_t timeout_ms, const std::function<bool()>& is_over) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  const auto loaded = [&](const auto& shard) {
    return shard->counters.leading || shard->counters.lacks_room;
  };
  std::string why_not;
  while (!std::all_of(parts_->shards.begin(), parts_->shards.end(), loaded)) {
    (void)is_ready(why_not);
    if (is_over && is_over()) return error{error_code::unavailable, "the start was given up: " + why_not};
    if (std::chrono::steady_clock::now() > until)
      return error{error_code::unavailable, fmt::format("not ready after {} ms: {}", timeout_ms, why_not)};
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return {};
}

std::unique_ptr<net::gateway> runtime::make_gateway(net::thread_context& thread,
                                                    const api::service& service) {
  auto& where = *parts_->homes[thread.index() % parts_->homes.size()];
  where.attach([&thread](std::function<void()> work) { thread.post(std::move(work)); });
  thread.at_rest([&where] { where.rest(); });
  return actors::make_gateway(parts_->system, where, parts_->around, {&service, parts_->directories});
}

void runtime::stop() {
  auto& p = *parts_;
  if (p.stopped) return;
  p.stopped = true;
  for (auto& where : p.homes) where->attach({});
  caf::anon_send_exit(p.watch, caf::exit_reason::user_shutdown);
  for (auto& one : p.directories) caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
  for (auto& one : p.readers) caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
  p.watch = nullptr;
  p.directories.clear();
  p.readers.clear();
  // Tenants and devices live on homes whose threads have ended: this thread takes their place.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const auto ended = [&] {
    for (std::size_t kind = 0; kind < actor_kinds; ++kind)
      if (p.who.alive(static_cast<actor_kind>(kind)) > 0) return false;
    return true;
  };
  while (!ended() && std::chrono::steady_clock::now() < until) {
    for (auto& where : p.homes) where->run_alone();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (auto& where : p.homes) where->run_alone();
  if (!ended()) log::warning("some actors did not end in time");
}

const census& runtime::who() const {
  return parts_->who;
}

namespace {

caf::strong_actor_ptr find(const census& in, std::uint64_t actor_id) {
  for (const auto& one : in.list())
    if (one.actor_id == actor_id) return one.handle.lock();
  return nullptr;
}

} // namespace

std::optional<document> runtime::inspect(std::uint64_t actor_id) const {
  const auto found = find(parts_->who, actor_id);
  if (found == nullptr) return std::nullopt;
  std::optional<document> out;
  caf::scoped_actor self(parts_->system);
  self->request(caf::actor_cast<caf::actor>(found), std::chrono::seconds(1), inspect_request{})
      .receive([&](const inspect_answer& answer) { out = document{answer.document}; },
               [](const caf::error&) {});
  return out;
}

bool runtime::fail(std::uint64_t actor_id) {
  const auto found = find(parts_->who, actor_id);
  if (found == nullptr) return false;
  caf::anon_send_exit(found, caf::exit_reason::kill);
  return true;
}

const actor_counters& runtime::counters() const {
  return parts_->counters;
}

std::vector<shard_report> runtime::shards() const {
  std::vector<shard_report> out;
  for (const auto& shard : parts_->shards) {
    const auto& from = shard->counters;
    auto& to = out.emplace_back();
    to.commits = from.commits;
    to.commit_bytes = from.commit_bytes;
    to.entries = from.entries;
    to.rows_applied = from.rows_applied;
    to.applies = from.applies;
    to.reloads = from.reloads;
    to.pending_bytes = from.pending_bytes;
    to.log_bytes = from.log_bytes;
    to.storage_full = from.storage_full;
    to.leading = from.leading;
    for (std::size_t i = 0; i < from.commit_latency.size(); ++i)
      to.commit_seconds.emplace_back(i < from.bounds_us.size() ? static_cast<double>(from.bounds_us[i]) / 1e6
                                                               : std::numeric_limits<double>::infinity(),
                                     from.commit_latency[i]);
    to.commit_seconds_sum = static_cast<double>(from.commit_latency_sum_us) / 1e6;
    for (std::size_t i = 0; i < from.group_sizes.size(); ++i)
      to.group_sizes.emplace_back(i < from.group_bounds.size() ? static_cast<double>(from.group_bounds[i])
                                                               : std::numeric_limits<double>::infinity(),
                                  from.group_sizes[i]);
    to.group_sum = from.group_sum;
    if (const auto environment = shard->access.environment()) to.files = environment->stats();
  }
  return out;
}

std::unique_ptr<storage::backup_writer> runtime::begin_backup(const std::filesystem::path& data) const {
  const auto open = [this](unsigned n) -> result<storage::open_shard> {
    auto& access = parts_->shards[n]->access;
    const auto generation = access.generation();
    auto environment = access.environment();
    if (environment == nullptr)
      return error{error_code::unavailable, fmt::format("shard {} is being loaded", n)};
    return storage::open_shard{std::move(environment),
                               [&access, generation] { return access.generation() == generation; }};
  };
  return std::make_unique<storage::backup_writer>(data, static_cast<unsigned>(parts_->shards.size()),
                                                  system_clock().now(), open);
}

} // namespace mooring::actors
