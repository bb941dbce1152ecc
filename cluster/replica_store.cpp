#include "cluster/replica_store.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace mooring::cluster {
namespace {

// About what a row costs beside its key and value: its share of the pages it touches.
constexpr std::uint64_t row_overhead_bytes = 64;
constexpr std::uint64_t commit_overhead_bytes = 64 << 10;

error damaged(std::string what) {
  return {error_code::internal, std::move(what)};
}

// Collects problems, or turns the first into a failure.
class problem_sink {
 public:
  explicit problem_sink(std::vector<std::string>* all)
      : all_(all) {}
  void add(std::string what) {
    if (all_)
      all_->push_back(std::move(what));
    else if (!first_)
      first_ = damaged(std::move(what));
  }
  bool must_stop() const { return first_.has_value(); }
  const std::optional<error>& first() const { return first_; }

 private:
  std::vector<std::string>* all_;
  std::optional<error> first_;
};

} // namespace

result<bool> read_replica(stable_storage& from, replica_contents& out, std::vector<std::string>* problems) {
  const auto hard = from.get(hard_state_key);
  if (!hard) return hard.failure();
  const auto applied = from.get(applied_key);
  if (!applied) return applied.failure();
  const auto who = from.get(identity_key);
  if (!who) return who.failure();

  problem_sink sink(problems);
  if (!hard->has_value() && !applied->has_value() && !who->has_value()) {
    bool anything = false;
    if (const auto read =
            from.scan(std::string_view("\x01", 1), [&](auto, auto) { return !(anything = true); });
        !read)
      return read.failure();
    if (!anything) return false;
  }
  const auto decode = [&](const std::optional<std::string>& row, std::string_view name, auto decoder,
                          auto& into) {
    if (!row) return sink.add(fmt::format("{}: the row is missing", name));
    auto value = decoder(*row);
    if (value)
      into = std::move(*value);
    else
      sink.add(value.failure().message);
  };
  decode(*hard, "term and vote", decode_hard_state, out.hard);
  decode(*applied, "applied index", decode_applied, out.applied);
  decode(*who, "identity", decode_identity, out.who);
  if (sink.must_stop()) return *sink.first();
  // Without it nothing can be said about the log: neither where it must start nor its first predecessor.
  if (out.applied.index == 0) return true;

  auto expected = out.applied.log_first;
  auto chain = out.applied.chain;
  log_term term = out.applied.log_first == out.applied.index + 1 ? out.applied.term : 0;
  const auto scanned = from.scan("\x04", [&](std::string_view key, std::string_view value) {
    const auto tag = static_cast<unsigned char>(key.front());
    if (tag > log_tag) return false;
    if (tag < log_tag) {
      sink.add(fmt::format("a row of the unknown kind {} stands before the log", tag));
      return !sink.must_stop();
    }
    const auto index = index_of_log_key(key);
    if (index == 0) {
      sink.add("a log row's key has the wrong length");
      return !sink.must_stop();
    }
    bool follows = true;
    if (index != expected) {
      sink.add(fmt::format("log: entry {} was expected, entry {} was found", expected, index));
      if (sink.must_stop()) return false;
      follows = false;
    }
    expected = index + 1;
    auto entry = decode_log_entry(index, value);
    if (!entry) {
      sink.add(entry.failure().message);
    } else {
      if (follows && entry->previous_chain != chain)
        sink.add(fmt::format("log entry {}: the hash chain is broken before it", index));
      if (entry->term < term)
        sink.add(fmt::format("log entry {}: term {} after term {}", index, entry->term, term));
      if (entry->term > out.hard.term && out.hard.term != 0)
        sink.add(fmt::format("log entry {}: term {} is beyond the stored term {}", index, entry->term,
                             out.hard.term));
      if (index == out.applied.index && entry->term != out.applied.term)
        sink.add(fmt::format("log entry {}: term {}, but it was applied as of term {}", index, entry->term,
                             out.applied.term));
      term = entry->term;
    }
    chain = chain_of(value);
    if (sink.must_stop()) return false;
    if (entry && follows) {
      out.entries.push_back({entry->term, entry->type, out.bodies.size(), entry->body.size()});
      out.bodies.append(entry->body);
      out.chains.push_back(chain);
    }
    return true;
  });
  if (!scanned) return scanned.failure();
  if (const auto needed = std::max(out.applied.index, out.applied.ahead);
      !sink.must_stop() && needed >= expected)
    sink.add(fmt::format("log: ends at {}, but {} was applied", expected - 1, needed));
  if (sink.must_stop()) return *sink.first();
  return true;
}

replica_store::replica_store(stable_storage& storage, replica_store_options options)
    : storage_(storage)
    , options_(std::move(options)) {
  MOORING_CHECK(options_.time != nullptr, "a clock");
}

result<void> replica_store::commit(commit_measure measure, const stable_storage::fill& changes) {
  const auto began = options_.time->monotonic_us();
  auto done = storage_.update(measure.bytes + commit_overhead_bytes, changes);
  if (!done) return done;
  measure.micros = options_.time->monotonic_us() - began;
  if (options_.on_commit) options_.on_commit(measure);
  return {};
}

result<void> replica_store::bootstrap(const identity& who) {
  // The configuration is no row of the log: it is the identity row, and counts as the applied entry 1 of term
  // 1, the same on every member. So the log starts at 2 everywhere and no configuration entry is ever
  // replicated.
  const hard_state hard{1, 0};
  const applied_state applied{1, 1, 2, 0, 0};
  auto done = commit({}, [&](stable_writer& out) -> result<void> {
    if (auto put = out.put(hard_state_key, encode_hard_state(hard)); !put) return put;
    if (auto put = out.put(applied_key, encode_applied(applied)); !put) return put;
    return out.put(identity_key, encode_identity(who));
  });
  if (!done) return done;
  hard_ = hard;
  applied_ = applied;
  who_ = who;
  return {};
}

result<bool> replica_store::load(replica_contents& out) {
  auto found = read_replica(storage_, out);
  if (!found || !*found) return found;
  hard_ = out.hard;
  applied_ = out.applied;
  who_ = out.who;
  tail_.clear();
  log_bytes_ = 0;
  truncate_from_.reset();
  for (std::size_t i = 0; i < out.entries.size(); ++i) {
    tail_.push_back({out.entries[i].term, out.chains[i], out.entries[i].body_bytes});
    log_bytes_ += out.entries[i].body_bytes;
  }
  return true;
}

result<void> replica_store::set_hard_state(const hard_state& state) {
  auto done =
      commit({}, [&](stable_writer& out) { return out.put(hard_state_key, encode_hard_state(state)); });
  if (done) hard_ = state;
  return done;
}

void replica_store::truncate(log_index from) {
  MOORING_CHECK(from > applied_.index, "an applied entry is never truncated");
  if (from > last_index()) return;
  truncate_from_ = std::min(from, truncate_from_.value_or(from));
}

std::uint64_t replica_store::chain_before(log_index index) const {
  if (index == applied_.log_first) return applied_.chain;
  return tail_[static_cast<std::size_t>(index - 1 - applied_.log_first)].chain;
}

log_term replica_store::term_of(log_index index) const {
  if (index == applied_.index) return applied_.term;
  if (index < applied_.log_first || index > last_index()) return 0;
  return tail_[static_cast<std::size_t>(index - applied_.log_first)].term;
}

applied_state replica_store::after(const apply_plan& plan) const {
  MOORING_CHECK(plan.index >= applied_.index && plan.index >= applied_.ahead && plan.index <= last_index(),
                "the applied index moves along the log");
  if (!plan.last_part) {
    auto under_way = applied_;
    under_way.ahead = plan.index;
    return under_way;
  }
  auto first = plan.index + 1;
  std::uint64_t kept_bytes = 0;
  while (first > applied_.log_first && plan.index + 1 - first < options_.keep_entries) {
    kept_bytes += tail_[static_cast<std::size_t>(first - 1 - applied_.log_first)].bytes;
    if (kept_bytes > options_.keep_bytes) break;
    --first;
  }
  return {plan.index, plan.term, first, chain_before(first), 0};
}

result<void> replica_store::write_plan(stable_writer& out, const apply_plan& plan,
                                       const applied_state& becomes) const {
  for (const auto& each : plan.rows) {
    auto done = each.removed ? out.remove(each.key) : out.put(each.key, each.value);
    if (!done) return done;
  }
  if (becomes == applied_) return {};
  if (auto put = out.put(applied_key, encode_applied(becomes)); !put) return put;
  for (auto index = applied_.log_first; index < becomes.log_first; ++index)
    if (auto removed = out.remove(log_key(index).view()); !removed) return removed;
  return {};
}

void replica_store::took_effect(const applied_state& becomes) {
  for (auto index = applied_.log_first; index < becomes.log_first; ++index) {
    log_bytes_ -= tail_.front().bytes;
    tail_.pop_front();
  }
  applied_ = becomes;
}

result<void> replica_store::append(std::span<const new_entry> entries, const apply_plan* plan) {
  const auto last = last_index();
  const auto first = truncate_from_.value_or(last + 1);
  applied_state becomes;
  commit_measure measure;
  measure.entries = entries.size();
  for (const auto& each : entries) measure.bytes += each.body.size() + row_overhead_bytes;
  if (plan) {
    becomes = after(*plan);
    measure.rows_applied = plan->rows.size();
    measure.applies = plan->last_part ? 1 : 0;
    measure.bytes += plan->bytes + plan->rows.size() * row_overhead_bytes;
  }

  std::vector<slot> slots;
  slots.reserve(entries.size());
  auto done = commit(measure, [&](stable_writer& out) -> result<void> {
    slots.clear();
    auto chain = chain_before(first);
    auto index = first;
    for (const auto& each : entries) {
      encode_log_entry(row_buffer_, index, {each.term, each.type, chain, each.body});
      if (auto put = out.put(log_key(index).view(), row_buffer_); !put) return put;
      chain = chain_of(row_buffer_);
      slots.push_back({each.term, chain, each.body.size()});
      ++index;
    }
    for (; index <= last; ++index)
      if (auto removed = out.remove(log_key(index).view()); !removed) return removed;
    return plan ? write_plan(out, *plan, becomes) : result<void>{};
  });
  if (!done) return done;

  while (last_index() >= first) {
    log_bytes_ -= tail_.back().bytes;
    tail_.pop_back();
  }
  truncate_from_.reset();
  for (const auto& each : slots) {
    log_bytes_ += each.bytes;
    tail_.push_back(each);
  }
  if (plan) took_effect(becomes);
  return {};
}

result<void> replica_store::apply(const apply_plan& plan) {
  const auto becomes = after(plan);
  commit_measure measure;
  measure.rows_applied = plan.rows.size();
  measure.applies = plan.last_part ? 1 : 0;
  measure.bytes = plan.bytes + plan.rows.size() * row_overhead_bytes;
  auto done = commit(measure, [&](stable_writer& out) { return write_plan(out, plan, becomes); });
  if (done) took_effect(becomes);
  return done;
}

result<void> replica_store::install(std::span<const row> rows, log_index index, log_term term,
                                    std::uint64_t chain) {
  MOORING_CHECK(index > applied_.index, "a snapshot is never installed over newer tables");
  std::vector<std::string> gone; // rows of the old tables that the snapshot has not
  std::size_t at = 0;
  const std::string_view tables("\x10", 1);
  static_assert(table_tag_first == 0x10);
  auto read = storage_.scan(tables, [&](std::string_view key, std::string_view) {
    while (at < rows.size() && rows[at].key < key) ++at;
    if (at == rows.size() || rows[at].key != key) gone.emplace_back(key);
    return true;
  });
  if (!read) return read;

  const applied_state becomes{index, term, index + 1, chain, 0};
  commit_measure measure;
  measure.rows_applied = rows.size();
  for (const auto& each : rows) measure.bytes += each.key.size() + each.value.size() + row_overhead_bytes;
  auto done = commit(measure, [&](stable_writer& out) -> result<void> {
    for (const auto& key : gone)
      if (auto removed = out.remove(key); !removed) return removed;
    for (const auto& each : rows)
      if (auto put = out.put(each.key, each.value); !put) return put;
    for (auto entry = applied_.log_first; entry <= last_index(); ++entry)
      if (auto removed = out.remove(log_key(entry).view()); !removed) return removed;
    return out.put(applied_key, encode_applied(becomes));
  });
  if (!done) return done;
  tail_.clear();
  log_bytes_ = 0;
  truncate_from_.reset();
  applied_ = becomes;
  return {};
}

} // namespace mooring::cluster
