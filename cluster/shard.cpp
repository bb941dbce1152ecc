#include "cluster/shard.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "cluster/message_check.hpp"
#include "cluster/message_codec.hpp"
#include "cluster/shard_impl.hpp"

namespace mooring::cluster {

// ── life ──

result<void> shard::impl::start() {
  auto storage = options.open_storage();
  if (!storage) return storage.failure();
  auto next = std::make_unique<session>();
  next->storage = std::move(*storage);
  const auto alone = options.members.voters.size() == 1;
  replica_store_options store_options;
  store_options.keep_entries = alone ? 0 : options.log_keep_entries;
  store_options.keep_bytes = options.log_keep_bytes;
  store_options.time = options.time;
  store_options.on_commit = [this](const commit_measure& measure) {
    ++stats.commits;
    stats.commit_bytes += measure.bytes;
    stats.commit_micros += measure.micros;
    stats.entries += measure.entries;
    stats.rows_applied += measure.rows_applied;
    stats.applies += measure.applies;
    if (measure.rows_applied > 0) ++stats.apply_parts;
    options.observer->commit(measure);
  };
  next->store.emplace(*next->storage, std::move(store_options));

  replica_contents contents;
  auto found = next->store->load(contents);
  if (!found) return found.failure();
  const identity me{options.self, options.members};
  if (!*found) {
    if (!options.bootstrap)
      return error{error_code::not_found, "no replica is stored here, and it must not start as an empty one"};
    if (auto created = next->store->bootstrap(me); !created) return created;
    if (auto loaded = next->store->load(contents); !loaded) return loaded.failure();
  }
  if (next->store->who() != me)
    return error{
        error_code::internal,
        fmt::format(
            "these files belong to shard {} generation {} node {}, not to shard {} generation {} node "
            "{} (or the members differ)",
            contents.who.members.shard, contents.who.members.generation, contents.who.self, me.members.shard,
            me.members.generation, me.self)};

  raft_io_options io_options;
  io_options.time = options.time;
  io_options.random_seed = options.random_seed + stats.reloads * 7919;
  io_options.message_bytes_max = options.message_bytes_max;
  io_options.snapshot_bytes_max = options.snapshot_bytes_max;
  io_options.clamp_success_replies = options.rules.clamp_success_replies;
  io_options.refused_pre_vote_tells_term = options.rules.refused_pre_vote_tells_term;
  next->io = std::make_unique<raft_io_adapter>(*next->store, std::move(contents), *this, io_options);

  next->fsm.version = 2;
  next->fsm.data = this;
  next->fsm.apply = [](raft_fsm* fsm, const raft_buffer* buffer, void** answer) {
    *answer = nullptr;
    return static_cast<impl*>(fsm->data)->committed(*buffer);
  };
  next->fsm.snapshot = [](raft_fsm* fsm, raft_buffer* bufs[], unsigned* count) {
    return static_cast<impl*>(fsm->data)->snapshot(bufs, count);
  };
  // The tables are the state: at load they stand at the virtual snapshot, after an install raft_io has
  // written them.
  next->fsm.restore = [](raft_fsm*, raft_buffer* buffer) {
    raft_free(buffer->base);
    return 0;
  };

  half_done = next->store->applied().ahead != 0;
  live = std::move(next);
  why_stopped.reset();
  blocked = false;
  ticked_us = now_us();
  auto& raft = live->raft;
  MOORING_CHECK(raft_init(&raft, live->io->io(), &live->fsm, options.self, address.c_str()) == 0,
                "raft_init");
  live->raft_is_open = true;
  raft_set_election_timeout(&raft, options.election_timeout_ms);
  raft_set_heartbeat_timeout(&raft, options.heartbeat_ms);
  raft_set_install_snapshot_timeout(&raft, options.install_snapshot_timeout_ms);
  raft_set_snapshot_threshold(&raft, options.snapshot_threshold);
  raft_set_pre_vote(&raft, true);

  in_raft = true;
  // replays the log behind the applied index when we are the only voter
  const auto started = raft_start(&raft);
  in_raft = false;
  if (started != 0 && !live->io->failure()) {
    error why{error_code::internal, fmt::format("raft does not start: {}", raft_strerror(started))};
    close();
    return why;
  }
  finish_step();
  if (!running()) return *why_stopped;
  return {};
}

void shard::impl::close() {
  if (!live) return;
  // Views into raft's log die with it.
  pending.clear();
  parts.clear();
  bytes_since_snapshot = 0;
  proposal_body = nullptr;
  if (live->raft_is_open) raft_close(&live->raft, nullptr); // our close completes at once
  live.reset();
  view_held = false;
  elected = barrier_passed = leading = false;
}

void shard::impl::stop(error why) {
  const auto was_elected = elected;
  log::error("shard {}: stopped, will load again from disk: {}", options.members.shard, why.message);
  close();
  outcome.reset();
  reload_at_us = now_us() + options.reload_backoff_ms * 1000;
  why_stopped = why;
  if (was_elected) options.observer->stepped_down();
  options.observer->stopped(why);
  if (auto done = std::exchange(proposal, nullptr))
    done(unavailable("the shard stopped before the outcome was known"));
}

// ── steps ──

void shard::impl::settle_raft() {
  auto& io = *live->io;
  io.drain();
  while (!io.failure() && role() == RAFT_LEADER && (!elected || elected_term != live->raft.current_term)) {
    if (elected) options.observer->stepped_down(); // and was elected again within one step
    elected = true;
    barrier_passed = leading = false;
    elected_term = live->raft.current_term;
    ++stats.elections_won;
    options.observer->elected(elected_term);
    if (!options.rules.barrier_on_election) {
      barrier_passed = true;
      break;
    }
    // R2: an entry of our own term, before any other message is looked at. Entries of older terms are then
    // never counted as committed alone (Raft 5.4.2), and everything committed before is known when this one
    // is.
    barrier.data = this;
    in_raft = true;
    const auto begun = raft_barrier(&live->raft, &barrier, [](raft_barrier_request* done, int status) {
      if (status == 0) static_cast<impl*>(done->data)->barrier_passed = true;
    });
    in_raft = false;
    if (begun != 0) break; // no leader any more, or the storage failed: seen below
    io.drain();
  }
  io.finish_message();
}

void shard::impl::notice_role() {
  if (elected && (role() != RAFT_LEADER || elected_term != live->raft.current_term)) {
    elected = barrier_passed = leading = false;
    options.observer->stepped_down();
  }
  if (elected && barrier_passed && !leading) {
    // Whoever leads answers from the tables: all that was committed before goes there first. When the disk is
    // full this waits, and tick() tries again.
    if (nothing_waits() || (!blocked && apply_pending().ok())) {
      leading = true;
      options.observer->leading(elected_term);
    }
  }
}

void shard::impl::finish_step() {
  settle_raft();
  if (const auto& failed = live->io->failure()) return stop(*failed);
  if (role() == RAFT_UNAVAILABLE)
    return stop({error_code::internal, fmt::format("raft became unavailable: {}", raft_errmsg(&live->raft))});
  notice_role();
  if (const auto& failed = live->io->failure()) return stop(*failed);
  if (const auto index = std::exchange(installed, std::nullopt)) {
    options.observer->snapshot_installed(*index);
    options.observer->applied(*index);
  }
  if (options.peers)
    for (auto& [to, bytes] : live->io->take_outbox()) options.peers->send(to, std::move(bytes));
  if (outcome) {
    auto done = std::exchange(proposal, nullptr);
    auto answer = std::move(*outcome);
    outcome.reset();
    if (done) done(std::move(answer));
  }
}

void shard::impl::propose(std::string body, propose_completion done, purpose what_for) {
  ++stats.proposals;
  const auto refuse = [&](error why) {
    ++stats.proposals_refused;
    done(std::move(why));
  };
  if (!running()) return refuse(unavailable("the shard is stopped"));
  if (!leading) return refuse(unavailable("this replica does not lead its shard"));
  if (proposal) return refuse(unavailable("another proposal is in flight")); // R6
  if (body.size() > options.entry_bytes_max)
    return refuse({error_code::payload_too_large, "the entry is larger than a shard takes"});
  if (blocked) return refuse(storage_full());

  raft_buffer buffer{raft_malloc(std::max<std::size_t>(body.size(), 1)), body.size()};
  MOORING_CHECK(buffer.base != nullptr, "memory for raft");
  std::memcpy(buffer.base, body.data(), body.size());
  const std::string_view copy(static_cast<const char*>(buffer.base), buffer.len);
  if (!rows_are_valid(copy, options.read_rows, proposal_rows)) {
    raft_free(buffer.base);
    return refuse({error_code::internal, "the entry is malformed"});
  }
  if (auto room = room_for_entry(body.size(), proposal_rows.size(), what_for);
      !room) { // R5: before raft_apply
    raft_free(buffer.base);
    if (live->io->failure()) finish_step();
    return refuse(room.failure());
  }

  proposal = std::move(done);
  proposal_body = buffer.base;
  request.data = this;
  live->io->may_refuse_append(true);
  in_raft = true;
  const auto begun =
      raft_apply(&live->raft, &request, &buffer, 1, [](raft_apply_request* now, int status, void*) {
        auto& self = *static_cast<impl*>(now->data);
        if (status == 0) {
          self.acknowledged = now->index;
          self.outcome.emplace(log_index{now->index});
        } else {
          self.proposal_body = nullptr; // raft may free the entry, and its address come back as another
          self.outcome.emplace(unavailable("the lead was lost before the outcome was known"));
        }
      });
  in_raft = false;
  live->io->may_refuse_append(false);
  if (begun != 0) { // the buffer is still ours
    raft_free(buffer.base);
    proposal_body = nullptr;
    done = std::exchange(proposal, nullptr);
    finish_step();
    return refuse(begun == RAFT_NOSPACE ? storage_full() : unavailable(raft_strerror(begun)));
  }
  finish_step();
}

void shard::impl::receive(std::string_view bytes) {
  ++stats.messages;
  if (!running()) return;
  const auto refuse = [&](std::string_view why) {
    ++stats.messages_refused;
    log::debug("shard {}: message dropped: {}", options.members.shard, why);
  };
  message_limits limits;
  limits.bytes_max =
      std::max({options.message_bytes_max, options.entry_bytes_max, options.snapshot_bytes_max}) + 65536;
  auto decoded = decode_message(bytes, limits);
  if (!decoded) return refuse(decoded.failure().message);
  receiver_view view;
  view.self = options.self;
  view.members = &options.members;
  view.term = live->raft.current_term;
  view.leader = role() == RAFT_LEADER;
  view.commit_index = live->raft.commit_index;
  view.last_index = live->store->last_index();
  view.term_of = [this](log_index index) { return live->store->term_of(index); };
  view.read_rows = options.read_rows;
  view.entry_bytes_max = options.entry_bytes_max;
  if (const auto why = why_refused(*decoded, view)) {
    if (*why == contradicts_committed) {
      log::error("shard {}: node {} {}", options.members.shard, decoded->from, *why);
      options.observer->contradicted(decoded->from);
    }
    return refuse(*why);
  }

  if (const auto* entries = std::get_if<append_entries>(&decoded->body);
      entries && !entries->entries.empty()) {
    // R5: a follower that cannot store answers nothing, as if the message were lost.
    if (const auto room = room_for_entry(bytes.size(), bytes.size() / row_bytes_usual, purpose::ordinary);
        !room) {
      refuse(room.failure().message);
      return finish_step();
    }
  }
  if (std::holds_alternative<install_snapshot>(decoded->body)) {
    // raft drops its log in memory, and with it the bodies of pending entries, before it asks us to install.
    // What an earlier life of this replica began is finished when raft commits it again, or void.
    if (!has_room(bytes.size(), bytes.size() / row_bytes_usual, purpose::ordinary))
      return refuse("the disk is full");
    const bool wait_for_more = applied_by_raft() < live->store->applied().ahead;
    if (const auto applied = wait_for_more ? result<void>{} : apply_pending(); !applied) {
      refuse(applied.failure().message);
      return finish_step();
    }
  }
  in_raft = true;
  live->io->receive(*decoded);
  in_raft = false;
  finish_step();
}

void shard::impl::tick() {
  const auto now = now_us();
  if (!running()) {
    if (now < reload_at_us) return;
    ++stats.reloads;
    why_stopped.reset();
    const auto again = start();
    if (again) {
      reload_wait_ms = 0;
      return options.observer->reloaded();
    }
    reload_wait_ms = std::clamp(2 * reload_wait_ms, options.reload_backoff_ms, options.reload_backoff_max_ms);
    reload_at_us = now + reload_wait_ms * 1000;
    if (!why_stopped) { // else it was loaded, and stop() has told
      log::error("shard {}: cannot be loaded: {}", options.members.shard, again.failure().message);
      why_stopped = again.failure();
    }
    return;
  }
  if (now - ticked_us >= static_cast<std::int64_t>(options.heartbeat_ms) * 1000) {
    ticked_us = now;
    in_raft = true;
    live->io->tick();
    in_raft = false;
    finish_step();
    if (!running()) return;
  }
  if (nothing_waits() || (blocked && now < retry_at_us)) return;
  blocked = false;
  if (!may_apply()) return;
  if (!parts.under_way()) {
    if (!apply_due() && now - pending.newest_us() < options.apply.idle_ms * 1000) return;
    begin_parts();
  } else if (now - part_at_us < options.apply.idle_part_ms * 1000) {
    return;
  }
  if (const auto applied = apply_part(options.apply.idle_part_bytes); !is_full(applied)) finish_step();
}

// ── shard ──

shard::shard(std::unique_ptr<impl> given)
    : impl_(std::move(given)) {}
shard::~shard() = default;

result<std::unique_ptr<shard>> shard::open(shard_options options) {
  if (auto valid = options.validate(); !valid) return valid.failure();
  auto made = std::make_unique<impl>(std::move(options));
  if (auto started = made->start(); !started) {
    const bool loaded = made->why_stopped.has_value(); // and stopped again by its first write
    if (!loaded || started.failure().code != error_code::storage_full) return started.failure();
  }
  return std::unique_ptr<shard>(new shard(std::move(made)));
}

void shard::propose(std::string body, propose_completion done, purpose what_for) {
  MOORING_CHECK(!impl_->in_raft, "an observer does not call the shard");
  impl_->propose(std::move(body), std::move(done), what_for);
}

bool shard::can_propose() const {
  return impl_->running() && impl_->leading && !impl_->proposal;
}

void shard::receive(std::string_view bytes) {
  MOORING_CHECK(!impl_->in_raft, "an observer does not call the shard");
  impl_->receive(bytes);
}

void shard::tick() {
  MOORING_CHECK(!impl_->in_raft, "an observer does not call the shard");
  impl_->tick();
}

std::int64_t shard::next_tick_us() const {
  const auto& self = *impl_;
  if (!self.running()) return self.reload_at_us;
  auto next = self.ticked_us + static_cast<std::int64_t>(self.options.heartbeat_ms) * 1000;
  if (self.nothing_waits()) return next;
  if (self.blocked) return std::min(next, self.retry_at_us);
  if (!self.may_apply()) return next;
  if (self.parts.under_way()) return std::min(next, self.part_at_us + self.options.apply.idle_part_ms * 1000);
  next = std::min(next, self.pending.oldest_us() + self.options.apply.age_max_ms * 1000);
  return std::min(next, self.pending.newest_us() + self.options.apply.idle_ms * 1000);
}

void shard::apply_now(completion done) {
  MOORING_CHECK(!impl_->in_raft, "an observer does not call the shard");
  if (!impl_->running()) return done(unavailable("the shard is stopped"));
  auto applied = impl_->apply_pending();
  impl_->finish_step();
  done(std::move(applied));
}

result<void> shard::reload() {
  MOORING_CHECK(!impl_->in_raft, "an observer does not call the shard");
  if (impl_->running()) return {};
  ++impl_->stats.reloads;
  auto again = impl_->start();
  if (again) {
    impl_->reload_wait_ms = 0;
    impl_->options.observer->reloaded();
  }
  return again;
}

shard_state shard::state() const {
  switch (impl_->role()) {
  case RAFT_FOLLOWER: return shard_state::following;
  case RAFT_CANDIDATE: return shard_state::candidate;
  case RAFT_LEADER: return impl_->leading ? shard_state::leading : shard_state::elected;
  default: return shard_state::stopped;
  }
}

log_term shard::term() const {
  return impl_->running() ? impl_->live->raft.current_term : 0;
}

std::optional<node_id> shard::leader() const {
  if (!impl_->running()) return {};
  raft_id id = 0;
  const char* address = nullptr;
  raft_leader(&impl_->live->raft, &id, &address);
  return id == 0 ? std::nullopt : std::optional<node_id>(id);
}

log_index shard::applied_index() const {
  return impl_->running() ? impl_->live->store->applied().index : 0;
}
log_index shard::committed_index() const {
  return impl_->running() ? impl_->applied_by_raft() : 0;
}
log_index shard::last_acknowledged_index() const {
  return impl_->acknowledged;
}
log_index shard::last_index() const {
  return impl_->running() ? impl_->live->store->last_index() : 0;
}
const std::optional<error>& shard::failure() const {
  return impl_->why_stopped;
}
const shard_options& shard::options() const {
  return impl_->options;
}

shard_stats shard::stats() const {
  auto now = impl_->stats;
  now.pending_entries = impl_->pending.entries() + impl_->parts.entries();
  now.pending_rows = impl_->pending.rows() + impl_->parts.rows_left();
  now.pending_bytes = impl_->pending.bytes() + impl_->parts.bytes_left();
  now.log_bytes = impl_->running() ? impl_->live->store->log_bytes() : 0;
  now.apply_blocked = impl_->blocked;
  return now;
}

} // namespace mooring::cluster
