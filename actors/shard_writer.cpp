#include "actors/shard_writer.hpp"

#include <algorithm>
#include <thread>

#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/inspection.hpp"
#include "base/log.hpp"
#include "cluster/lmdb_storage.hpp"
#include "storage/tenants.hpp"

namespace mooring::actors {

namespace {

constexpr int tenants_per_tick = 8;
constexpr int open_tries = 1'000; // 10 s
// What a tenant had sent before it heard that its batches were lost has come by then.
constexpr std::int64_t lost_for_us = 300'000'000;

} // namespace

shard_writer_state::shard_writer_state(shard_writer_actor::pointer self, const surroundings& around,
                                       writer_setting setting, directory_actor directory)
    : self_(self)
    , around_(around)
    , setting_(std::move(setting))
    , stay_(around.who->enter({actor_kind::shard_writer, self->id(), fmt::format("shard {}", setting_.number),
                               directory.id(), around.time->now(), 0, caf::weak_actor_ptr{self->ctrl()}}))
    , started_us_(around.time->monotonic_us())
    , directory_(std::move(directory)) {}

shard_writer_state::~shard_writer_state() {
  setting_.access->withdraw();
  setting_.counters->leading = false;
}

shard_writer_actor::behavior_type shard_writer_state::behavior() {
  auto options = setting_.shard;
  options.observer = this;
  options.open_storage =
      cluster::make_lmdb_opener(setting_.files, [this](const std::shared_ptr<storage::environment>& opened) {
        setting_.access->withdraw();
        held_back_ = opened;
      });
  std::this_thread::sleep_for(std::chrono::microseconds(setting_.pause_us)); // the thread is its own
  auto opened = cluster::shard::open(options);
  // After a failure of the writer before this one, readers still hold the environment for the moment of their query.
  for (int tries = 0; !opened && opened.failure().code == error_code::unavailable && tries < open_tries;
       ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    opened = cluster::shard::open(options);
  }
  if (!opened) {
    log::error("shard {}: cannot be opened: {}", setting_.number, opened.failure().message);
    self_->quit(caf::make_error(caf::sec::runtime_error, opened.failure().message));
    return shard_writer_actor::behavior_type::make_empty_behavior();
  }
  shard_ = std::move(*opened);
  if (was_stopped_) stopped(stopped_why_);
  // What the log holds beyond the tables goes into them before anybody reads them.
  shard_->apply_now([this](result<void> done) {
    if (!done)
      log::warning("shard {}: the log waits for the tables: {}", setting_.number, done.failure().message);
  });
  let_readers_in();
  note_state();
  schedule_tick();
  self_->set_exit_handler([this](caf::exit_msg& message) {
    // The node stops, and everything was answered: the tables are brought up to the log, so that whoever looks at the
    // folder sees all of it. On a full disk the next start does it.
    if (message.reason == caf::exit_reason::user_shutdown) (void)apply();
    self_->quit(std::move(message.reason));
  });
  return {
      [this](commit_group& message) { add(*message.group); },
      [this](flush_group) {
        flush_sent_ = false;
        flush();
      },
      [this](refusal_heard) { refused_.erase(caf::actor_cast<tenant_actor>(self_->current_sender()).id()); },
      [this](apply_now) { apply_for(caf::actor_cast<tenant_actor>(self_->current_sender())); },
      [this](settle_tenant) { settle(caf::actor_cast<tenant_actor>(self_->current_sender())); },
      [this](housekeeping_tick) { tick(); },
      [this](inspect_request) { return inspect(); },
  };
}

// ── committing ──

void shard_writer_state::add(batch_group& what) {
  // First, because it decides whose batches are dropped.
  if (!group_.empty() && group_.size() + what.batches.size() > around_.settings.group_bytes_max) flush();
  if (is_full_ && what.is_upkeep != group_is_upkeep_)
    flush(); // what goes on is not held up by what is refused
  if (!lost_.empty() || !lost_before_.empty() || !refused_.empty())
    what.remove_if([&](const tenant_actor& one) {
      return lost_.contains(one.id()) || lost_before_.contains(one.id()) || refused_.contains(one.id());
    });
  if (what.last.empty()) return;
  if (group_.empty())
    group_ = std::move(what.batches);
  else
    group_.append(what.batches);
  group_is_upkeep_ = group_is_upkeep_ && what.is_upkeep;
  count_ += what.parts.size();
  in_group_.insert(in_group_.end(), std::make_move_iterator(what.last.begin()),
                   std::make_move_iterator(what.last.end()));
  if (flush_sent_) return;
  flush_sent_ = true;
  self_->send(self_, flush_group{});
}

void shard_writer_state::flush() {
  if (in_group_.empty()) return;
  auto body = std::exchange(group_, {});
  auto group = std::exchange(in_group_, {});
  const bool is_upkeep = std::exchange(group_is_upkeep_, true);

  auto& counters = *setting_.counters;
  const auto size = static_cast<std::int64_t>(std::exchange(count_, 0));
  const auto& bounds = writer_counters::group_bounds;
  ++counters.group_sizes[static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), size) -
                                                  bounds.begin())];
  counters.group_sum += static_cast<std::uint64_t>(size);

  if (!shard_->can_propose())
    return group_failed(std::move(group), {error_code::unavailable, "the shard has no leader here", {}, 500});
  shard_->propose(
      std::move(body),
      [this, is_upkeep, group = std::move(group)](result<cluster::log_index> done) mutable {
        if (!is_upkeep) is_full_ = !done && done.failure().code == error_code::storage_full;
        if (done)
          group_committed(*done, std::move(group));
        else
          group_failed(std::move(group), done.failure());
      },
      is_upkeep ? cluster::shard::purpose::upkeep : cluster::shard::purpose::ordinary);
  if (was_stopped_) stopped(stopped_why_);
  tell_applied();
}

// The last batch of each tenant stands for those before it.
void shard_writer_state::tell_last(const std::vector<sent_batch>& group,
                                   const std::function<void(const sent_batch&)>& tell) {
  std::unordered_set<caf::actor_id> told; // all that is open when the shard stops may be a hundred thousand
  for (auto at = group.rbegin(); at != group.rend(); ++at)
    if (told.insert(at->tenant.id()).second) tell(*at);
}

void shard_writer_state::group_committed(cluster::log_index at, std::vector<sent_batch> group) {
  committed_group kept{at, {}};
  tell_last(group, [&](const sent_batch& one) {
    self_->send(one.tenant, batches_committed{one.sequence});
    kept.last.push_back(one);
  });
  unapplied_.push_back(std::move(kept));
}

void shard_writer_state::group_failed(std::vector<sent_batch> group, const error& why) {
  if (why.code == error_code::storage_full) { // nothing of it was written (cluster/shard.hpp)
    ++setting_.counters->storage_full;
    if (const auto now = around_.time->monotonic_us(); now >= warn_full_at_us_) {
      warn_full_at_us_ = now + 10'000'000;
      log::warning("shard {}: uploads are refused: {}", setting_.number, why.message);
    }
    tell_last(group, [&](const sent_batch& one) {
      refused_.insert(one.tenant.id());
      self_->send(one.tenant, batches_refused{why});
    });
    return;
  }
  log::warning("shard {}: a group of {} batches was not committed: {}", setting_.number, group.size(),
               why.message);
  tell_last(group, [&](const sent_batch& one) {
    lost_.insert(one.tenant.id());
    self_->send(one.tenant, batches_lost{why});
  });
}

// ── applying ──

void shard_writer_state::applied(cluster::log_index upto) {
  applied_to_tell_ = std::max(applied_to_tell_, upto);
}

void shard_writer_state::tell_applied() {
  while (!unapplied_.empty() && unapplied_.front().at <= applied_to_tell_) {
    for (const auto& one : unapplied_.front().last) self_->send(one.tenant, batches_applied{one.sequence});
    unapplied_.pop_front();
  }
  // A shard that was loaded anew has entries that nobody here sent: they count as well.
  if (!settling_.empty() && unapplied_.empty() && shard_->is_leader() && shard_->stats().pending_entries == 0)
    for (auto& tenant : std::exchange(settling_, {})) self_->send(tenant, tenant_settled{});
}

result<void> shard_writer_state::apply() {
  flush();
  result<void> outcome;
  shard_->apply_now([&](result<void> done) { outcome = std::move(done); });
  if (was_stopped_) stopped(stopped_why_);
  tell_applied();
  return outcome;
}

// Whoever waits for a shard that stopped has heard batches_lost, or hears tenant_settled when it is loaded.
void shard_writer_state::apply_for(const tenant_actor& asker) {
  if (auto done = apply(); !done && done.failure().code == error_code::storage_full)
    self_->send(asker, apply_blocked{done.failure()});
}

void shard_writer_state::settle(tenant_actor tenant) {
  settling_.push_back(tenant);
  apply_for(tenant);
}

// ── the shard's own events ──

void shard_writer_state::commit(const cluster::commit_measure& measure) {
  auto& counters = *setting_.counters;
  ++counters.commits;
  counters.commit_bytes += measure.bytes;
  counters.entries += measure.entries;
  counters.rows_applied += measure.rows_applied;
  counters.applies += measure.applies;
  const auto& bounds = writer_counters::bounds_us;
  ++counters.commit_latency[static_cast<std::size_t>(
      std::lower_bound(bounds.begin(), bounds.end(), measure.micros) - bounds.begin())];
  counters.commit_latency_sum_us += static_cast<std::uint64_t>(measure.micros);
}

void shard_writer_state::stopped(const error& why) {
  if (!was_stopped_) { // inside the shard: remember, and act when it has finished its step
    was_stopped_ = true;
    stopped_why_ = why;
    held_back_ = nullptr;
    setting_.access->withdraw();
    return;
  }
  was_stopped_ = false;
  note_state();
  // Everybody who has something open begins anew from what is stored.
  const error doubt{error_code::unavailable, "the outcome is not known: retry with the same key", {}, 500};
  std::vector<sent_batch> open = std::exchange(in_group_, {});
  group_.clear();
  for (auto& group : std::exchange(unapplied_, {}))
    open.insert(open.end(), group.last.begin(), group.last.end());
  tell_last(open, [&](const sent_batch& one) {
    lost_.insert(one.tenant.id());
    self_->send(one.tenant, batches_lost{doubt});
  });
}

void shard_writer_state::reloaded() {
  ++setting_.counters->reloads;
  log::info("shard {}: loaded from disk", setting_.number);
}

// ── housekeeping ──

void shard_writer_state::tick() {
  shard_->tick();
  if (was_stopped_) stopped(stopped_why_);
  const bool leads = shard_->is_leader();
  // After a reload, or a full disk: the tables first, then whoever waits. Under load they never reach the log by themselves.
  if (leads && (!setting_.counters->leading || !settling_.empty())) (void)apply();
  let_readers_in();
  note_state();
  const auto stats = shard_->stats();
  setting_.counters->pending_bytes = stats.pending_bytes;
  setting_.counters->log_bytes = stats.log_bytes;
  tell_applied();
  if (stats.apply_blocked)
    for (const auto& tenant : settling_)
      self_->send(tenant,
                  apply_blocked{{error_code::storage_full, "the disk has no room left at all", {}, 1'000}});
  if (const auto now = around_.time->monotonic_us(); now - lost_from_us_ > lost_for_us) {
    lost_from_us_ = now;
    lost_before_ = std::exchange(lost_, {});
  }
  find_tenants_to_sweep();
  schedule_tick();
}

void shard_writer_state::note_state() {
  const bool leads = shard_->is_leader();
  setting_.counters->leading = leads;
  const auto& failure = shard_->failure();
  setting_.counters->lacks_room =
      !leads && (shard_->stats().apply_blocked || (failure && failure->code == error_code::storage_full));
}

void shard_writer_state::let_readers_in() {
  if (held_back_ == nullptr || !shard_->is_leader() || shard_->stats().pending_entries > 0) return;
  setting_.access->publish(std::exchange(held_back_, nullptr));
}

void shard_writer_state::schedule_tick() {
  const auto wait_us =
      std::clamp<std::int64_t>(shard_->next_tick_us() - around_.time->monotonic_us(), 1'000, 100'000);
  self_->delayed_send(self_, std::chrono::microseconds(wait_us), housekeeping_tick{});
}

void shard_writer_state::find_tenants_to_sweep() {
  const auto now = around_.time->monotonic_us();
  if (!sweeping_) {
    if (now - round_began_us_ < around_.settings.sweep_round_ms * 1000 && round_began_us_ != 0) return;
    round_began_us_ = now;
    sweeping_ = true;
    sweep_from_ = 0;
  }
  const auto environment = setting_.access->environment();
  if (environment == nullptr) return;
  auto snapshot = environment->begin_read();
  if (!snapshot) return;
  for (int i = 0; i < tenants_per_tick && sweeping_; ++i) {
    const auto found = storage::next_tenant(*snapshot, sweep_from_);
    if (!found) {
      sweeping_ = false;
      break;
    }
    self_->send(directory_, tenant_found{found->name});
    sweep_from_ = found->hash + 1;
    if (sweep_from_ == 0) sweeping_ = false;
  }
}

inspect_answer shard_writer_state::inspect() const {
  inspection out("shard_writer", fmt::format("shard {}", setting_.number),
                 (around_.time->monotonic_us() - started_us_) / 1000);
  const auto stats = shard_->stats();
  out.text("state", cluster::to_string(shard_->state()));
  out.number("term", static_cast<std::int64_t>(shard_->term()));
  out.number("last_index", static_cast<std::int64_t>(shard_->last_index()));
  out.number("applied_index", static_cast<std::int64_t>(shard_->applied_index()));
  out.number("commits", static_cast<std::int64_t>(stats.commits));
  out.number("entries", static_cast<std::int64_t>(stats.entries));
  out.number("rows_applied", static_cast<std::int64_t>(stats.rows_applied));
  out.number("pending_bytes", static_cast<std::int64_t>(stats.pending_bytes));
  out.number("reloads", static_cast<std::int64_t>(stats.reloads));
  return out.take();
}

namespace {

// Holds its state by pointer so that opening the shard happens on the actor's own thread, in make_behavior.
class shard_writer final : public shard_writer_actor::base {
 public:
  shard_writer(caf::actor_config& config, const surroundings& around, writer_setting setting,
               directory_actor directory)
      : shard_writer_actor::base(config)
      , state_(std::make_unique<shard_writer_state>(this, around, std::move(setting), std::move(directory))) {
  }
  const char* name() const override { return shard_writer_state::actor_name; }
  void on_exit() override { state_.reset(); }

 protected:
  shard_writer_actor::behavior_type make_behavior() override { return state_->behavior(); }

 private:
  std::unique_ptr<shard_writer_state> state_;
};

} // namespace

shard_writer_actor spawn_shard_writer(caf::actor_system& system, const surroundings& around,
                                      writer_setting setting, directory_actor directory) {
  return system.spawn<shard_writer, caf::detached>(std::cref(around), std::move(setting),
                                                   std::move(directory));
}

} // namespace mooring::actors
