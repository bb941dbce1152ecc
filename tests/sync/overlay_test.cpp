// The overlay of pending writes over a store.
#include "sync/overlay.hpp"

#include <deque>
#include <random>

#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

entity some_entity(const std::string& id, std::int32_t version) {
  entity e;
  e.in = domain::task;
  e.id = id;
  e.version = version;
  e.data = empty_object();
  return e;
}

feed_row some_row(position key, std::vector<position> slots) {
  feed_row row{key, {}};
  for (const auto at : slots) {
    feed_slot slot;
    slot.at = at;
    row.slots.push_back(slot);
  }
  return row;
}

} // namespace

TEST_CASE("the newest pending write of a row is seen, and forgetting an older one keeps it") {
  memory_store below;
  overlay over(below);
  over.add(1, {some_entity("a", 1), some_entity("b", 1)});
  over.add(2, {some_entity("a", 2)});
  over.add(5, {some_entity("a", 3), some_entity("a", 4)}); // twice in one batch: the later one
  CHECK(over.find_entity(domain::task, 0, "a")->version == 4);
  CHECK(over.find_entity(domain::task, 0, "b")->version == 1);
  CHECK_FALSE(over.find_entity(domain::task, 1, "a").has_value());
  CHECK_FALSE(over.find_entity(domain::ticket, 0, "a").has_value());
  CHECK(over.pending_batches() == 3);
  over.forget_upto(2);
  CHECK(over.find_entity(domain::task, 0, "a")->version == 4);
  CHECK_FALSE(over.find_entity(domain::task, 0, "b").has_value());
  over.forget_upto(4);
  CHECK(over.find_entity(domain::task, 0, "a")->version == 4);
  over.forget_upto(9);
  CHECK_FALSE(over.find_entity(domain::task, 0, "a").has_value());
  CHECK(over.pending_batches() == 0);
  CHECK(over.pending_rows() == 0);
}

TEST_CASE("a pending delete hides the row below, and a later put shows it again") {
  memory_store below;
  below.put(some_entity("a", 1));
  below.put(operation_record{1, 2, "o", {}, {}, "x"});
  below.put(idempotency_record{1, 2, "k", {}, {}, "x"});
  overlay over(below);
  over.add(1,
           {delete_entity{domain::task, 0, "a"}, delete_operation{1, 2, "o"}, delete_idempotency{1, 2, "k"}});
  CHECK_FALSE(over.find_entity(domain::task, 0, "a").has_value());
  CHECK_FALSE(over.find_operation(1, 2, "o").has_value());
  CHECK_FALSE(over.find_idempotency(1, 2, "k").has_value());
  over.add(2, {some_entity("a", 7)});
  CHECK(over.find_entity(domain::task, 0, "a")->version == 7);
  over.clear();
  CHECK(over.find_entity(domain::task, 0, "a")->version == 1);
  CHECK(over.find_operation(1, 2, "o").has_value());
}

TEST_CASE("devices and users are found by id and by number") {
  memory_store below;
  device d;
  d.id = "phone";
  d.number = 3;
  d.name = "below";
  below.put(d);
  below.put(user{"ann", 4});
  overlay over(below);
  CHECK(over.find_device(3)->name == "below");
  CHECK(over.find_user(4)->id == "ann");
  d.name = "pending";
  device other;
  other.id = "laptop";
  other.number = 5;
  over.add(1, {d, other, user{"bob", 6}});
  CHECK(over.find_device(3)->name == "pending");
  CHECK(over.find_device("phone")->name == "pending");
  CHECK(over.find_device(5)->id == "laptop");
  CHECK(over.find_user("bob")->number == 6);
  CHECK(over.find_user(6)->id == "bob");
  CHECK_FALSE(over.find_device(9).has_value());
  over.forget_upto(1);
  CHECK(over.find_device(3)->name == "below");
  CHECK_FALSE(over.find_device(5).has_value());
  CHECK_FALSE(over.find_user("bob").has_value());
}

TEST_CASE(
    "a feed row is found among pending and stored ones: the first whose key is not before the position") {
  memory_store below;
  below.put(some_row(10, {8, 9, 10}));
  below.put(some_row(20, {15, 20}));
  below.put(some_row(30, {30}));
  overlay over(below);
  const auto key_at = [&](position at) {
    const auto row = over.find_feed_row(at);
    return row ? row->key : 0;
  };
  over.add(1, {some_row(40, {35, 40}), delete_feed_row{20}, some_row(10, {9})});
  CHECK(key_at(1) == 10);
  CHECK(over.find_feed_row(1)->slots.size() == 1);
  CHECK(key_at(10) == 10);
  CHECK(key_at(11) == 30);
  CHECK(key_at(20) == 30);
  CHECK(key_at(31) == 40);
  CHECK(key_at(36) == 40);
  CHECK(key_at(41) == 0);
  over.add(2, {delete_feed_row{40}, delete_feed_row{30}, delete_feed_row{10}});
  CHECK(key_at(1) == 0);
  over.add(3, {some_row(50, {50})});
  CHECK(key_at(1) == 50);
  over.forget_upto(1); // below does not have batch 1, but that is its own affair: what is pending is seen
  CHECK(key_at(1) == 20);
  CHECK(key_at(21) == 50);
  over.forget_upto(2);
  CHECK(key_at(1) == 10);
  CHECK(key_at(31) == 50);
}

TEST_CASE(
    "over a store, pending writes look exactly as if they had been applied, however batches come and go") {
  std::random_device seeds;
  const auto seed = seeds();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  const auto below_10 = [&](unsigned n) { return static_cast<std::uint32_t>(random() % n); };
  for (int run = 0; run < 300; ++run) {
    memory_store below, applied;
    overlay over(below);
    std::deque<std::pair<std::uint64_t, write_list>> pending;
    std::uint64_t number = 0, forgotten = 0;
    position next = 1;
    for (int step = 0; step < 40; ++step) {
      const auto what = below_10(8);
      if (what == 7) { // the newest are refused, and were never there
        for (auto n = below_10(static_cast<unsigned>(pending.size()) + 1); n > 0; --n) pending.pop_back();
        const auto from = (pending.empty() ? forgotten : pending.back().first) + 1;
        over.forget_from(from);
        applied = below;
        for (const auto& one : pending) applied.apply(one.second);
        if (below_10(2) == 0) number = from - 1; // numbers may be used again
      } else if (what < 5) {
        write_list batch;
        std::vector<position> made;
        for (auto n = below_10(6) + 1; n > 0; --n) {
          const auto id = std::to_string(below_10(5));
          switch (below_10(13)) {
          case 0: batch.emplace_back(some_entity(id, static_cast<std::int32_t>(random() % 100))); break;
          case 1: batch.emplace_back(delete_entity{domain::task, 0, id}); break;
          case 2: {
            conflict c;
            c.first_at = below_10(5);
            c.notes = std::to_string(random());
            batch.emplace_back(c);
            break;
          }
          case 3: batch.emplace_back(delete_conflict{below_10(5)}); break;
          case 4: {
            device d;
            d.number = below_10(4) + 1;
            d.id = "d" + std::to_string(d.number);
            d.acknowledged = random();
            batch.emplace_back(d);
            break;
          }
          case 5: batch.emplace_back(user{"u" + id, static_cast<user_number>(std::stoul(id) + 1)}); break;
          case 6:
            batch.emplace_back(policy{domain::task, static_cast<strategy>(below_10(7)), true, true});
            break;
          case 7: batch.emplace_back(idempotency_record{1, 1, id, {random(), 0}, {}, {}}); break;
          case 8: batch.emplace_back(delete_idempotency{1, 1, id}); break;
          case 9: batch.emplace_back(operation_record{1, 1, id, {random(), 0}, {}, {}}); break;
          case 10: batch.emplace_back(delete_operation{1, 1, id}); break;
          case 11: made.push_back(next++); break;
          default:
            if (!applied.feed.empty()) {
              auto row =
                  std::next(applied.feed.begin(),
                            static_cast<std::ptrdiff_t>(below_10(static_cast<unsigned>(applied.feed.size()))))
                      ->second;
              row.slots.erase(row.slots.begin() +
                              static_cast<std::ptrdiff_t>(below_10(static_cast<unsigned>(row.slots.size()))));
              if (row.slots.empty())
                batch.emplace_back(delete_feed_row{row.key});
              else
                batch.emplace_back(row);
            }
          }
        }
        if (!made.empty()) batch.emplace_back(some_row(made.back(), made));
        if (below_10(2) == 0) batch.emplace_back(tenant_counters{"t", 1, 1, next});
        applied.apply(batch);
        over.add(++number, batch);
        pending.emplace_back(number, std::move(batch));
      } else if (!pending.empty()) {
        for (auto n = below_10(static_cast<unsigned>(pending.size())) + 1; n > 0; --n) {
          below.apply(pending.front().second);
          forgotten = pending.front().first;
          if (n == 1) over.forget_upto(pending.front().first);
          pending.pop_front();
        }
      }
      bool same = over.counters() == applied.counters() &&
                  over.find_policy(domain::task) == applied.find_policy(domain::task);
      for (std::uint32_t i = 0; i < 6; ++i) {
        const auto id = std::to_string(i);
        same = same && over.find_entity(domain::task, 0, id) == applied.find_entity(domain::task, 0, id) &&
               over.find_conflict(i) == applied.find_conflict(i) &&
               over.find_device(i) == applied.find_device(i) &&
               over.find_device("d" + id) == applied.find_device("d" + id) &&
               over.find_user(i) == applied.find_user(i) &&
               over.find_user("u" + id) == applied.find_user("u" + id) &&
               over.find_idempotency(1, 1, id) == applied.find_idempotency(1, 1, id) &&
               over.find_operation(1, 1, id) == applied.find_operation(1, 1, id);
      }
      for (position at = 0; at <= next; ++at)
        same = same && over.find_feed_row(at) == applied.find_feed_row(at);
      REQUIRE_MESSAGE(same, "run " << run << " step " << step);
      REQUIRE(over.pending_batches() == pending.size());
    }
  }
}

TEST_CASE("refused batches leave what the older ones wrote, and what is stored, in sight") {
  memory_store below;
  below.put(some_entity("a", 1));
  below.put(some_row(10, {10}));
  overlay over(below);
  over.add(1, {some_entity("a", 2), some_entity("b", 1), tenant_counters{"t", 1, 1, 7}});
  over.add(2, {delete_entity{domain::task, 0, "a"}, delete_feed_row{10}, tenant_counters{"t", 2, 1, 8}});
  over.add(3, {some_entity("a", 9), some_entity("c", 1), user{"bob", 6}});
  over.forget_from(4); // none
  CHECK(over.pending_batches() == 3);
  CHECK(over.find_entity(domain::task, 0, "a")->version == 9);
  over.forget_from(2);
  CHECK(over.pending_batches() == 1);
  CHECK(over.find_entity(domain::task, 0, "a")->version == 2);
  CHECK(over.find_entity(domain::task, 0, "b")->version == 1);
  CHECK_FALSE(over.find_entity(domain::task, 0, "c").has_value());
  CHECK_FALSE(over.find_user("bob").has_value());
  CHECK_FALSE(over.find_user(6).has_value());
  CHECK(over.counters() == tenant_counters{"t", 1, 1, 7});
  CHECK(over.find_feed_row(1)->key == 10);
  over.add(2, {some_entity("c", 5)}); // the number again
  CHECK(over.find_entity(domain::task, 0, "c")->version == 5);
  over.forget_from(1);
  CHECK(over.pending_batches() == 0);
  CHECK(over.pending_rows() == 0);
  CHECK(over.find_entity(domain::task, 0, "a")->version == 1);
  CHECK_FALSE(over.find_entity(domain::task, 0, "b").has_value());
}

TEST_CASE("a large burst passes through and leaves nothing behind") {
  memory_store below;
  overlay over(below);
  for (int i = 0; i < 3000; ++i)
    over.add(static_cast<std::uint64_t>(i + 1), {some_entity("e" + std::to_string(i), 1)});
  CHECK(over.pending_rows() == 3000);
  for (int i = 0; i < 3000; i += 7)
    CHECK(over.find_entity(domain::task, 0, "e" + std::to_string(i)).has_value());
  over.forget_upto(1500);
  for (int i = 0; i < 3000; i += 7)
    CHECK(over.find_entity(domain::task, 0, "e" + std::to_string(i)).has_value() == (i >= 1500));
  over.forget_upto(3000);
  CHECK(over.pending_rows() == 0);
  CHECK_FALSE(over.find_entity(domain::task, 0, "e2999").has_value());
}

TEST_CASE("readers see what is pending of a row, and whether anything is") {
  memory_store below;
  below.put(some_entity("a", 1));
  overlay over(below);
  notification told;
  told.id = "n7";
  told.at = 7;
  CHECK_FALSE(over.pending_entity(domain::task, 0, "a").has_value()); // the store below knows
  over.add(1, {some_entity("a", 2), put_swept_position{3}});
  over.add(2, {delete_entity{domain::task, 0, "a"}, told});
  over.add(3, {some_entity("b", 1), put_swept_position{5}, delete_notification{7}});
  REQUIRE(over.pending_entity(domain::task, 0, "a").has_value());
  CHECK(*over.pending_entity(domain::task, 0, "a") == nullptr);
  CHECK((*over.pending_entity(domain::task, 0, "b"))->version == 1);
  CHECK(*over.pending_notification(7) == nullptr);
  CHECK_FALSE(over.pending_notification(8).has_value());
  CHECK(over.pending_swept() == 5);
  over.forget_from(3); // refused
  CHECK_FALSE(over.pending_entity(domain::task, 0, "b").has_value());
  CHECK((*over.pending_notification(7))->id == "n7");
  CHECK(over.pending_swept() == 3);
  over.forget_upto(1);
  CHECK_FALSE(over.pending_swept().has_value());
  over.clear();
  CHECK_FALSE(over.pending_notification(7).has_value());
}
