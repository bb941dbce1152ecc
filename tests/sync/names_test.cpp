#include <doctest/doctest.h>

#include "sync/model.hpp"

using namespace mooring::sync;

TEST_CASE("enumerators have the names of the API") {
  CHECK(to_string(domain::voice) == "VOICE");
  CHECK(to_string(domain::work_order) == "WORK_ORDER");
  CHECK(to_string(operation::remove) == "DELETE");
  CHECK(to_string(operation::sync) == "SYNC");
  CHECK(to_string(strategy::preserve_escalation) == "PRESERVE_ESCALATION");
  CHECK(to_string(strategy::most_recent_wins) == "MOST_RECENT_WINS");
  CHECK(to_string(device_type::other) == "OTHER");
  CHECK(to_string(priority::critical) == "CRITICAL");
}

TEST_CASE("a domain's name reads back, and nothing else does") {
  for (int i = 0; i < domain_count; ++i)
    CHECK(parse_domain(to_string(static_cast<domain>(i))) == static_cast<domain>(i));
  for (const auto* text : {"", "voice", "TASK ", "WORKORDER"}) CHECK_FALSE(parse_domain(text).has_value());
}

TEST_CASE("default priorities of device types") {
  CHECK(default_priority(device_type::desktop) == 100);
  CHECK(default_priority(device_type::laptop) == 80);
  CHECK(default_priority(device_type::tablet) == 60);
  CHECK(default_priority(device_type::other) == 50);
  CHECK(default_priority(device_type::phone) == 40);
}

TEST_CASE("default policies of the entity domains") {
  CHECK(default_policy(domain::journal).resolution == strategy::client_wins);
  CHECK(default_policy(domain::attendance).resolution == strategy::server_wins);
  CHECK(default_policy(domain::task).resolution == strategy::most_recent_wins);
  CHECK(default_policy(domain::work_order).resolution == strategy::most_recent_wins);
  CHECK(default_policy(domain::ticket).resolution == strategy::preserve_escalation);
  for (int i = 4; i < domain_count; ++i) CHECK(default_policy(static_cast<domain>(i)).auto_resolve);
}
