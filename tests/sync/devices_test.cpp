// Devices: whose they are, registering, deactivating, acknowledging; and the tenant's policies.
#include "sync/asker.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

template<class T> error_code code_of(const result<T>& r) {
  REQUIRE_FALSE(r.ok());
  return r.failure().code;
}

caller bound(std::string user, std::string device, bool is_admin = false) {
  auto who = person(std::move(user));
  who.device = std::move(device);
  who.is_admin = is_admin;
  return who;
}

result<decision<upload_answer>> send(scenario& s, const caller& who, const std::string& device) {
  auto what = s.empty_upload(device);
  what.operations = {create("t" + what.idempotency_key, "{}").when(s.now)};
  return s.run(who, what);
}

} // namespace

TEST_CASE("the first upload registers the device as OTHER, for the user who sent it") {
  scenario s;
  REQUIRE(send(s, person("ann"), "phone").ok());
  const auto& made = s.rows.devices.at("phone");
  CHECK(made.number == 1);
  CHECK(made.owner == s.rows.users.at("ann").number);
  CHECK(made.type == device_type::other);
  CHECK(made.active);
  CHECK(made.registered_at == s.now);
  CHECK(made.last_sync_at == s.now);
  CHECK(made.sync_count == 1);
  REQUIRE(send(s, person("bob"), "tablet").ok());
  CHECK(s.rows.devices.at("tablet").number == 2);
  CHECK(s.rows.users.at("bob").number == 2);
  REQUIRE(send(s, person("ann"), "laptop").ok());
  CHECK(s.rows.devices.at("laptop").owner == 1);
  CHECK(s.rows.counts.last_user == 2);
  CHECK(s.rows.counts.last_device == 3);
}

TEST_CASE("another user's device and another device than the token's are FORBIDDEN") {
  scenario s;
  REQUIRE(send(s, person("ann"), "phone").ok());
  const auto before = s.rows;
  CHECK(code_of(send(s, person("bob"), "phone")) == error_code::forbidden);
  CHECK(code_of(send(s, bound("ann", "laptop"), "phone")) == error_code::forbidden);
  CHECK(code_of(check_device(s.rows, person("bob"), "phone")) == error_code::forbidden);
  CHECK(s.rows == before);
  CHECK(send(s, bound("ann", "phone"), "phone").ok());
  CHECK(check_device(s.rows, person("ann"), "phone").ok());
  CHECK(check_device(s.rows, person("bob"), "never seen").ok());
}

TEST_CASE("registering says what the device is, and again changes only what is said") {
  scenario s;
  register_device what{"phone", device_type::phone, "Ann's", "android", "14", "2.0", 70};
  auto done = s.enrol(person("ann"), what);
  REQUIRE(done.ok());
  CHECK(done->answer.priority() == 70);
  CHECK(done->answer == s.rows.devices.at("phone"));
  CHECK(done->answer.name == "Ann's");
  const auto before = s.rows;
  done = s.enrol(person("ann"), what);
  REQUIRE(done.ok());
  CHECK(done->writes.empty());
  CHECK(s.rows == before);
  what = {"phone", device_type::tablet, {}, {}, {}, "2.1", {}};
  done = s.enrol(person("ann"), what);
  REQUIRE(done.ok());
  CHECK(done->answer.app_version == "2.1");
  CHECK(done->answer.name == "Ann's");
  CHECK(done->answer.type == device_type::tablet);
  CHECK(done->answer.number == 1);
  CHECK(code_of(s.enrol(person("bob"), what)) == error_code::forbidden);
  // A device that came by an upload keeps its counters.
  REQUIRE(send(s, person("bob"), "pad").ok());
  REQUIRE(s.enrol(person("bob"), {"pad", device_type::tablet, {}, {}, {}, {}, {}}).ok());
  CHECK(s.rows.devices.at("pad").sync_count == 1);
  CHECK(s.rows.devices.at("pad").priority() == 60);
}

TEST_CASE("a registration of a wrong shape is BAD_USER_INPUT") {
  scenario s;
  const std::string text(257, 'x');
  CHECK(code_of(s.enrol(person("ann"), {"", device_type::phone, {}, {}, {}, {}, {}})) ==
        error_code::bad_user_input);
  CHECK(code_of(s.enrol(person("ann"), {std::string(129, 'd'), device_type::phone, {}, {}, {}, {}, {}})) ==
        error_code::bad_user_input);
  CHECK(code_of(s.enrol(person("ann"), {"d", device_type::phone, text, {}, {}, {}, {}})) ==
        error_code::bad_user_input);
  CHECK(code_of(s.enrol(person("ann"), {"d", device_type::phone, {}, text, {}, {}, {}})) ==
        error_code::bad_user_input);
  CHECK(code_of(s.enrol(person("ann"), {"d", device_type::phone, {}, {}, text, {}, {}})) ==
        error_code::bad_user_input);
  CHECK(code_of(s.enrol(person("ann"), {"d", device_type::phone, {}, {}, {}, text, {}})) ==
        error_code::bad_user_input);
  CHECK(s.rows.devices.empty());
}

TEST_CASE(
    "a deactivated device is refused until its owner registers it again, with a token not bound to it") {
  scenario s;
  REQUIRE(send(s, person("ann"), "phone").ok());
  CHECK(code_of(s.deactivate(person("bob"), "phone")) == error_code::forbidden);
  CHECK(code_of(s.deactivate(person("ann"), "nothing")) == error_code::not_found);
  CHECK(code_of(s.deactivate(person("ann"), "")) == error_code::bad_user_input);
  CHECK(code_of(s.deactivate(bound("ann", "laptop"), "phone")) == error_code::forbidden);
  REQUIRE(s.deactivate(person("ann"), "phone").ok());
  CHECK_FALSE(s.rows.devices.at("phone").active);
  const auto again = s.deactivate(person("ann"), "phone");
  REQUIRE(again.ok());
  CHECK(again->answer);
  CHECK(again->writes.empty());
  const auto before = s.rows;
  const auto lost = bound("ann", "phone");
  CHECK(code_of(send(s, person("ann"), "phone")) == error_code::device_deactivated);
  CHECK(code_of(s.acknowledge_upto(person("ann"), "phone", 1)) == error_code::device_deactivated);
  CHECK(code_of(s.enrol(lost, {"phone", device_type::phone, {}, {}, {}, {}, {}})) ==
        error_code::device_deactivated);
  CHECK(code_of(s.deactivate(lost, "phone")) == error_code::device_deactivated);
  CHECK(code_of(s.resolve(lost, {"c1", strategy::manual, "server", {}, {}})) ==
        error_code::device_deactivated);
  CHECK(s.rows == before);
  // Others learn only that it is not theirs.
  CHECK(code_of(send(s, person("bob"), "phone")) == error_code::forbidden);
  REQUIRE(s.enrol(person("ann"), {"phone", device_type::phone, {}, {}, {}, {}, {}}).ok());
  CHECK(send(s, person("ann"), "phone").ok());
}

TEST_CASE("an administrator deactivates any device of the tenant") {
  scenario s;
  REQUIRE(send(s, person("ann"), "phone").ok());
  REQUIRE(s.deactivate(bound("root", "desk", true), "phone").ok());
  CHECK_FALSE(s.rows.devices.at("phone").active);
}

TEST_CASE("an acknowledged position never goes back and never runs ahead of the feed") {
  scenario s;
  REQUIRE(send(s, person("ann"), "phone").ok());
  REQUIRE(send(s, person("ann"), "phone").ok());
  REQUIRE(s.acknowledge_upto(person("ann"), "phone", 2).ok());
  CHECK(s.rows.devices.at("phone").acknowledged == 2);
  const auto back = s.acknowledge_upto(person("ann"), "phone", 1);
  REQUIRE(back.ok());
  CHECK(back->answer);
  CHECK(back->writes.empty());
  CHECK(s.rows.devices.at("phone").acknowledged == 2);
  CHECK(code_of(s.acknowledge_upto(person("ann"), "phone", {2, 3})) == error_code::bad_user_input);
  CHECK(code_of(s.acknowledge_upto(person("ann"), "phone", 3)) == error_code::bad_user_input);
  CHECK(code_of(s.acknowledge_upto(person("ann"), "never seen", 1)) == error_code::not_found);
  CHECK(code_of(s.acknowledge_upto(person("bob"), "phone", 1)) == error_code::forbidden);
  CHECK(code_of(s.acknowledge_upto(bound("ann", "x"), "phone", 1)) == error_code::forbidden);
}

TEST_CASE("policies are set by administrators, for entity domains") {
  scenario s;
  const auto set = [&](const caller& who, policy value) {
    return s.commit(apply_policy(s.rows, who, {value}, s.now, s.settings));
  };
  const policy value{domain::task, strategy::merge, false, false};
  CHECK(code_of(set(person("ann"), value)) == error_code::forbidden);
  CHECK(code_of(set(admin(), {domain::voice, strategy::merge, true, true})) == error_code::bad_user_input);
  CHECK(effective_policy(s.rows, domain::task) == default_policy(domain::task));
  REQUIRE(set(admin(), value).ok());
  CHECK(effective_policy(s.rows, domain::task) == value);
  CHECK(effective_policy(s.rows, domain::ticket) == default_policy(domain::ticket));
  const auto again = set(admin(), value);
  REQUIRE(again.ok());
  CHECK(again->writes.empty());
  REQUIRE(send(s, person("ann"), "phone").ok());
  CHECK(code_of(set(bound("bob", "phone", true), value)) == error_code::forbidden);
}
