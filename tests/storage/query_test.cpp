#include "storage/query.hpp"

#include <algorithm>

#include "storage/tenants.hpp"
#include "tests/storage/sample.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

struct asked {
  scratch_folder folder;
  std::unique_ptr<environment> env = open_environment(folder.path());
  read_transaction snapshot;
  sync::rule_settings rules;
  directory names;
  std::string online = "tablet-a";
  instant now = sample_time;
  sync::node_load load;

  asked() {
    store_writes(*env, "acme", sample_tenant("acme"));
    snapshot = good(env->begin_read());
  }
  result<sync::query_answer> ask(const std::string& user, const sync::query& what, bool admin = false) {
    sync::caller who;
    who.tenant = "acme";
    who.user = user;
    who.is_admin = admin;
    return ask(who, what);
  }
  result<sync::query_answer> ask(const sync::caller& who, const sync::query& what) {
    tenant_store store(snapshot, "acme");
    query_setting setting;
    setting.rules = &rules;
    setting.now = now;
    setting.load = load;
    setting.online = [&](std::string_view device) { return device == online; };
    return answer_query(store, names, who, what, setting);
  }
  error_code refusal(const sync::caller& who, const sync::query& what) {
    const auto answer = ask(who, what);
    REQUIRE(!answer);
    return answer.failure().code;
  }
  void store(const sync::write_list& writes) {
    snapshot.park();
    store_writes(*env, "acme", writes);
    good(snapshot.renew());
  }
  template<class T> T get(const std::string& user, const sync::query& what, bool admin = false) {
    auto answer = good(ask(user, what, admin));
    REQUIRE(std::holds_alternative<T>(answer));
    return std::get<T>(std::move(answer));
  }
  std::vector<std::string> changes(const std::string& user, const sync::get_changes& what) {
    std::vector<std::string> ids;
    for (const auto& one : get<sync::change_page>(user, what).entities) ids.push_back(one.id);
    return ids;
  }
  std::vector<std::string> conflicts(const std::string& user, const sync::list_conflicts& what) {
    std::vector<std::string> ids;
    for (const auto& one : get<sync::conflict_page>(user, what).conflicts) ids.push_back(one.id);
    return ids;
  }
};

using ids = std::vector<std::string>;
using maybe_entity = std::optional<sync::entity_answer>;
using maybe_conflict = std::optional<sync::conflict>;
using maybe_device = std::optional<sync::device_answer>;

ids names_of(const sync::feed_page& page) {
  ids all;
  for (const auto& event : page.events) {
    CHECK(event.slot.id == std::visit([](const auto& what) { return what.id; }, event.what));
    all.push_back(event.slot.id);
  }
  return all;
}

} // namespace

TEST_CASE("an entity is answered with names, to those who may see it") {
  asked is;
  const auto shared = is.get<maybe_entity>("bob", sync::get_entity{sync::domain::task, "t1"});
  REQUIRE(shared);
  CHECK(shared->version == 3);
  CHECK(*shared->device_id == "phone-a");
  CHECK(*shared->user_id == "ann");
  CHECK(shared->data == text_object("t1"));
  CHECK(is.get<maybe_entity>("ann", sync::get_entity{sync::domain::journal, "j1"}));
  CHECK(!is.get<maybe_entity>("bob", sync::get_entity{sync::domain::journal, "j1"}));
  CHECK(!is.get<maybe_entity>("nobody", sync::get_entity{sync::domain::journal, "j1"}));
  CHECK(!is.get<maybe_entity>("ann", sync::get_entity{sync::domain::task, "t9"}));
  CHECK(is.get<maybe_entity>("nobody", sync::get_entity{sync::domain::task, "t2"})->deleted);
}

TEST_CASE("changes are paged, and pages join without gap or repetition") {
  asked is;
  CHECK(is.changes("ann", {}) == ids{"v1", "t1", "j1", "t2"});
  CHECK(is.changes("bob", {}) == ids{"t1", "j2", "t2"});
  CHECK(is.changes("nobody", {}) == ids{"t1", "t2"});
  sync::get_changes journal;
  journal.domains = sync::domain_set{1} << static_cast<unsigned>(sync::domain::journal);
  CHECK(is.changes("ann", journal) == ids{"j1"});

  ids read;
  sync::get_changes page;
  page.first = 1;
  for (int pages = 0; pages < 20; ++pages) {
    const auto answer = is.get<sync::change_page>("ann", page);
    for (const auto& one : answer.entities) read.push_back(one.id);
    page.since = answer.upto;
    if (!answer.has_more) break;
  }
  CHECK(read == ids{"v1", "t1", "j1", "t2"});
  const auto at_end = is.get<sync::change_page>("ann", page);
  CHECK(at_end.entities.empty());
  CHECK(at_end.upto == 12); // also what one may not see was read
}

TEST_CASE("a cursor older than what was swept is refused") {
  asked is;
  sync::get_changes page;
  is.store({sync::put_swept_position{5}});
  const sync::cursor restored = 13;
  for (const sync::cursor since : {sync::cursor{1}, {4}, {1, 4}, restored, {1, 13}}) {
    page.since = since;
    const auto refused = is.ask("ann", page);
    REQUIRE(!refused);
    CHECK(refused.failure().code == error_code::bad_user_input);
    CHECK(refused.failure().message.find("read again with since null") != std::string::npos);
  }
  for (const sync::cursor since : {sync::cursor{5}, {12}, {1, 5}, {1, 12}}) {
    page.since = since;
    CHECK(is.ask("ann", page).ok());
  }
}

// What was swept before it began is nothing to it, wherever in the feed that stood.
TEST_CASE("who reads from the beginning comes to the end, whatever was swept before or is swept meanwhile") {
  for (const sync::position swept : {1, 5, 12}) {
    asked is;
    is.store({sync::put_swept_position{swept}});
    ids read;
    sync::get_changes page;
    page.first = 1;
    for (bool more = true; more;) {
      const auto answer = is.get<sync::change_page>("ann", page);
      for (const auto& one : answer.entities) read.push_back(one.id);
      more = answer.has_more;
      page.since = answer.upto;
      if (more) is.store({sync::put_swept_position{12}}); // all of it stood there when the reader began
    }
    CHECK(read == ids{"v1", "t1", "j1", "t2"});
    CHECK(page.since == sync::cursor{12});

    ids pushed;
    std::optional<sync::cursor> after;
    for (bool more = true; more;) {
      const auto events = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", after, 1});
      CHECK_FALSE(events.must_resync);
      for (const auto& one : names_of(events)) pushed.push_back(one);
      more = events.has_more;
      after = sync::cursor{events.upto, events.from.begun};
    }
    CHECK(pushed == ids{"v1", "t1", "j1", "c7", "t2", "c8", "n12"});
  }
}

TEST_CASE("what is removed and swept after a reader began at the beginning makes it begin again") {
  asked is;
  sync::get_changes page;
  page.first = 1;
  page.since = is.get<sync::change_page>("ann", page).upto;
  is.store({sync::tenant_counters{"acme", 2, 3, 20}, sync::put_swept_position{14}});
  CHECK_FALSE(is.ask("ann", page).ok());
  CHECK(is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", page.since, 100}).must_resync);
}

TEST_CASE("a device that acknowledged on its way from the beginning goes on from there") {
  asked is;
  is.store({sync::put_swept_position{9}});
  auto tablet = sample_device("tablet-a", 2, 1);
  tablet.acknowledged = {4, 12};
  is.store({tablet});
  const auto page = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", {}, 100});
  CHECK_FALSE(page.must_resync);
  CHECK(page.from == tablet.acknowledged);
  CHECK_FALSE(page.events.empty());
}

TEST_CASE("conflicts are found and listed for those who may see them") {
  asked is;
  CHECK(is.get<maybe_conflict>("ann", sync::get_conflict{"c7"}));
  CHECK(is.get<maybe_conflict>("ann", sync::get_conflict{"c8"}));
  CHECK(!is.get<maybe_conflict>("bob", sync::get_conflict{"c8"}));
  for (const auto* none : {"", "c", "x7", "c07", "c7x", "c99", "c99999999999999999999999"})
    CHECK(!is.get<maybe_conflict>("ann", sync::get_conflict{none}));
  CHECK(is.conflicts("ann", {}) == ids{"c7"});
  CHECK(is.conflicts("bob", {}) == ids{"c7", "c11"});
  sync::list_conflicts any;
  any.status.reset();
  CHECK(is.conflicts("ann", any) == ids{"c7", "c8"});
  any.first = 1;
  const auto page = is.get<sync::conflict_page>("ann", any);
  CHECK(page.has_more);
  CHECK(page.last == 7);
  any.after = page.last;
  const auto rest = is.get<sync::conflict_page>("ann", any);
  CHECK(rest.conflicts.size() == 1);
  CHECK(!rest.has_more);
}

TEST_CASE("devices are one's own, an admin sees all") {
  asked is;
  const auto mine = is.get<std::vector<sync::device_answer>>("ann", sync::list_devices{});
  REQUIRE(mine.size() == 2);
  CHECK(mine[0].is.id == "phone-a");
  CHECK(mine[0].user_id == "ann");
  CHECK(!mine[0].online);
  CHECK(mine[0].pending_changes == 3); // the notification and two conflicts: the entities are its own work
  CHECK(mine[1].online);
  CHECK(mine[1].pending_changes == 7);
  CHECK(is.get<std::vector<sync::device_answer>>("nobody", sync::list_devices{}).empty());
  CHECK(is.get<maybe_device>("bob", sync::get_device{"phone-b"}));
  CHECK(!is.get<maybe_device>("bob", sync::get_device{"phone-a"}));
  CHECK(is.get<maybe_device>("bob", sync::get_device{"phone-a"}, true));
  CHECK(!is.get<maybe_device>("bob", sync::get_device{"phone-z"}, true));
}

TEST_CASE("a device's feed is what its user may see, without its own edits, in order") {
  asked is;
  const auto tablet = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", {}, 100});
  CHECK(names_of(tablet) == ids{"v1", "t1", "j1", "c7", "t2", "c8", "n12"});
  CHECK(tablet.viewer == 1);
  CHECK(tablet.device == 2);
  CHECK(tablet.from == sync::cursor{0, 12});
  CHECK(tablet.upto == 12);
  CHECK(!tablet.has_more);
  CHECK(!tablet.must_resync);
  const auto& t2 = std::get<sync::entity_answer>(tablet.events[4].what);
  CHECK(t2.deleted);
  CHECK(*t2.device_id == "phone-a");
  CHECK(std::get<sync::conflict>(tablet.events[3].what).fields == ids{"text"});
  CHECK(std::get<sync::notification>(tablet.events[6].what).text == "hello");
  // The phone made all of the entities; conflicts and notifications are pushed to it all the same.
  const auto phone = is.get<sync::feed_page>("ann", sync::get_feed{"phone-a", {}, 100});
  CHECK(names_of(phone) == ids{"c7", "c8", "n12"});
  CHECK(phone.upto == 12);
  const auto bobs = is.get<sync::feed_page>("bob", sync::get_feed{"phone-b", {}, 100});
  CHECK(names_of(bobs) == ids{"t1", "c7", "t2", "c11", "n12"});
}

TEST_CASE("a device's feed begins where it acknowledged, or where it asks, and comes with its settings") {
  asked is;
  auto tablet = sample_device("tablet-a", 2, 1);
  tablet.acknowledged = 7;
  tablet.push = {{sync::domain::task, true, true, sync::priority::high}};
  is.store({tablet});
  auto page = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", {}, 100});
  CHECK(page.from == 7);
  CHECK(page.push == tablet.push);
  CHECK(names_of(page) == ids{"t2", "c8", "n12"}); // settings do not filter it
  page = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", 3, 100});
  CHECK(page.from == 3);
  CHECK(names_of(page) == ids{"j1", "c7", "t2", "c8", "n12"});
  page = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", 12, 100});
  CHECK(page.events.empty());
  CHECK(page.upto == 12);
}

TEST_CASE("pages of a device's feed join without gap, and pass over what is not for it") {
  asked is;
  for (std::int32_t first = 1; first < 8; ++first) {
    ids all;
    sync::position after = 0;
    for (bool more = true; more;) {
      const auto page = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", after, first});
      CHECK(page.events.size() <= static_cast<std::size_t>(first));
      CHECK(page.upto >= after);
      if (!page.events.empty()) CHECK(page.upto >= page.events.back().slot.at);
      for (const auto& one : names_of(page)) all.push_back(one);
      after = page.upto;
      more = page.has_more;
    }
    CHECK(all == ids{"v1", "t1", "j1", "c7", "t2", "c8", "n12"});
    CHECK(after == 12);
  }
  // Positions that were given away and left again at the end are passed over too.
  is.store({sync::tenant_counters{"acme", 2, 3, 20}});
  CHECK(is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", 12, 1}).upto == 20);
}

TEST_CASE("a position that was swept, or is of another life, must be read anew") {
  asked is;
  is.store({sync::put_swept_position{5}});
  for (const sync::position after : {1, 4, 13, 1'000'000}) {
    const auto page = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", after, 100});
    CHECK(page.must_resync);
    CHECK(page.events.empty());
    CHECK(page.upto == 12);
    CHECK(!page.has_more);
  }
  for (const sync::position after : {0, 5, 12})
    CHECK(!is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", after, 100}).must_resync);
}

TEST_CASE("what is told to one device is in no other's feed") {
  asked is;
  sync::notification told;
  told.id = "n12";
  told.at = 12;
  told.only_device = 2;
  is.store({told});
  CHECK(names_of(is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", 11, 9})) == ids{"n12"});
  const auto phone = is.get<sync::feed_page>("ann", sync::get_feed{"phone-a", 11, 9});
  CHECK(phone.events.empty());
  CHECK(phone.upto == 12);
}

TEST_CASE("a page of a device's feed ends early when it is heavy") {
  asked is;
  sync::write_list writes{sync::tenant_counters{"acme", 2, 3, 40}};
  for (sync::position at = 13; at <= 40; ++at) {
    auto heavy = sample_entity(sync::domain::task, 0, "h" + std::to_string(at), at);
    heavy.data = text_object(std::string(sync::page_bytes_max / 8, 'x'));
    writes.emplace_back(heavy);
    writes.emplace_back(sync::feed_row{at, {slot_of(heavy)}});
  }
  is.store(writes);
  const auto page = is.get<sync::feed_page>("ann", sync::get_feed{"tablet-a", 12, 100});
  CHECK(page.events.size() == 8);
  CHECK(page.has_more);
  CHECK(page.upto == 20);
}

TEST_CASE("a feed is one's own device's, and no lost device's") {
  asked is;
  const sync::caller ann{"acme", "ann", {}, false, false};
  auto bound = ann;
  bound.device = "phone-a";
  CHECK(is.refusal(ann, sync::get_feed{"phone-b", {}, 9}) == error_code::forbidden);
  CHECK(is.refusal(ann, sync::get_feed{"never seen", {}, 9}) == error_code::not_found);
  CHECK(is.refusal(bound, sync::get_feed{"tablet-a", {}, 9}) == error_code::forbidden);
  CHECK(is.ask(bound, sync::get_feed{"phone-a", {}, 9}).ok());
  auto lost = sample_device("tablet-a", 2, 1);
  lost.active = false;
  is.store({lost});
  CHECK(is.refusal(ann, sync::get_feed{"tablet-a", {}, 9}) == error_code::device_deactivated);
}

TEST_CASE("push settings and sync state are shown to the owner, administrators and operators") {
  asked is;
  auto tablet = sample_device("tablet-a", 2, 1);
  tablet.acknowledged = 4;
  tablet.push = {{}, {sync::domain::task, false, false, sync::priority::normal}};
  tablet.domains = {{sync::domain::voice, 0, sample_time, 3}, {sync::domain::task, 7, sample_time + 1, 2}};
  tablet.active = false; // may be looked at all the same
  is.store({tablet});
  const auto settings = is.get<sync::push_subscriptions>("ann", sync::list_push_subscriptions{"tablet-a"});
  CHECK(settings.device_id == "tablet-a");
  CHECK(settings.settings == tablet.push);
  const auto state = is.get<sync::device_sync_state>("ann", sync::get_device_sync_state{"tablet-a"});
  REQUIRE(state.domains.size() == 3);
  CHECK(state.domains[0].is == tablet.domains[0]);
  CHECK(state.domains[0].pending == 0); // v1 was acknowledged
  CHECK(state.domains[1].is.in == sync::domain::journal);
  CHECK(state.domains[1].is.stored == 0);
  CHECK(state.domains[1].pending == 2); // j1 and conflict c8
  CHECK(state.domains[2].is == tablet.domains[1]);
  CHECK(state.domains[2].pending == 2); // c7 and t2
  const sync::caller ann{"acme", "ann", {}, false, false}, bob{"acme", "bob", {}, false, false};
  auto bound = ann;
  bound.device = "phone-a";
  auto operates = bob;
  operates.is_operator = true;
  auto administers = bob;
  administers.is_admin = true;
  for (const sync::query& what : {sync::query(sync::list_push_subscriptions{"tablet-a"}),
                                  sync::query(sync::get_device_sync_state{"tablet-a"})}) {
    CHECK(is.refusal(bob, what) == error_code::forbidden);
    CHECK(is.refusal(bound, what) == error_code::forbidden);
    CHECK(is.ask(operates, what).ok());
    CHECK(is.ask(administers, what).ok());
  }
  CHECK(is.refusal(administers, sync::list_push_subscriptions{"never seen"}) == error_code::not_found);
  CHECK(is.refusal(administers, sync::get_device_sync_state{"never seen"}) == error_code::not_found);
}

TEST_CASE("an administrator may count the devices that something is meant for") {
  asked is;
  const auto count = [&](std::optional<std::string> user, std::optional<std::string> device) {
    return is.get<std::int64_t>("root", sync::count_devices{std::move(user), std::move(device)}, true);
  };
  CHECK(count({}, {}) == 3);
  CHECK(count("ann", {}) == 2);
  CHECK(count("nobody", {}) == 0);
  CHECK(count({}, "phone-b") == 1);
  CHECK(count("bob", "phone-b") == 1);
  CHECK(count("ann", "phone-b") == 0);
  CHECK(count({}, "nothing") == 0);
  auto lost = sample_device("phone-b", 3, 2);
  lost.active = false;
  is.store({lost});
  CHECK(count({}, {}) == 2);
  CHECK(count({}, "phone-b") == 0);
  const sync::caller ann{"acme", "ann", {}, false, false};
  CHECK(is.refusal(ann, sync::count_devices{}) == error_code::forbidden);
}

TEST_CASE("a user's health is that of its devices, with the tenant's durations of late") {
  asked is;
  auto phone = sample_device("phone-a", 1, 1);
  phone.sync_count = 1;
  phone.failed_sync_count = 1;
  phone.last_sync_at = sample_time;
  auto tablet = sample_device("tablet-a", 2, 1);
  tablet.active = false;
  is.store({phone, tablet});
  const auto health = is.get<sync::sync_health>("ann", sync::get_sync_health{});
  CHECK(health.of.status == "unhealthy");
  CHECK(health.of.last_sync_at == sample_time);
  REQUIRE(health.active_devices.size() == 1);
  CHECK(health.active_devices[0].is.id == "phone-a");
  CHECK(health.average_ms == 1.0);
  CHECK(*health.p95_ms >= 1.0);
  const auto stranger = is.get<sync::sync_health>("nobody", sync::get_sync_health{});
  CHECK(stranger.of.status == "healthy");
  CHECK(stranger.active_devices.empty());
}

TEST_CASE("a device's queue is what waits for it, unhealthy when it is long or urgent and old") {
  asked is;
  auto queue = is.get<sync::queue_status>("ann", sync::get_queue_status{"tablet-a"});
  CHECK(queue.device_id == "tablet-a");
  CHECK(queue.pending == 7);
  CHECK(queue.high_priority == 2); // the alerts of c7 and c8
  CHECK(queue.estimated_seconds == doctest::Approx(7 / sync::changes_per_second));
  CHECK(queue.healthy);
  // By now those have waited for longer than they should.
  is.now = sample_time + sync::healthy_wait_ms_max + 1;
  CHECK(!is.get<sync::queue_status>("ann", sync::get_queue_status{"tablet-a"}).healthy);
  auto tablet = sample_device("tablet-a", 2, 1);
  tablet.acknowledged = 11;
  is.store({tablet});
  queue = is.get<sync::queue_status>("ann", sync::get_queue_status{"tablet-a"});
  CHECK(queue.pending == 1);
  CHECK(queue.healthy);
  const sync::caller bob{"acme", "bob", {}, false, false};
  CHECK(is.refusal(bob, sync::get_queue_status{"tablet-a"}) == error_code::forbidden);
  CHECK(is.refusal(bob, sync::get_queue_status{"nothing"}) == error_code::not_found);
}

TEST_CASE("the advice rests on the load that was handed in") {
  asked is;
  CHECK(is.get<sync::sync_advice>("ann", sync::get_sync_advice{}).sync_now);
  is.load.commands_waiting = 50'000;
  CHECK(!is.get<sync::sync_advice>("ann", sync::get_sync_advice{}).sync_now);
}

TEST_CASE("hours are an administrator's to read, within bounds") {
  asked is;
  const auto hour = sync::hour_of(sample_time);
  sync::write_list writes;
  for (std::int64_t back = 1; back <= 4; back += 3) {
    sync::analytics_hour one;
    one.hour = hour - back;
    one.requests = back;
    writes.emplace_back(one);
  }
  is.store(writes);
  const auto hours = [&](instant from, instant to) {
    std::vector<std::int64_t> requests;
    for (const auto& one :
         is.get<std::vector<sync::analytics_hour>>("root", sync::get_analytics{from, to}, true))
      requests.push_back(one.requests);
    return requests;
  };
  using list = std::vector<std::int64_t>;
  CHECK(hours(sample_time + -10 * sync::hour_ms, sample_time + sync::hour_ms) == list{4, 1, 3});
  CHECK(hours(sample_time + -10 * sync::hour_ms, sample_time) == list{4, 1});
  CHECK(hours(sample_time + -sync::hour_ms, sample_time + sync::hour_ms) == list{1, 3});
  CHECK(hours(sample_time, sample_time).empty());
  auto root = sync::caller{"acme", "root", {}, true, false};
  CHECK(is.refusal(root, sync::get_analytics{sample_time, sample_time + -sync::hour_ms}) ==
        error_code::bad_user_input);
  CHECK(is.refusal(root, sync::get_analytics{sample_time, sample_time + 91 * 24 * sync::hour_ms}) ==
        error_code::bad_user_input);
  root.is_admin = false;
  CHECK(is.refusal(root, sync::get_analytics{sample_time, sample_time}) == error_code::forbidden);
  root.is_operator = true;
  CHECK(is.ask(root, sync::get_analytics{sample_time, sample_time}).ok());
}

TEST_CASE("policies are those in force, of every domain that has conflicts") {
  asked is;
  const auto policies = is.get<std::vector<sync::policy>>("ann", sync::list_policies{});
  REQUIRE(policies.size() == 5);
  CHECK(policies[0].in == sync::domain::journal);
  CHECK(policies[0].resolution == sync::strategy::merge);  // set
  CHECK(policies[2].resolution == sync::strategy::manual); // set
  CHECK(policies[3] == sync::default_policy(sync::domain::ticket));
}

TEST_CASE("what cannot be read is INTERNAL and not half an answer") {
  asked is;
  const auto key = keys::feed(hash_tenant("acme"), 8);
  is.snapshot.park();
  put_row(*is.env, key.view(), "damaged");
  good(is.snapshot.renew());
  const auto failed = is.ask("ann", sync::get_changes{});
  REQUIRE(!failed);
  CHECK(failed.failure().code == error_code::internal);
}

TEST_CASE("walking the tenants passes over what is damaged or has no counters") {
  asked is;
  is.snapshot.park();
  store_writes(*is.env, "only a policy", {sync::policy{}});
  store_writes(*is.env, "other", sample_tenant("other"));
  put_row(*is.env, keys::counters(hash_tenant("other")).view(), "damaged");
  store_writes(*is.env, "third", sample_tenant("third"));
  good(is.snapshot.renew());
  ids names;
  for (auto at = next_tenant(is.snapshot, 0); at; at = next_tenant(is.snapshot, at->hash + 1))
    names.push_back(at->name);
  std::sort(names.begin(), names.end());
  CHECK(names == ids{"acme", "third"});
}
