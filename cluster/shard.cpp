#include "cluster/shard.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/log.hpp"
#include "cluster/libraft.hpp"
#include "cluster/message_check.hpp"
#include "cluster/message_codec.hpp"
#include "cluster/pending_apply.hpp"
#include "cluster/raft_io.hpp"

namespace mooring::cluster {
namespace {

constexpr std::uint64_t room_margin_bytes = 1 << 20;
// What a row costs beside its key and value: usually its share of a page, at most a page of its own (copied,
// with a share of the pages above it).
constexpr std::uint64_t row_bytes_usual = 64, row_bytes_most = 4506;

error unavailable(std::string why) {
  return {error_code::unavailable, std::move(why)};
}
error storage_full() {
  return {error_code::storage_full, "the disk is full", {}, 1'000};
}

bool is_full(const result<void>& outcome) {
  return !outcome && outcome.failure().code == error_code::storage_full;
}

} // namespace

result<void> shard_options::validate() const {
  const auto wrong = [](const char* what) { return error{error_code::bad_user_input, what}; };
  if (self == 0) return wrong("shard: self must not be 0");
  if (members.voters.empty()) return wrong("shard: members must not be empty");
  std::set<node_id> ids;
  std::set<std::string> addresses;
  for (const auto& each : members.voters) {
    if (each.id == 0 || each.address.empty() || each.address.size() > 255)
      return wrong("shard: a member needs an id and an address of at most 255 bytes");
    if (each.address.find('\0') != std::string::npos) return wrong("shard: an address holds a zero byte");
    if (!ids.insert(each.id).second || !addresses.insert(each.address).second)
      return wrong("shard: members must have distinct ids and addresses");
  }
  if (!members.find(self)) return wrong("shard: self is no member");
  if (!open_storage) return wrong("shard: open_storage is required");
  if (!read_rows) return wrong("shard: read_rows is required");
  if (members.voters.size() > 1 && !peers) return wrong("shard: more than one voter need a transport");
  if (heartbeat_ms == 0 || heartbeat_ms >= election_timeout_ms)
    return wrong("shard: heartbeat_ms must be positive and less than election_timeout_ms");
  if (install_snapshot_timeout_ms == 0) return wrong("shard: install_snapshot_timeout_ms must be positive");
  if (entry_bytes_max == 0 || entry_bytes_max > (std::size_t{1} << 30))
    return wrong("shard: entry_bytes_max must be from 1 to 1 GiB");
  if (snapshot_threshold == 0) return wrong("shard: snapshot_threshold must be positive");
  if (apply.bytes_max == 0 || apply.rows_max == 0 || apply.entries_max == 0)
    return wrong("shard: the bounds of apply must be positive");
  if (apply.age_max_ms < 0 || apply.idle_ms < 0 || apply.retry_ms <= 0 || reload_backoff_ms < 0 ||
      reload_backoff_max_ms < reload_backoff_ms)
    return wrong("shard: a duration is negative");
  return {};
}

std::string_view to_string(shard_state state) {
  switch (state) {
  case shard_state::stopped: return "stopped";
  case shard_state::following: return "following";
  case shard_state::candidate: return "candidate";
  case shard_state::elected: return "elected";
  case shard_state::leading: return "leading";
  }
  return "?";
}

// One life between open (or reload) and stop is a `session`: storage, store, adapter, raft. The impl outlives
// them.
struct shard::impl final : raft_io_host {
  struct session {
    std::unique_ptr<stable_storage> storage;
    std::optional<replica_store> store;
    std::unique_ptr<raft_io_adapter> io;
    raft_fsm fsm{};
    struct raft raft {};
    bool raft_is_open = false;
  };

  explicit impl(shard_options given)
      : options(std::move(given)) {
    if (!options.time) options.time = &system_clock();
    if (!options.observer) options.observer = &nobody;
    const auto& who = options.members.find(options.self)->address;
    address = who;
  }
  ~impl() override { close(); }

  // ── life ──

  result<void> start();
  void close();
  void stop(error why);

  // ── steps ──

  // Every call into raft ends here: R1 drain, R2 barrier, R5 stop; then messages, notices and completions go
  // out.
  void finish_step();
  void settle_raft();
  void notice_role();
  void receive(std::string_view bytes);
  void propose(std::string body, propose_completion done);
  void tick();

  // ── deferred apply ──

  bool nothing_waits() const { return pending.empty() && !parts.under_way(); }
  bool may_apply() const { return !blocked && applied_by_raft() >= live->store->applied().ahead; }
  bool apply_due() const;
  void begin_parts();
  const apply_plan& next_part(std::uint64_t bytes);
  result<void> apply_part(std::uint64_t bytes);
  void part_became_durable();
  result<void> apply_pending();
  bool has_room(std::size_t bytes, std::size_t rows);
  result<void> room_for_entry(std::size_t bytes, std::size_t rows);

  // raft_io_host
  const apply_plan* plan_for_append(std::uint64_t bytes) override;
  void plan_became_durable() override {
    ++stats.applies_with_append;
    part_became_durable();
  }
  result<void> apply_all() override {
    if (auto done = apply_pending(); !done || live->store->applied().index == applied_by_raft()) return done;
    begin_parts(); // barriers behind the last command count as applied: the snapshot covers them
    return apply_pending();
  }
  void snapshot_installed() override {
    pending.clear();
    parts.clear();
    half_done = false;
    if (std::exchange(view_held, false)) live->storage->release_view();
    blocked = false;
    ++stats.snapshots_installed;
    installed = live->store->applied().index;
  }

  // ── the state machine of raft ──

  int committed(const raft_buffer& buffer);
  int snapshot(raft_buffer** bufs, unsigned* count);

  bool running() const { return live != nullptr; }
  int role() const { return running() ? static_cast<int>(live->raft.state) : RAFT_UNAVAILABLE; }
  log_index applied_by_raft() const { return live->raft.last_applied; }
  std::int64_t now_us() const { return options.time->monotonic_us(); }

  shard_options options;
  std::string address;
  shard_observer nobody;
  std::unique_ptr<session> live; // null: stopped
  std::optional<error> why_stopped;
  std::int64_t reload_at_us = 0;
  std::int64_t reload_wait_ms = 0; // before the next try, while they fail
  std::int64_t ticked_us = 0;

  // Leadership.
  bool elected = false; // R2: seen leading in `elected_term`
  log_term elected_term = 0;
  bool barrier_passed = false;
  bool leading = false; // barrier passed, and everything before it is in the tables
  raft_barrier_request barrier{};

  // The proposal in flight (R6).
  raft_apply_request request{};
  propose_completion proposal;
  std::optional<result<log_index>> outcome; // set by raft's callback, delivered at the end of the step
  std::vector<row> proposal_rows;
  const void* proposal_body = nullptr; // raft's buffer whose rows are in proposal_rows
  log_index acknowledged = 0;

  pending_apply pending;
  std::uint64_t bytes_since_snapshot = 0; // of bodies, in raft's log in memory
  apply_in_parts parts;
  bool view_held = false;
  // an apply in parts of an earlier life: the tables are consistent when the next one is done
  bool half_done = false;
  std::int64_t part_at_us = 0; // when the last part was written
  bool blocked = false;        // the disk was full
  std::int64_t retry_at_us = 0;
  bool in_raft = false; // inside a call into raft: nothing may call it again
  std::optional<log_index> installed;
  std::vector<row> scratch;

  mutable shard_stats stats;
};

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

void shard::impl::propose(std::string body, propose_completion done) {
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
  if (auto room = room_for_entry(body.size(), proposal_rows.size()); !room) { // R5: before raft_apply
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
    if (const auto room = room_for_entry(bytes.size(), bytes.size() / row_bytes_usual); !room) {
      refuse(room.failure().message);
      return finish_step();
    }
  }
  if (std::holds_alternative<install_snapshot>(decoded->body)) {
    // raft drops its log in memory, and with it the bodies of pending entries, before it asks us to install.
    // What an earlier life of this replica began is finished when raft commits it again, or void.
    if (!has_room(bytes.size(), bytes.size() / row_bytes_usual)) return refuse("the disk is full");
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

// ── deferred apply ──

// Room to apply what is pending and this entry is kept free, so that what was accepted can reach the tables:
// those who read wait for it.
bool shard::impl::has_room(std::size_t bytes, std::size_t rows) {
  const auto all_bytes = pending.bytes() + parts.bytes_left() + bytes;
  const auto all_rows = pending.rows() + parts.rows_left() + rows;
  const auto usual = 2 * (all_bytes + all_rows * row_bytes_usual) + room_margin_bytes;
  return live->storage->has_room_for(usual, usual + bytes + all_rows * row_bytes_most);
}

// storage_full, or unavailable when the storage failed: then this step ends with a stop (finish_step).
result<void> shard::impl::room_for_entry(std::size_t bytes, std::size_t rows) {
  if (blocked) return storage_full();
  if (has_room(bytes, rows)) return {};
  if (nothing_waits()) return storage_full();
  if (auto applied = apply_pending(); !applied)
    return applied; // what waits goes first, and needs no room any more
  return has_room(bytes, rows) ? result<void>{} : storage_full();
}

bool shard::impl::apply_due() const {
  return !pending.empty() &&
         (pending.bytes() >= options.apply.bytes_max || pending.rows() >= options.apply.rows_max ||
          pending.entries() >= options.apply.entries_max ||
          now_us() - pending.oldest_us() >= options.apply.age_max_ms * 1000);
}

// From now on what waits goes into the tables. Meanwhile others see them as they are now.
// REQUIRES: nothing is under way.
void shard::impl::begin_parts() {
  // barriers behind the last command change no table, but count as applied
  const auto index = applied_by_raft();
  parts.begin(pending, index, live->store->term_of(index));
  part_at_us = 0;
}

// The part that rides with an append: it moves on a little faster than new entries come, so that it ends before as much
// waits again, and no append carries more than its share.
const apply_plan* shard::impl::plan_for_append(std::uint64_t bytes) {
  if (!may_apply()) return nullptr;
  if (!parts.under_way()) {
    if (!apply_due()) return nullptr;
    begin_parts();
  }
  return &next_part(std::max(bytes + bytes / 8, options.apply.part_bytes_min));
}

const apply_plan& shard::impl::next_part(std::uint64_t bytes) {
  const auto& part = parts.next(bytes);
  // Nobody may see the first part without the last. (What an earlier life left half done, nobody reads yet.)
  const bool whole = part.last_part && live->store->applied().ahead == 0;
  if (whole || view_held || half_done) return part;
  view_held = live->storage->hold_view();
  return view_held ? part : parts.next(parts.bytes_left());
}

void shard::impl::part_became_durable() {
  blocked = false;
  part_at_us = now_us();
  if (!parts.written()) return;
  half_done = false;
  if (std::exchange(view_held, false)) live->storage->release_view();
  options.observer->applied(live->store->applied().index);
}

// One more part, in a transaction of its own. REQUIRES: parts are under way; not inside raft's apply.
// After a storage error the step that this belongs to ends with a stop (finish_step).
result<void> shard::impl::apply_part(std::uint64_t bytes) {
  auto done = live->store->apply(next_part(bytes));
  if (done) {
    part_became_durable();
    return {};
  }
  if (is_full(done)) {
    blocked = true; // the log holds it all; proposals are refused until this succeeds
    retry_at_us = now_us() + options.apply.retry_ms * 1000;
    return storage_full();
  }
  live->io->fail(done.failure());
  return unavailable("the shard stopped");
}

// Brings the tables to what raft has applied. REQUIRES: not inside raft's apply.
result<void> shard::impl::apply_pending() {
  if (applied_by_raft() < live->store->applied().ahead)
    return unavailable("what was applied before the shard was loaded is not known to be committed yet");
  if (nothing_waits()) return {};
  for (int round = 0; round < 2; ++round) {
    if (!parts.under_way()) {
      if (round > 0 && pending.empty()) break;
      begin_parts();
    }
    if (auto done = apply_part(parts.bytes_left()); !done) return done;
  }
  return {};
}

// ── the state machine of raft ──

// A committed entry. Its writes wait for the next apply; the views stay valid because raft's log in memory
// keeps the entry until the applied index has passed it (see snapshot()).
int shard::impl::committed(const raft_buffer& buffer) {
  const log_index index = live->raft.last_applied + 1; // raft raises it after this call
  const std::string_view body(static_cast<const char*>(buffer.base), buffer.len);
  options.observer->committed(index, body);
  // Large entries: raft looks for old ones to forget at once, not only after snapshot_threshold of them.
  bytes_since_snapshot += body.size();
  if (bytes_since_snapshot > options.log_keep_bytes) raft_set_snapshot_threshold(&live->raft, 1);
  if (buffer.base == proposal_body) {
    proposal_body = nullptr;
    pending.add(proposal_rows, now_us());
    return 0;
  }
  // Bodies were checked before they were stored, by propose() or receive(), and the row's checksum was right.
  MOORING_CHECK(rows_are_valid(body, options.read_rows, scratch), "a committed entry decodes");
  pending.add(scratch, now_us());
  return 0;
}

// raft wants to forget old entries. The tables are the snapshot; how much of the log stays in memory follows
// the stored log, which never loses an entry that is not applied. So all pending entries stay.
int shard::impl::snapshot(raft_buffer** bufs, unsigned* count) {
  const auto first_kept = live->store->applied().log_first;
  const log_index index = live->raft.last_applied;
  raft_set_snapshot_trailing(&live->raft, static_cast<unsigned>(std::max<log_index>(
                                              1, index >= first_kept ? index - first_kept + 1 : 1)));
  raft_set_snapshot_threshold(&live->raft, options.snapshot_threshold);
  bytes_since_snapshot = pending.bytes() + parts.bytes_left(); // about what stays
  *bufs = static_cast<raft_buffer*>(raft_malloc(sizeof(raft_buffer)));
  MOORING_CHECK(*bufs != nullptr, "memory for raft");
  (*bufs)[0] = {raft_malloc(1), 0};
  *count = 1;
  return 0;
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

void shard::propose(std::string body, propose_completion done) {
  MOORING_CHECK(!impl_->in_raft, "an observer does not call the shard");
  impl_->propose(std::move(body), std::move(done));
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
