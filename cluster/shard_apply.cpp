// Committed entries, and how they come into the tables.
#include <algorithm>

#include "cluster/message_check.hpp"
#include "cluster/shard_impl.hpp"

namespace mooring::cluster {

namespace {

constexpr std::uint64_t room_margin_bytes = 1 << 20;
// A row costs at most a page of its own, copied, with a share of the pages above it.
constexpr std::uint64_t row_bytes_most = 4506;

} // namespace

// Room to apply what is pending and this entry is kept free, so that what was accepted can reach the tables:
// those who read wait for it.
bool shard::impl::has_room(std::size_t bytes, std::size_t rows, purpose what_for) {
  const auto all_bytes = pending.bytes() + parts.bytes_left() + bytes;
  const auto all_rows = pending.rows() + parts.rows_left() + rows;
  const auto expected = 2 * (all_bytes + all_rows * row_bytes_usual);
  if (what_for == purpose::upkeep)
    return live->storage->can_write(expected + bytes + all_rows * row_bytes_most);
  const auto usual = expected + room_margin_bytes;
  return live->storage->has_room_for(usual, usual + bytes + all_rows * row_bytes_most);
}

// storage_full, or unavailable when the storage failed: then this step ends with a stop (finish_step).
result<void> shard::impl::room_for_entry(std::size_t bytes, std::size_t rows, purpose what_for) {
  if (blocked) return storage_full();
  if (has_room(bytes, rows, what_for)) return {};
  if (nothing_waits()) return storage_full();
  if (auto applied = apply_pending(); !applied)
    return applied; // what waits goes first, and needs no room any more
  return has_room(bytes, rows, what_for) ? result<void>{} : storage_full();
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

} // namespace mooring::cluster
