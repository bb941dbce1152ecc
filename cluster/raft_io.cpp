#include "cluster/raft_io.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "cluster/snapshot_codec.hpp"

namespace mooring::cluster {
namespace {

// A copy in raft's own heap; never null, as raft takes null for "no buffer".
void* copy_for_raft(std::string_view bytes) {
  auto* copy = raft_malloc(std::max<std::size_t>(bytes.size(), 1));
  MOORING_CHECK(copy != nullptr, "memory for raft");
  if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
  return copy;
}

template<class T> T* allocate_for_raft(std::size_t count) {
  auto* block = static_cast<T*>(raft_calloc(count, sizeof(T)));
  MOORING_CHECK(block != nullptr, "memory for raft");
  return block;
}

std::string_view view_of(const raft_buffer& buffer) {
  return {static_cast<const char*>(buffer.base), buffer.len};
}

unsigned short raft_type_of(entry_type type) {
  return type == entry_type::command ? RAFT_COMMAND : RAFT_BARRIER;
}

// libraft hands callbacks of four types; the queue keeps them as one.
template<class Callback> void* erase(Callback callback) {
  return reinterpret_cast<void*>(callback);
}

} // namespace

raft_io_adapter::raft_io_adapter(replica_store& store, replica_contents found, raft_io_host& host,
                                 raft_io_options options)
    : store_(store)
    , found_(std::move(found))
    , host_(host)
    , options_(options)
    , random_(options.random_seed) {
  MOORING_CHECK(options_.time != nullptr, "a clock");
  io_.version = 2;
  io_.impl = this; // raft_init overwrites io->data
  io_.init = [](raft_io*, raft_id, const char*) { return 0; };
  io_.close = [](raft_io* io, raft_io_close_cb closed) {
    of(io).cancel_all();
    closed(io);
  };
  io_.load = [](raft_io* io, raft_term* term, raft_id* vote, raft_snapshot** snapshot, raft_index* start,
                raft_entry** entries,
                size_t* count) { return of(io).load(term, vote, snapshot, start, entries, count); };
  io_.start = [](raft_io* io, unsigned, raft_io_tick_cb on_tick, raft_io_recv_cb on_message) {
    of(io).tick_ = on_tick;
    of(io).recv_ = on_message;
    return 0;
  };
  // The shard starts new replicas by replica_store::bootstrap, and nobody forces a configuration.
  io_.bootstrap = [](raft_io*, const raft_configuration*) -> int { return RAFT_CANTBOOTSTRAP; };
  io_.recover = [](raft_io*, const raft_configuration*) -> int { return RAFT_INVALID; };
  io_.set_term = [](raft_io* io, raft_term term) {
    auto& self = of(io);
    MOORING_CHECK(term >= self.store_.hard().term, "R4: the term never goes back");
    if (term == self.store_.hard().term) return 0;
    return self.set_hard_state({term, 0});
  };
  io_.set_vote = [](raft_io* io, raft_id vote) {
    auto& self = of(io);
    const auto& now = self.store_.hard();
    MOORING_CHECK(now.vote == 0 || now.vote == vote, "R4: one vote in a term");
    if (now.vote == vote) return 0;
    return self.set_hard_state({now.term, vote});
  };
  io_.send = [](raft_io* io, raft_io_send* request, const raft_message* what, raft_io_send_cb done) {
    auto& self = of(io);
    self.send(*what);
    self.queue_.push_back({completion::kind::send, request, erase(done)});
    return 0; // always: libraft frees twice otherwise. A message that cannot go is a lost packet
  };
  io_.append = [](raft_io* io, raft_io_append* request, const raft_entry entries[], unsigned count,
                  raft_io_append_cb done) { return of(io).append(request, entries, count, done); };
  io_.truncate = [](raft_io* io, raft_index from) {
    of(io).store_.truncate(from);
    return 0;
  };
  io_.snapshot_put = [](raft_io* io, unsigned trailing, raft_io_snapshot_put* request,
                        const raft_snapshot* snapshot, raft_io_snapshot_put_cb done) {
    return of(io).put_snapshot(trailing, request, snapshot, done);
  };
  io_.snapshot_get = [](raft_io* io, raft_io_snapshot_get* request, raft_io_snapshot_get_cb done) {
    of(io).queue_.push_back({completion::kind::snapshot_get, request, erase(done)});
    return 0;
  };
  io_.time = [](raft_io* io) { return static_cast<raft_time>(of(io).options_.time->monotonic_us() / 1000); };
  io_.random = [](raft_io* io, int least, int most) {
    const auto span = static_cast<std::uint64_t>(most - least) + 1;
    return least + static_cast<int>(of(io).random_() % span);
  };
}

void raft_io_adapter::fail(const error& why) {
  if (!failure_) failure_ = why;
}

void raft_io_adapter::make_configuration(raft_configuration* out) const {
  raft_configuration_init(out);
  for (const auto& each : store_.who().members.voters)
    MOORING_CHECK(raft_configuration_add(out, each.id, each.address.c_str(), RAFT_VOTER) == 0,
                  "a group of distinct members");
}

// A virtual snapshot at the applied index stands for the tables, so that nothing is applied twice; the
// entries behind it are replayed by raft, and those before it serve followers.
int raft_io_adapter::load(raft_term* term, raft_id* vote, raft_snapshot** snapshot, raft_index* start,
                          raft_entry** entries, size_t* count) {
  MOORING_CHECK(found_.has_value(), "raft loads once");
  const auto found = std::move(*found_);
  found_.reset();
  *term = found.hard.term;
  *vote = found.hard.vote;

  auto* virtual_snapshot = allocate_for_raft<raft_snapshot>(1);
  virtual_snapshot->index = found.applied.index;
  virtual_snapshot->term = found.applied.term;
  make_configuration(&virtual_snapshot->configuration);
  virtual_snapshot->configuration_index = 1;
  virtual_snapshot->bufs = allocate_for_raft<raft_buffer>(1);
  virtual_snapshot->n_bufs = 1;
  virtual_snapshot->bufs[0].base = copy_for_raft({});
  *snapshot = virtual_snapshot;

  *start = found.applied.log_first;
  *count = found.entries.size();
  *entries = nullptr;
  if (found.entries.empty()) return 0;
  auto* batch = static_cast<char*>(copy_for_raft(found.bodies)); // one block for all, which raft frees
  *entries = allocate_for_raft<raft_entry>(found.entries.size());
  for (std::size_t i = 0; i < found.entries.size(); ++i) {
    const auto& from = found.entries[i];
    auto& to = (*entries)[i];
    to.term = from.term;
    to.type = raft_type_of(from.type);
    to.buf = {batch + from.body_at, from.body_bytes};
    to.batch = batch;
  }
  return 0;
}

int raft_io_adapter::set_hard_state(const hard_state& state) {
  if (failure_) return RAFT_IOERR;
  const auto done = store_.set_hard_state(state);
  if (done) return 0;
  fail(done.failure());
  return RAFT_IOERR; // raft becomes unavailable; the shard closes it in any case
}

int raft_io_adapter::append(raft_io_append* request, const raft_entry* entries, unsigned count,
                            raft_io_append_cb done) {
  if (!failure_) {
    entries_.clear();
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < count; ++i) {
      entries_.push_back({entries[i].term,
                          entries[i].type == RAFT_COMMAND ? entry_type::command : entry_type::barrier,
                          view_of(entries[i].buf)});
      bytes += entries_.back().body.size();
    }
    const auto* plan = host_.plan_for_append(bytes);
    auto written = store_.append(entries_, plan);
    if (!written && plan && written.failure().code == error_code::storage_full) {
      plan = nullptr; // the entry alone may still fit
      written = store_.append(entries_, nullptr);
    }
    if (written) {
      if (plan) host_.plan_became_durable();
    } else if (may_refuse_append_ && written.failure().code == error_code::storage_full) {
      return RAFT_NOSPACE; // nothing was written: raft_apply takes the entry back
    } else {
      fail(written.failure());
    }
  }
  // After a failure the completion stays in the queue: it is cancelled when raft is closed, and never
  // succeeds.
  queue_.push_back({completion::kind::append, request, erase(done)});
  return 0;
}

int raft_io_adapter::put_snapshot(unsigned trailing, raft_io_snapshot_put* request,
                                  const raft_snapshot* snapshot, raft_io_snapshot_put_cb done) {
  queue_.push_back(
      {completion::kind::snapshot_put, request, erase(done), trailing == 0 ? snapshot->bufs : nullptr});
  // A snapshot of our own: the tables are the snapshot. The stored log is shortened when the tables move on,
  // and the shard chose `trailing` so that the log in memory keeps what the stored one keeps.
  if (trailing > 0 || failure_) return 0;

  const auto tables = view_of(snapshot->bufs[0]);
  std::vector<row> rows;
  MOORING_CHECK(snapshot->n_bufs == 1 && decode_snapshot(tables, rows), "only checked snapshots reach raft");
  const auto installed = store_.install(rows, snapshot->index, snapshot->term, hash64(tables));
  if (installed)
    host_.snapshot_installed();
  else
    fail(installed.failure());
  return 0;
}

void raft_io_adapter::get_snapshot(raft_io_snapshot_get* request, raft_io_snapshot_get_cb done) {
  auto applied = host_.apply_all();
  auto tables = applied ? encode_snapshot(store_.storage(), options_.snapshot_bytes_max)
                        : result<std::string>(applied.failure());
  if (!tables) {
    if (tables.failure().code == error_code::internal) fail(tables.failure());
    return done(request, nullptr, RAFT_IOERR); // the leader tries again after its timeout
  }
  auto* snapshot = allocate_for_raft<raft_snapshot>(1);
  snapshot->index = store_.applied().index;
  snapshot->term = store_.applied().term;
  make_configuration(&snapshot->configuration);
  snapshot->configuration_index = 1;
  snapshot->bufs = allocate_for_raft<raft_buffer>(1);
  snapshot->n_bufs = 1;
  snapshot->bufs[0] = {copy_for_raft(*tables), tables->size()};
  done(request, snapshot, 0);
}

message_body raft_io_adapter::convert(const raft_message& from) {
  switch (from.type) {
  case RAFT_IO_APPEND_ENTRIES: {
    const auto& args = from.append_entries;
    append_entries body{args.term, args.prev_log_index, args.prev_log_term, args.leader_commit, {}};
    std::size_t bytes = 0;
    for (unsigned i = 0; i < args.n_entries && i < options_.message_entries_max; ++i) {
      const auto& each = args.entries[i];
      bytes += each.buf.len;
      // libraft sets no limit: the rest follows when the follower has answered, or asks for it.
      if (i > 0 && bytes > options_.message_bytes_max) break;
      body.entries.push_back({each.term,
                              each.type == RAFT_COMMAND ? entry_type::command : entry_type::barrier,
                              view_of(each.buf)});
    }
    body.leader_commit = std::min<log_index>(body.leader_commit, body.previous_index + body.entries.size());
    return body;
  }
  case RAFT_IO_APPEND_ENTRIES_RESULT: {
    const auto& args = from.append_entries_result;
    append_entries_result body{args.term, args.rejected, args.last_log_index};
    // R3. libraft answers with the last index that it holds; only what the leader's message covered was
    // compared with the leader's log. A refusal of an older term with previous index 0 looks like a success:
    // it proves nothing.
    if (options_.clamp_success_replies && body.rejected == 0)
      body.last_index = handling_ && !handling_->stale ? std::min(body.last_index, handling_->proved) : 0;
    return body;
  }
  case RAFT_IO_REQUEST_VOTE: {
    const auto& args = from.request_vote;
    return request_vote{args.term, args.candidate_id, args.last_log_index, args.last_log_term, args.pre_vote};
  }
  case RAFT_IO_REQUEST_VOTE_RESULT: {
    const auto& args = from.request_vote_result;
    request_vote_result body{args.term, args.vote_granted, args.pre_vote == raft_tribool_true};
    // R8. libraft answers a refused pre-vote with the candidate's own term. If the only electable replica has
    // an older term than the others, it would ask, be refused for its term, and never learn a newer one: no
    // leader, for ever.
    if (options_.refused_pre_vote_tells_term && body.pre_vote && !body.granted)
      body.term = std::max(body.term, store_.hard().term);
    return body;
  }
  case RAFT_IO_INSTALL_SNAPSHOT: {
    const auto& args = from.install_snapshot;
    return install_snapshot{args.term, args.last_index, args.last_term, view_of(args.data)};
  }
  default: MOORING_CHECK(false, "leadership is never transferred, so no TimeoutNow is sent"); return {};
  }
}

void raft_io_adapter::send(const raft_message& what) {
  if (failure_) return;
  const auto& who = store_.who();
  outbox_.emplace_back(what.server_id, encode({who.members.shard, who.members.generation, who.self,
                                               what.server_id, convert(what)}));
}

void raft_io_adapter::receive(const message& from_peer) {
  raft_message to{};
  to.server_id = from_peer.from;
  to.server_address = store_.who().members.find(from_peer.from)->address.c_str();
  if (const auto* body = std::get_if<append_entries>(&from_peer.body)) {
    to.type = RAFT_IO_APPEND_ENTRIES;
    to.append_entries = {body->term, body->previous_index, body->previous_term, body->leader_commit, nullptr,
                         0};
    if (!body->entries.empty()) {
      std::size_t bytes = 0;
      for (const auto& each : body->entries) bytes += each.body.size();
      auto* batch = static_cast<char*>(raft_malloc(std::max<std::size_t>(bytes, 1)));
      MOORING_CHECK(batch != nullptr, "memory for raft");
      to.append_entries.entries = allocate_for_raft<raft_entry>(body->entries.size());
      to.append_entries.n_entries = static_cast<unsigned>(body->entries.size());
      auto* at = batch;
      for (std::size_t i = 0; i < body->entries.size(); ++i) {
        const auto& each = body->entries[i];
        if (!each.body.empty()) std::memcpy(at, each.body.data(), each.body.size());
        to.append_entries.entries[i] = {each.term, raft_type_of(each.type), {at, each.body.size()}, batch};
        at += each.body.size();
      }
    }
    handling_ = {body->term < store_.hard().term, body->previous_index + body->entries.size()};
  } else if (const auto* answer = std::get_if<append_entries_result>(&from_peer.body)) {
    to.type = RAFT_IO_APPEND_ENTRIES_RESULT;
    to.append_entries_result = {answer->term, answer->rejected, answer->last_index};
  } else if (const auto* vote = std::get_if<request_vote>(&from_peer.body)) {
    to.type = RAFT_IO_REQUEST_VOTE;
    to.request_vote = {vote->term, vote->candidate, vote->last_index, vote->last_term, false, vote->pre_vote};
  } else if (const auto* granted = std::get_if<request_vote_result>(&from_peer.body)) {
    to.type = RAFT_IO_REQUEST_VOTE_RESULT;
    to.request_vote_result = {granted->term, granted->granted, TO_RAFT_TRIBOOL(granted->pre_vote)};
  } else {
    const auto& snapshot = std::get<install_snapshot>(from_peer.body);
    to.type = RAFT_IO_INSTALL_SNAPSHOT;
    to.install_snapshot.term = snapshot.term;
    to.install_snapshot.last_index = snapshot.last_index;
    to.install_snapshot.last_term = snapshot.last_term;
    to.install_snapshot.conf_index = 1;
    make_configuration(&to.install_snapshot.conf);
    to.install_snapshot.data = {copy_for_raft(snapshot.tables), snapshot.tables.size()};
    handling_ = {snapshot.term < store_.hard().term, snapshot.last_index};
  }
  recv_(&io_, &to);
}

void raft_io_adapter::complete(const completion& next) {
  switch (next.what) {
  case completion::kind::append:
    return reinterpret_cast<raft_io_append_cb>(next.callback)(static_cast<raft_io_append*>(next.request), 0);
  case completion::kind::send:
    if (next.callback)
      reinterpret_cast<raft_io_send_cb>(next.callback)(static_cast<raft_io_send*>(next.request), 0);
    return;
  case completion::kind::snapshot_put:
    return reinterpret_cast<raft_io_snapshot_put_cb>(next.callback)(
        static_cast<raft_io_snapshot_put*>(next.request), 0);
  case completion::kind::snapshot_get:
    return get_snapshot(static_cast<raft_io_snapshot_get*>(next.request),
                        reinterpret_cast<raft_io_snapshot_get_cb>(next.callback));
  }
}

void raft_io_adapter::drain() {
  while (!queue_.empty() && !failure_) {
    const auto next = queue_.front();
    queue_.pop_front();
    complete(next);
  }
}

// Only while raft is being closed: it is unavailable already and just frees the requests.
void raft_io_adapter::cancel_all() {
  while (!queue_.empty()) {
    const auto next = queue_.front();
    queue_.pop_front();
    switch (next.what) {
    case completion::kind::append:
      reinterpret_cast<raft_io_append_cb>(next.callback)(static_cast<raft_io_append*>(next.request),
                                                         RAFT_CANCELED);
      break;
    case completion::kind::send:
      if (next.callback)
        reinterpret_cast<raft_io_send_cb>(next.callback)(static_cast<raft_io_send*>(next.request),
                                                         RAFT_CANCELED);
      break;
    case completion::kind::snapshot_put:
      reinterpret_cast<raft_io_snapshot_put_cb>(next.callback)(
          static_cast<raft_io_snapshot_put*>(next.request), RAFT_CANCELED);
      raft_free(next.freed_after_cancel);
      break;
    case completion::kind::snapshot_get:
      reinterpret_cast<raft_io_snapshot_get_cb>(next.callback)(
          static_cast<raft_io_snapshot_get*>(next.request), nullptr, RAFT_CANCELED);
      break;
    }
  }
}

} // namespace mooring::cluster
