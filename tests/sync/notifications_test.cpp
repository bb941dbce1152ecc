// Push settings, calls to sync, messages, and what else the node tells devices.
#include "sync/notifications.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

template<class T> error_code code_of(const result<T>& r) {
  REQUIRE_FALSE(r.ok());
  return r.failure().code;
}

// ann has a phone and a laptop, bob a tablet.
struct crew : scenario {
  crew() {
    enrol("ann", "phone", device_type::phone);
    enrol("ann", "laptop", device_type::laptop);
    enrol("bob", "tablet", device_type::tablet);
  }
  user_number number(const std::string& user) { return rows.users.at(user).number; }
  const notification& told() {
    REQUIRE(rows.notifications.size() == 1);
    return rows.notifications.begin()->second;
  }
};

domain_set only(domain in) {
  return static_cast<domain_set>(1u << static_cast<unsigned>(in));
}

} // namespace

TEST_CASE("push settings are kept in the device, one for each domain and one for every domain") {
  crew s;
  const push_setting every{{}, true, true, priority::normal}, task{domain::task, true, false, priority::high},
      voice{domain::voice, false, false, priority::normal};
  for (const auto& one : {task, every, voice}) {
    const auto done = s.subscribe(person("ann"), "phone", one);
    REQUIRE(done.ok());
    CHECK(done->answer.device_id == "phone");
    CHECK(done->answer.setting == one);
    CHECK(done->last_at == 0); // nobody is told
  }
  CHECK(s.rows.devices.at("phone").push == std::vector{every, voice, task});
  CHECK(s.rows.devices.at("laptop").push.empty());
  // The same again writes nothing; another one of the same domain replaces it.
  CHECK(s.subscribe(person("ann"), "phone", task)->writes.empty());
  auto quiet = task;
  quiet.active = false;
  REQUIRE(s.subscribe(person("ann"), "phone", quiet).ok());
  CHECK(s.rows.devices.at("phone").push == std::vector{every, voice, quiet});
  // An upload and a registration leave them alone.
  s.edit("ann", "phone", create("t1", "{}"));
  s.enrol("ann", "phone", device_type::tablet);
  CHECK(s.rows.devices.at("phone").push.size() == 3);
}

TEST_CASE("push settings are one's own device's") {
  crew s;
  const push_setting every;
  CHECK(code_of(s.subscribe(person("bob"), "phone", every)) == error_code::forbidden);
  CHECK(code_of(s.subscribe(admin(), "phone", every)) == error_code::forbidden);
  CHECK(code_of(s.subscribe(person("ann"), "never seen", every)) == error_code::not_found);
  auto bound = person("ann");
  bound.device = "laptop";
  CHECK(code_of(s.subscribe(bound, "phone", every)) == error_code::forbidden);
  REQUIRE(s.deactivate(person("ann"), "phone").ok());
  CHECK(code_of(s.subscribe(person("ann"), "phone", every)) == error_code::device_deactivated);
}

TEST_CASE("a call to sync stands in the feed, HIGH, for one user or for all") {
  crew s;
  auto done = s.trigger(admin(), {only(domain::task), "ann", "new shift", 2});
  REQUIRE(done.ok());
  CHECK(done->answer == 2);
  CHECK(done->first_at == 1);
  notification expected;
  expected.id = "n1";
  expected.kind = notification_kind::trigger;
  expected.owner = s.number("ann");
  expected.domains = only(domain::task);
  expected.text = "new shift";
  expected.urgency = priority::high;
  expected.created_at = s.now;
  expected.at = 1;
  CHECK(s.told() == expected);
  const auto& slot = s.rows.feed.at(1).slots.at(0);
  CHECK(slot.kind == slot_kind::notification);
  CHECK(slot.id == "n1");
  CHECK(slot.owner == s.number("ann"));
  CHECK(slot.device == 0);
  CHECK(slot.urgency == priority::high);
  CHECK(slot.expires);
  done = s.trigger(admin(), {all_domains, std::nullopt, "", 3});
  REQUIRE(done.ok());
  CHECK(s.rows.notifications.at(2).owner == 0);
}

TEST_CASE("a message goes to a device, a user or the tenant, with its data and priority") {
  crew s;
  broadcast what{"tea", json(R"({"room":7})"), priority::critical, {}, {}, 3};
  REQUIRE(s.tell_all(admin(), what).ok());
  CHECK(s.told().text == "tea");
  CHECK(s.told().data == what.data);
  CHECK(s.told().urgency == priority::critical);
  CHECK(s.told().owner == 0);
  CHECK(s.told().only_device == 0);
  what = {"tea", {}, priority::normal, "bob", {}, 1};
  REQUIRE(s.tell_all(admin(), what).ok());
  CHECK(s.rows.notifications.at(2).owner == s.number("bob"));
  // A device says whose it is.
  what = {"tea", {}, priority::normal, {}, "laptop", 1};
  REQUIRE(s.tell_all(admin(), what).ok());
  CHECK(s.rows.notifications.at(3).owner == s.number("ann"));
  CHECK(s.rows.notifications.at(3).only_device == s.rows.devices.at("laptop").number);
}

TEST_CASE("what is for nobody answers 0 and writes nothing") {
  crew s;
  REQUIRE(s.deactivate(person("ann"), "laptop").ok());
  const auto before = s.rows;
  const auto nothing = [&](const result<decision<std::int32_t>>& done) {
    REQUIRE(done.ok());
    CHECK(done->answer == 0);
    CHECK(done->writes.empty());
  };
  nothing(s.trigger(admin(), {all_domains, "nobody", "r", 2}));
  nothing(s.trigger(admin(), {all_domains, "ann", "r", 0}));
  nothing(s.tell_all(admin(), {"m", {}, priority::normal, "nobody", {}, 1}));
  nothing(s.tell_all(admin(), {"m", {}, priority::normal, {}, "nothing", 1}));
  nothing(s.tell_all(admin(), {"m", {}, priority::normal, "bob", "phone", 1})); // ann's
  nothing(s.tell_all(admin(), {"m", {}, priority::normal, {}, "laptop", 1}));   // not in use
  nothing(s.tell_all(admin(), {"m", {}, priority::normal, {}, {}, 0}));
  CHECK(s.rows == before);
}

TEST_CASE("calls and messages are an administrator's, and have bounds") {
  crew s;
  const auto before = s.rows;
  CHECK(code_of(s.trigger(person("ann"), {all_domains, {}, "r", 3})) == error_code::forbidden);
  CHECK(code_of(s.tell_all(person("ann"), {"m", {}, priority::normal, {}, {}, 3})) == error_code::forbidden);
  auto bound = admin("ann");
  bound.device = "tablet"; // bob's
  CHECK(code_of(s.trigger(bound, {all_domains, {}, "r", 3})) == error_code::forbidden);
  CHECK(code_of(s.trigger(admin(), {0, {}, "r", 3})) == error_code::bad_user_input);
  CHECK(code_of(s.tell_all(admin(), {"", {}, priority::normal, {}, {}, 3})) == error_code::bad_user_input);
  const std::string longest(notification_text_bytes_max, 'x');
  CHECK(code_of(s.trigger(admin(), {all_domains, {}, longest + "x", 3})) == error_code::bad_user_input);
  CHECK(code_of(s.tell_all(admin(), {longest + "x", {}, priority::normal, {}, {}, 3})) ==
        error_code::bad_user_input);
  const auto heavy = json("\"" + std::string(s.settings.entity_data_bytes_max, 'd') + "\"");
  CHECK(code_of(s.tell_all(admin(), {"m", heavy, priority::normal, {}, {}, 3})) ==
        error_code::bad_user_input);
  CHECK(s.rows == before);
  CHECK(s.trigger(admin(), {all_domains, {}, longest, 3}).ok());
  CHECK(s.tell_all(admin(), {longest, {}, priority::normal, {}, {}, 3}).ok());
}

TEST_CASE("a changed policy is told to the tenant, one that says the same is not") {
  crew s;
  s.set_policy(domain::task, strategy::most_recent_wins); // the default, in so many words
  CHECK(s.rows.notifications.empty());
  CHECK(s.rows.policies.size() == 1);
  s.set_policy(domain::task, strategy::manual);
  CHECK(s.told().kind == notification_kind::message);
  CHECK(s.told().owner == 0);
  CHECK(s.told().text == "conflict policy of TASK changed");
  CHECK(s.told().urgency == priority::normal);
  CHECK(documents_equal(
      s.told().data.bytes,
      json(R"({"domain":"TASK","resolutionPolicy":"MANUAL","autoResolve":true,"notifyOnConflict":true})")
          .bytes));
  s.set_policy(domain::task, strategy::manual);
  CHECK(s.rows.notifications.size() == 1);
}

TEST_CASE("a deactivation is told to the owner's devices, once") {
  crew s;
  REQUIRE(s.deactivate(admin(), "phone").ok());
  CHECK(s.told().owner == s.number("ann"));
  CHECK(s.told().only_device == 0);
  CHECK(s.told().text == "device phone was deactivated");
  CHECK(to_json(s.told().data) == R"({"deviceId":"phone"})");
  CHECK(s.told().urgency == priority::high);
  CHECK(s.deactivate(admin(), "phone")->writes.empty());
  CHECK(s.rows.notifications.size() == 1);
}

TEST_CASE("an open conflict is CRITICAL where the policy notifies, and NORMAL where it does not") {
  for (const bool notifies : {true, false}) {
    crew s;
    REQUIRE(s.commit(apply_policy(s.rows, admin(), {{domain::task, strategy::manual, true, notifies}}, s.now,
                                  s.settings))
                .ok());
    s.edit("ann", "phone", create("t1", R"({"a":1})"));
    s.edit("ann", "laptop", update("t1", R"({"a":2})").base(1));
    const auto done = s.edit("ann", "phone", update("t1", R"({"a":3})").base(1));
    REQUIRE(done.conflict_id);
    const auto& slot = s.rows.feed.at(s.recorded(*done.conflict_id).at).slots.back();
    CHECK(slot.urgency == (notifies ? priority::critical : priority::normal));
  }
}

TEST_CASE(
    "where the server's side stays, the entity stands again at the end of the feed, for the one that lost") {
  crew s;
  s.set_policy(domain::task, strategy::server_wins);
  s.edit("ann", "phone", create("t1", R"({"a":1})"));
  s.edit("ann", "laptop", update("t1", R"({"a":2})").base(1));
  const auto before = s.stored("t1");
  const auto done = s.edit("ann", "phone", update("t1", R"({"a":3})").base(1));
  REQUIRE(done.conflict_detected);
  auto again = before;
  again.at = s.rows.counts.last_position;
  CHECK(again.at > before.at);
  CHECK(s.stored("t1") == again);
  const auto& slot = s.rows.feed.at(again.at).slots.back();
  CHECK(slot.id == "t1");
  CHECK(slot.device == 0);
  CHECK(slot.what == operation::sync);
  CHECK(slot.urgency == priority::normal);
}

TEST_CASE("a device's row says what it uploaded last, of each domain") {
  crew s;
  CHECK(s.rows.devices.at("phone").domains.empty());
  s.edits("ann", "phone",
          {create("t1", "{}"), create("k1", "{}", domain::ticket), update("t1", R"({"a":1})").base(1)});
  const auto first = s.now;
  CHECK(s.rows.devices.at("phone").domains ==
        std::vector<domain_state>{{domain::task, 2, first, 2}, {domain::ticket, 1, first, 1}});
  s.wait_ms(1000);
  // What is refused says nothing about the domain.
  s.edit("ann", "phone", erase("never", domain::journal));
  s.edit("ann", "phone", update("t1", R"({"a":2})").base(2).named("op"));
  CHECK(s.rows.devices.at("phone").domains ==
        std::vector<domain_state>{{domain::task, 3, s.now, 3}, {domain::ticket, 1, first, 1}});
  s.wait_ms(1000);
  const auto edited = s.now + -1000;
  // A duplicate is contact, and nothing new.
  s.edit("ann", "phone", update("t1", R"({"a":2})").base(2).named("op").when(edited));
  CHECK(s.rows.devices.at("phone").domains.at(0) == domain_state{domain::task, 3, s.now, 3});
  auto voices = s.empty_upload("phone");
  voice_item item;
  item.verification_id = "v1";
  item.timestamp = s.now;
  voices.voice = {item};
  REQUIRE(s.run(person("ann"), voices).ok());
  CHECK(s.rows.devices.at("phone").domains.at(0) == domain_state{domain::voice, 0, s.now, 1});
  CHECK(s.rows.devices.at("laptop").domains.empty());
}
