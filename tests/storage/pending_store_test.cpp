// What is answered from rows that are not stored yet, against the same queries when they are.
#include "storage/pending_store.hpp"

#include <deque>

#include <fmt/format.h>

#include "storage/query.hpp"
#include "tests/storage/sample.hpp"
#include "tests/storage/support.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

namespace rules = sync::testing;

constexpr auto tenant = "acme";

std::string text_of(const sync::entity_answer& one) {
  return fmt::format("{} {} v{}{} {} by {} of {} at {}", static_cast<int>(one.in), one.id, one.version,
                     one.deleted ? " deleted" : "", one.data.absent() ? "-" : to_json(one.data),
                     *one.device_id, *one.user_id, one.modified_at.ms);
}

std::string text_of(const sync::feed_event& one) {
  struct visitor {
    std::string operator()(const sync::entity_answer& x) const { return text_of(x); }
    std::string operator()(const sync::conflict& x) const {
      return fmt::format("conflict {} {}", x.id, static_cast<int>(x.status));
    }
    std::string operator()(const sync::notification& x) const { return fmt::format("told {}", x.id); }
  };
  return fmt::format("{} {} {}", one.slot.at, one.slot.id, std::visit(visitor{}, one.what));
}

// One tenant twice: all of it stored, and the last batches pending over what is stored.
class twins {
 public:
  void commit(const sync::write_list& writes) {
    if (writes.empty()) return;
    store_writes(*all_env_, tenant, writes);
    waiting_.push_back(writes);
    overlay_.add(++sent_, writes);
    all_.park();
    good(all_.renew());
  }
  // The oldest `batches` of what is pending reach the tables.
  void apply(std::size_t batches) {
    behind_.park();
    for (; batches > 0 && !waiting_.empty(); --batches, waiting_.pop_front()) {
      store_writes(*behind_env_, tenant, waiting_.front());
      ++applied_;
    }
    good(behind_.renew());
    overlay_.forget_upto(applied_);
  }
  std::size_t pending() const { return waiting_.size(); }

  sync::query_answer stored(const std::string& user, const sync::query& what) {
    tenant_store store(all_, tenant);
    return good(answer_query(store, all_names_, rules::person(user), what, setting_));
  }
  std::optional<result<sync::query_answer>> near_head(const std::string& user, const sync::query& what) {
    pending_store store(overlay_, below_);
    return answer_near_head(store, names_, rules::person(user), what, setting_);
  }

  sync::rule_settings settings;

 private:
  scratch_folder all_folder_, behind_folder_;
  std::unique_ptr<environment> all_env_ = open_environment(all_folder_.path());
  std::unique_ptr<environment> behind_env_ = open_environment(behind_folder_.path());
  read_transaction all_ = good(all_env_->begin_read()), behind_ = good(behind_env_->begin_read());
  tenant_store below_{behind_, tenant};
  sync::overlay overlay_{below_};
  directory all_names_, names_;
  query_setting setting_{.rules = &settings, .now = sample_time, .online = {}, .load = {}};
  std::deque<sync::write_list> waiting_;
  std::uint64_t sent_ = 0, applied_ = 0;
};

// Every change behind `since`, page by page as `ask` gives them, and the last cursor.
template<class Ask> std::vector<std::string> all_changes(sync::get_changes what, Ask&& ask) {
  std::vector<std::string> out;
  for (bool more = true; more;) {
    const auto page = std::get<sync::change_page>(ask(what));
    for (const auto& one : page.entities) out.push_back(text_of(one));
    more = page.has_more;
    REQUIRE((!more || page.upto.at > what.since.value_or(0).at));
    what.since = page.upto;
  }
  out.push_back(fmt::format("upto {} {}", what.since->at, what.since->begun));
  return out;
}

template<class Ask> std::vector<std::string> all_events(sync::get_feed what, Ask&& ask) {
  std::vector<std::string> out;
  for (bool more = true; more;) {
    const auto page = std::get<sync::feed_page>(ask(what));
    out.push_back(fmt::format("for {} {} {}", page.viewer, page.device, page.must_resync));
    for (const auto& one : page.events) out.push_back(text_of(one));
    more = page.has_more;
    what.after = page.upto;
  }
  out.push_back(fmt::format("upto {}", what.after->at));
  // How many pages it took is not compared.
  const auto head = out.front();
  std::erase(out, head);
  out.push_back(head);
  return out;
}

} // namespace

TEST_CASE("what is pending reads as it will when it is stored") {
  const std::vector<std::string> users = {"ann", "bob", "cho"};
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    random_rows random(seed);
    twins both;
    rules::scenario made;
    made.rows.counts.tenant = tenant;
    made.settings = both.settings;
    const auto commit = [&](auto decided) {
      if (!decided.ok()) return;
      both.commit(made.commit(std::move(decided))->writes);
    };
    for (const auto& user : users) {
      sync::register_device what;
      what.device_id = user + "s-phone";
      commit(sync::apply_registration(made.rows, rules::person(user), what, made.now, made.settings));
    }
    sync::position head = 0;
    int answered = 0;
    for (int step = 0; step < 150; ++step) {
      const auto& user = users[random.below(users.size())];
      const auto device = user + "s-phone";
      made.wait_ms(static_cast<std::int64_t>(random.below(2'000)));
      switch (random.below(8)) {
      case 0: {
        sync::broadcast what;
        what.message = "hear";
        if (random.coin()) what.user_id = users[random.below(users.size())];
        commit(sync::apply_broadcast(made.rows, rules::admin(), what, made.now, made.settings));
        break;
      }
      case 1: both.apply(random.below(both.pending() + 1)); break;
      default: {
        auto what = made.empty_upload(device);
        what.kind = sync::upload_kind::operations;
        what.has_operations = true;
        for (auto n = random.below(12) + 1; n > 0; --n) {
          const auto id = "e" + std::to_string(random.below(40));
          const auto in = random.below(3) == 0 ? sync::domain::journal : sync::domain::task;
          auto item = random.below(6) == 0 ? rules::erase(id, in)
                                           : rules::replace(id, fmt::format("{{\"n\":{}}}", step), in);
          if (random.coin()) item.base(static_cast<std::int32_t>(random.below(4)) + 1);
          what.operations.push_back(
              item.when(made.now + (static_cast<std::int64_t>(random.below(2'000)) - 1'000)));
        }
        commit(sync::apply_upload(made.rows, rules::person(user), what, made.now, made.settings));
      }
      }

      const auto& reader = users[random.below(users.size())];
      const auto stored = [&](const sync::query& what) { return both.stored(reader, what); };
      const auto near_head = [&](const sync::query& what) {
        auto answer = both.near_head(reader, what);
        REQUIRE(answer);
        ++answered;
        return good(std::move(*answer));
      };
      sync::get_changes changes;
      changes.since = random.below(head + 1);
      changes.first = static_cast<std::int32_t>(random.below(60)) + 1;
      CHECK(all_changes(changes, near_head) == all_changes(changes, stored));
      head = std::get<sync::change_page>(stored(sync::get_changes{.since = head})).upto.at;
      sync::get_feed feed{reader + "s-phone", random.below(head + 2), 20};
      CHECK(all_events(feed, near_head) == all_events(feed, stored));
      const sync::get_entity entity{random.coin() ? sync::domain::journal : sync::domain::task,
                                    "e" + std::to_string(random.below(40))};
      const auto was = std::get<std::optional<sync::entity_answer>>(stored(entity));
      const auto is = std::get<std::optional<sync::entity_answer>>(near_head(entity));
      REQUIRE(was.has_value() == is.has_value());
      if (was) CHECK(text_of(*was) == text_of(*is));
    }
    CHECK(answered > 300);
    CHECK(head > 300); // more than a page near the head looks at
  }
}

TEST_CASE("a query that goes far back, or needs more than the feed, is left to the tables") {
  twins both;
  rules::scenario made;
  CHECK_FALSE(both.near_head("ann", sync::get_changes{}));
  CHECK(both.near_head("ann", sync::get_changes{.since = 0}));
  sync::tenant_counters counters;
  counters.tenant = tenant;
  counters.last_position = positions_near_head + 7;
  both.commit({counters});
  CHECK_FALSE(both.near_head("ann", sync::get_changes{.since = 6}));
  CHECK(both.near_head("ann", sync::get_changes{.since = 7}));
  CHECK_FALSE(both.near_head("ann", sync::get_feed{"phone", 6}));
  CHECK(both.near_head("ann", sync::get_feed{"phone", 7}));
  CHECK_FALSE(both.near_head("ann", sync::get_feed{"phone", std::nullopt})); // nobody knows the device
  CHECK_FALSE(both.near_head("ann", sync::list_devices{}));
  CHECK_FALSE(both.near_head("ann", sync::get_sync_health{}));
}

TEST_CASE("a cursor behind what is being swept is refused before the sweep is stored") {
  twins both;
  sync::tenant_counters counters;
  counters.tenant = tenant;
  counters.last_position = 20;
  both.commit({counters});
  CHECK((*both.near_head("ann", sync::get_changes{.since = 5})).ok());
  both.commit({sync::put_swept_position{9}});
  const auto refused = both.near_head("ann", sync::get_changes{.since = 5});
  REQUIRE(refused);
  REQUIRE_FALSE(refused->ok());
  CHECK(refused->failure().code == error_code::bad_user_input);
  CHECK((*both.near_head("ann", sync::get_changes{.since = 9})).ok());
  both.apply(2);
  CHECK_FALSE((*both.near_head("ann", sync::get_changes{.since = 5})).ok());
}
