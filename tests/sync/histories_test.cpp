// Properties over random histories. Each case prints its seed; MOORING_SEED repeats a run.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "sync/overlay.hpp"
#include "sync/sweep.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

class dice {
 public:
  dice() {
    const char* given = std::getenv("MOORING_SEED");
    seed_ = given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                             : std::random_device{}();
    random_.seed(seed_);
  }
  std::uint32_t seed() const { return seed_; }
  std::uint32_t below(std::size_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template<class T> const T& of(const std::vector<T>& all) { return all[below(all.size())]; }
  template<class T> void shuffle(std::vector<T>& all) { std::shuffle(all.begin(), all.end(), random_); }

 private:
  std::uint32_t seed_;
  std::mt19937 random_;
};

// An entity's data as the histories make it: fields a to d with numbers that no two edits share.
using fields = std::map<std::string, std::int64_t>;

document to_data(const fields& from) {
  document_writer out;
  out.begin_object(from.size());
  for (const auto& [name, value] : from) {
    out.key(name);
    value < 0 ? out.null() : out.integer(value); // a negative value stands for null, in a patch
  }
  return out.take();
}

fields from_data(const document& data) {
  fields out;
  if (data.absent()) return out;
  for (const auto& field : fields_of(data.bytes)) out[std::string(field.name)] = integer_of(field.value);
  return out;
}

std::set<std::int64_t> values_in(const document& data) {
  std::set<std::int64_t> out;
  for (const auto& [name, value] : from_data(data)) out.insert(value);
  return out;
}

struct held {               // what a phone has of an entity
  std::int32_t version = 0; // as it was last pulled; 0: never
  fields pulled;            // its data then
  fields local;             // with the phone's own edits on top
  bool deleted = true;
};

struct phone {
  std::string user, id;
  std::map<std::string, held> has;
};

const std::vector<std::string> names = {"a", "b", "c", "d"};

struct made_edit {
  edit_item item;
  std::set<std::int64_t> brings; // values that it wants to see stored
  std::set<std::string> takes;   // fields that it wants to see gone
};

class world {
 public:
  scenario s;
  dice& random;
  domain in;
  std::vector<phone> phones;
  std::int64_t next_value = 0;

  world(dice& r, domain d)
      : random(r)
      , in(d) {
    const std::vector<std::string> users = in == domain::journal
                                               ? std::vector<std::string>{"ann"}
                                               : std::vector<std::string>{"ann", "bob", "cho"};
    for (int i = 0; i < 4; ++i) phones.push_back({random.of(users), "phone" + std::to_string(i), {}});
    for (const auto& p : phones)
      if (random.one_in(2)) s.enrol(p.user, p.id, static_cast<device_type>(random.below(5)));
  }

  user_number owner_of(const phone& p) {
    if (in != domain::journal) return 0;
    const auto found = s.rows.find_user(p.user);
    return found ? found->number : 0;
  }

  void pull(phone& p) {
    for (const auto& [id, e] : s.rows.entities)
      if (e.in == in && e.owner == owner_of(p))
        p.has[e.id] = {e.version, from_data(e.data), from_data(e.data), e.deleted};
  }

  made_edit make(phone& p) {
    const auto id = "e" + std::to_string(random.below(3));
    auto& has = p.has[id];
    made_edit made;
    auto& item = made.item;
    item.in = in;
    item.entity_id = id;
    if (has.version > 0) item.base_version = has.version;
    item.modified_at = s.now + (static_cast<std::int64_t>(random.below(2000)) - 1000);
    if (random.one_in(8)) {
      item.what = operation::remove;
      for (const auto& [name, value] : has.local) made.takes.insert(name);
      has.local.clear();
      has.deleted = true;
      return made;
    }
    fields changes;
    for (auto n = random.below(2) + 1; n > 0; --n) {
      const auto& name = random.of(names);
      if (has.local.contains(name) && random.one_in(6)) {
        changes[name] = -1;
        made.takes.insert(name);
      } else {
        changes[name] = ++next_value;
        made.takes.erase(name);
      }
    }
    for (const auto& [name, value] : changes) {
      if (value < 0)
        has.local.erase(name);
      else
        made.brings.insert(has.local[name] = value);
    }
    has.deleted = false;
    if (random.one_in(3)) {
      item.what = random.one_in(2) ? operation::create : operation::sync;
      item.data = to_data(has.local);
      // Leaving out what the base version did not have says nothing about it.
      std::erase_if(made.takes, [&](const std::string& name) { return !has.pulled.contains(name); });
    } else {
      item.what = operation::update;
      item.data = to_data(changes);
    }
    return made;
  }
};

entity nothing() {
  entity none;
  none.version = 0;
  none.deleted = true;
  return none;
}

// Checks one edit's effect: no acknowledged value disappears but for a reason.
class loss_check {
 public:
  explicit loss_check(world& w)
      : w_(w) {}

  void run(phone& p, const made_edit& made) {
    const auto before = find(p, made.item.entity_id);
    const auto done = w_.s.edit(p.user, p.id, made.item);
    const auto after = find(p, made.item.entity_id);
    const auto number = w_.s.rows.find_device(p.id)->number;
    if (!done.success) {
      REQUIRE(after == before);
      REQUIRE_FALSE(done.conflict_detected);
      // The only edits here that may be refused: deleting what was never there.
      REQUIRE(done.failure->code == error_code::not_found);
      return;
    }
    REQUIRE(done.version == after.version);
    REQUIRE((after.version == before.version || after.version == before.version + 1));
    if (after.version == before.version) { // it may have moved to the end of the feed, for the one that lost
      auto moved = before;
      moved.at = after.at;
      REQUIRE(after == moved);
      REQUIRE((after.at == before.at || done.conflict_detected));
    }

    std::set<std::int64_t> recorded_client, recorded_server;
    if (done.conflict_detected) {
      const auto& c = w_.s.recorded(*done.conflict_id);
      recorded_client = values_in(c.client_data);
      recorded_server = values_in(c.server_data);
      REQUIRE(documents_equal(c.client_data.bytes,
                              made.item.what == operation::remove ? "" : made.item.data.bytes));
      REQUIRE(c.server_data == before.data);
    }
    const auto stored = values_in(after.data);
    // What was stored and is gone: the editor knew it, or wrote it itself, or the conflict has it.
    for (const auto value : values_in(before.data)) {
      if (stored.contains(value)) continue;
      const auto& [version, writer] = written_.at(value);
      const bool known = made.item.base_version.value_or(0) >= version;
      REQUIRE_MESSAGE((known || writer == number || recorded_server.contains(value)),
                      "value " << value << " of version " << version << " was lost by an edit on "
                               << made.item.base_version.value_or(0));
    }
    // What was acknowledged is stored, or the conflict has it.
    for (const auto value : made.brings) {
      if (!stored.contains(value))
        REQUIRE_MESSAGE(recorded_client.contains(value),
                        "value " << value << " was acknowledged and is nowhere");
    }
    for (const auto& name : made.takes)
      if (!done.conflict_detected) REQUIRE_FALSE(from_data(after.data).contains(name));
    if (made.item.what == operation::remove && !done.conflict_detected) REQUIRE(after.deleted);
    // Nothing is made up: what is new came with this edit (a whole object may carry an earlier value along).
    const auto kept = values_in(before.data), sent = values_in(made.item.data);
    for (const auto value : stored) {
      if (kept.contains(value)) continue;
      REQUIRE(sent.contains(value));
      written_[value] = {after.version, number};
    }
    if (done.conflict_detected) open(*done.conflict_id);
  }

  // A person decides about something that is open. What that loses is the person's will.
  void resolve_one(const std::string& by) {
    if (open_.empty()) return;
    const auto id = w_.random.of(open_);
    const auto& c = w_.s.recorded(id);
    const auto before = *w_.s.rows.find_entity(c.in, c.owner, c.entity_id);
    resolve_conflict what{id, strategy::manual, "server", {}, {}};
    const auto choice = w_.random.below(3);
    if (choice == 1) what.chosen_version = "client";
    if (choice == 2) {
      what.chosen_version = "merged";
      auto both = from_data(c.server_data);
      for (const auto& [name, value] : from_data(c.client_data))
        if (value > 0) both[name] = value;
      what.merge_data = to_data(both);
    }
    const auto was_open = c.status == conflict_status::open;
    const auto done = w_.s.resolve(person(by), what);
    REQUIRE(done.ok());
    REQUIRE(done->answer.result == (was_open ? "resolved" : "already_resolved"));
    const auto after = *w_.s.rows.find_entity(before.in, before.owner, before.id);
    REQUIRE((after.version == before.version || after.version == before.version + 1));
    if (!was_open) REQUIRE(after == before);
    if (choice == 0 && was_open) { // it moved to the end of the feed as it is
      auto moved = before;
      moved.at = after.at;
      REQUIRE(after.at > before.at);
      REQUIRE(after == moved);
    }
    for (const auto value : values_in(after.data))
      if (!values_in(before.data).contains(value)) written_[value] = {after.version, 0u};
  }

 private:
  entity find(phone& p, const std::string& id) {
    return w_.s.rows.find_entity(w_.in, w_.owner_of(p), id).value_or(nothing());
  }
  void open(const std::string& id) {
    if (w_.s.recorded(id).status == conflict_status::open) open_.push_back(id);
  }
  world& w_;
  std::map<std::int64_t, std::pair<std::int32_t, device_number>>
      written_; // value: version and device that brought it
  std::vector<std::string> open_;
};

// The parts of a state that retries must not change: everything but keys, outcomes and the devices' counters.
bool same_effects(const memory_store& a, const memory_store& b) {
  return a.entities == b.entities && a.conflicts == b.conflicts && a.feed == b.feed &&
         a.counts.last_position == b.counts.last_position;
}

const std::vector<domain> entity_domains = {domain::journal, domain::attendance, domain::task, domain::ticket,
                                            domain::work_order};

} // namespace

TEST_CASE(
    "no acknowledged edit is lost unless a policy or a person says so, and then the conflict record has it") {
  dice random;
  MESSAGE("seed " << random.seed());
  std::size_t conflicts = 0, edits = 0;
  for (int history = 0; history < 2500; ++history) {
    CAPTURE(history);
    world w(random, random.of(entity_domains));
    if (random.one_in(2)) w.s.set_policy(w.in, static_cast<strategy>(random.below(7)), !random.one_in(8));
    loss_check check(w);
    for (int step = 0; step < 30; ++step) {
      w.s.wait_ms(random.below(500));
      auto& p = w.phones[random.below(w.phones.size())];
      if (random.one_in(4))
        w.pull(p);
      else if (random.one_in(12))
        check.resolve_one(p.user);
      else
        check.run(p, w.make(p)), ++edits;
    }
    conflicts += w.s.rows.conflicts.size();
  }
  // The histories are about something.
  CHECK(edits > 30'000);
  CHECK(conflicts > 5'000);
}

TEST_CASE("retries in any order and grouping end in the state of one clean run, and replays write nothing") {
  dice random;
  MESSAGE("seed " << random.seed());
  for (int history = 0; history < 1000; ++history) {
    CAPTURE(history);
    world clean(random, random.of(entity_domains));
    if (random.one_in(2)) clean.s.set_policy(clean.in, static_cast<strategy>(random.below(7)));
    scenario noisy = clean.s;
    std::vector<std::pair<upload, upload_answer>> sent;   // as the clean run answered them
    std::map<std::string, std::vector<edit_item>> stored; // by device: edits that were acknowledged
    for (int step = 0; step < 12; ++step) {
      clean.s.wait_ms(random.below(500));
      noisy.now = clean.s.now;
      auto& p = clean.phones[random.below(clean.phones.size())];
      if (random.one_in(3)) clean.pull(p);
      auto what = clean.s.empty_upload(p.id);
      what.kind = upload_kind::batch;
      for (auto n = random.below(5) + 1; n > 0; --n) {
        what.operations.push_back(clean.make(p).item);
        what.operations.back().operation_id = "op" + std::to_string(++clean.next_value);
        if (random.one_in(5)) what.operations.back().operation_id = what.operations.front().operation_id;
      }
      const auto who = person(p.user);
      const auto first = clean.s.run(who, what);
      const auto second = noisy.run(who, what);
      REQUIRE(first.ok());
      REQUIRE(second.ok());
      REQUIRE(first->answer == second->answer);
      sent.emplace_back(what, first->answer);
      for (std::size_t i = 0; i < what.operations.size(); ++i)
        if (first->answer.operations->items[i].success) stored[p.id].push_back(what.operations[i]);

      // The noise: old requests again, and outboxes regrouped under new keys.
      for (auto n = random.below(3); n > 0; --n) {
        const auto& [old, answer] = random.of(sent);
        const auto& by = *std::find_if(clean.phones.begin(), clean.phones.end(),
                                       [&](const phone& q) { return q.id == old.device_id; });
        const auto before = noisy.rows;
        const auto again = noisy.run(person(by.user), old);
        REQUIRE(again.ok());
        REQUIRE(again->answer.replayed);
        REQUIRE(again->writes.empty());
        REQUIRE(again->answer.operations == answer.operations);
        REQUIRE(noisy.rows == before);
      }
      if (random.one_in(2) && !stored[p.id].empty()) {
        auto regrouped = what;
        regrouped.idempotency_key = "again" + std::to_string(++clean.next_value);
        regrouped.operations.clear();
        for (auto n = random.below(6) + 1; n > 0; --n)
          regrouped.operations.push_back(random.of(stored[p.id]));
        const auto again = noisy.run(who, regrouped);
        REQUIRE(again.ok());
        REQUIRE(again->first_at == 0);
        for (const auto& item : again->answer.operations->items) {
          REQUIRE(item.success);
          REQUIRE(item.duplicate);
        }
      }
      REQUIRE(same_effects(clean.s.rows, noisy.rows));
    }
  }
}

TEST_CASE("a batch does what its items do one by one") {
  dice random;
  MESSAGE("seed " << random.seed());
  for (int history = 0; history < 1000; ++history) {
    CAPTURE(history);
    world w(random, random.of(entity_domains));
    if (random.one_in(2)) w.s.set_policy(w.in, static_cast<strategy>(random.below(7)));
    scenario single = w.s;
    for (int step = 0; step < 8; ++step) {
      w.s.wait_ms(100);
      single.now = w.s.now;
      auto& p = w.phones[random.below(w.phones.size())];
      if (random.one_in(3)) w.pull(p);
      std::vector<edit_item> items;
      for (auto n = random.below(70) + 1; n > 0; --n) items.push_back(w.make(p).item);
      const auto together = w.s.edits(p.user, p.id, items);
      for (std::size_t i = 0; i < items.size(); ++i)
        REQUIRE(single.edit(p.user, p.id, items[i]) == together.items[i]);
    }
    REQUIRE(w.s.rows.entities == single.rows.entities);
    REQUIRE(w.s.rows.conflicts == single.rows.conflicts);
    // The feed differs only in how its slots lie in rows.
    const auto slots = [](const memory_store& in) {
      std::vector<feed_slot> all;
      for (const auto& [key, row] : in.feed) all.insert(all.end(), row.slots.begin(), row.slots.end());
      return all;
    };
    REQUIRE(slots(w.s.rows) == slots(single.rows));
  }
}

TEST_CASE("MERGE ends in the same data in whatever order the devices come") {
  dice random;
  MESSAGE("seed " << random.seed());
  for (int history = 0; history < 1500; ++history) {
    CAPTURE(history);
    // Edits of several devices, all made on version 1, each device's own in the order of their times.
    std::map<std::string, std::vector<edit_item>> by_device;
    std::map<std::string, std::pair<instant, std::int64_t>> newest; // of each field: the latest edit's value
    scenario fresh;
    fresh.set_policy(domain::task, strategy::merge);
    fresh.edit("zoe", "origin", create("t1", R"({"a":1,"b":2,"c":3,"d":4})").when(fresh.now + -100'000));
    std::int64_t time = 0, value = 100;
    for (int i = 0; i < 10; ++i) {
      const auto device = "d" + std::to_string(random.below(4));
      const auto when = fresh.now + ((time += random.below(50) + 1) - 10'000);
      fields changes;
      for (auto n = random.below(3) + 1; n > 0; --n) changes[random.of(names)] = ++value;
      edit_item item = edit_builder(operation::update, domain::task, "t1").base(1).when(when);
      item.data = to_data(changes);
      for (const auto& [name, v] : changes) newest[name] = {when, v};
      by_device[device].push_back(item);
    }
    fields expected = {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}};
    for (const auto& [name, last] : newest) expected[name] = last.second;
    for (int order = 0; order < 3; ++order) {
      auto s = fresh;
      auto left = by_device;
      while (!left.empty()) {
        auto next = std::next(left.begin(), static_cast<std::ptrdiff_t>(random.below(left.size())));
        REQUIRE(s.edit("u" + next->first, next->first, next->second.front()).success);
        next->second.erase(next->second.begin());
        if (next->second.empty()) left.erase(next);
      }
      REQUIRE(from_data(s.stored("t1").data) == expected);
    }
  }
}

TEST_CASE("records end the same in any order, however often and by whichever device they come") {
  dice random;
  MESSAGE("seed " << random.seed());
  for (int history = 0; history < 1000; ++history) {
    CAPTURE(history);
    scenario base;
    std::vector<upload> uploads;
    for (int i = 0; i < 8; ++i) {
      auto what = base.empty_upload("phone");
      what.kind = upload_kind::batch;
      const auto n = random.below(3);
      voice_item v;
      v.verification_id = "v" + std::to_string(n);
      v.timestamp = base.now + n;
      what.voice = {v};
      session_item se; // parts of one session, none of which contradicts another
      se.session_id = "s" + std::to_string(n);
      se.start_time = base.now;
      if (random.one_in(2)) se.has_end_time = true, se.end_time = base.now + 5;
      if (random.one_in(2)) se.duration_ms = 5;
      if (random.one_in(2)) se.activities = json("[1,2]");
      if (random.one_in(2)) se.metadata = json(R"({"x":1})");
      what.session = {se};
      metrics_item m;
      m.metric_type = "cpu";
      m.timestamp = base.now + n;
      m.value = n;
      what.metrics = {m};
      uploads.push_back(what);
    }
    std::map<memory_store::entity_id, document> expected;
    for (int order = 0; order < 3; ++order) {
      auto s = base;
      auto sending = uploads;
      if (order > 0) {
        for (int again = 0; again < 4; ++again) {
          sending.push_back(random.of(uploads));
          if (random.one_in(2)) sending.back().idempotency_key += "'"; // in a new request
        }
        random.shuffle(sending);
      }
      for (const auto& what : sending) {
        const auto decided = s.run(person("ann"), what);
        REQUIRE(decided.ok());
        REQUIRE(decided->answer.success());
      }
      std::map<memory_store::entity_id, document> data;
      for (const auto& [id, e] : s.rows.entities) data[id] = e.data;
      if (order == 0)
        expected = data;
      else
        REQUIRE(data == expected);
    }
  }
}

TEST_CASE(
    "deciding over pending writes gives what deciding over applied ones gives, with sweeping in between") {
  dice random;
  MESSAGE("seed " << random.seed());
  for (int history = 0; history < 400; ++history) {
    CAPTURE(history);
    world w(random, random.of(entity_domains)); // applies at once
    memory_store below = w.s.rows;              // lags behind
    overlay over(below);
    std::vector<std::pair<std::uint64_t, write_list>> pending;
    std::uint64_t batch = 0;
    w.s.settings.retention_ms = 2000;
    w.s.settings.idempotency_window_ms = 1500;
    for (int step = 0; step < 30; ++step) {
      w.s.wait_ms(random.below(300));
      auto& p = w.phones[random.below(w.phones.size())];
      if (random.one_in(3)) w.pull(p);
      write_list writes;
      if (random.one_in(4)) {
        sweep_candidates seen;
        for (const auto& [key, row] : w.s.rows.feed) seen.feed.push_back(row);
        for (const auto& [key, row] : w.s.rows.idempotency) seen.idempotency.push_back(row);
        for (const auto& [key, row] : w.s.rows.operations) seen.operations.push_back(row);
        writes = decide_sweep(over, seen, w.s.rows.swept, w.s.now, w.s.settings);
        w.s.rows.apply(decide_sweep(w.s.rows, seen, w.s.rows.swept, w.s.now, w.s.settings));
        const auto broken = broken_invariant(w.s.rows);
        REQUIRE_MESSAGE(broken.empty(), broken);
      } else {
        auto what = w.s.empty_upload(p.id);
        for (auto n = random.below(4) + 1; n > 0; --n) what.operations.push_back(w.make(p).item);
        if (random.one_in(2)) what.operations.front().operation_id = "op" + std::to_string(random.below(5));
        auto decided = apply_upload(over, person(p.user), what, w.s.now, w.s.settings);
        const auto reference = w.s.run(person(p.user), what);
        REQUIRE(decided.ok());
        REQUIRE(reference.ok());
        REQUIRE(decided->answer == reference->answer);
        writes = std::move(decided->writes);
        // A baseVersion that was swept away meanwhile may be ahead of what is there: then the phone reads
        // again.
        if (!reference->answer.success()) p.has.clear(), w.pull(p);
      }
      over.add(++batch, writes);
      pending.emplace_back(batch, std::move(writes));
      while (!pending.empty() && random.one_in(2)) {
        below.apply(pending.front().second);
        over.forget_upto(pending.front().first);
        pending.erase(pending.begin());
      }
    }
    for (const auto& [number, writes] : pending) below.apply(writes);
    REQUIRE(below == w.s.rows);
  }
}
