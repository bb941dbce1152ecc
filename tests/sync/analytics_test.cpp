// Counting what a tenant does: hours, devices, durations, and the advice that rests on load.
#include "sync/analytics.hpp"

#include "sync/advice.hpp"
#include "sync/health.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

// Uploads edits and counts them as the tenant would.
struct counted : scenario {
  analytics counts;
  upload_answer send(const std::string& device, std::vector<edit_item> items, std::int64_t took_us = 1'000,
                     std::string key = {}) {
    auto what = empty_upload(device);
    what.kind = upload_kind::operations;
    what.payload_bytes = 100;
    if (!key.empty()) {
      what.idempotency_key = key;
      what.request = {1, 1};
    }
    for (auto& item : items)
      if (!item.modified_at) item.modified_at = now;
    what.operations = std::move(items);
    auto done = run(person("ann"), what);
    REQUIRE(done.ok());
    counts.count(what, done->answer, took_us, now);
    return done->answer;
  }
  const analytics_hour& hour() const { return counts.present(); }
  const domain_counts& of(domain in) const { return hour().domains[static_cast<std::size_t>(in)]; }
};

} // namespace

TEST_CASE("an hour counts requests, items by domain, conflicts, bytes and devices") {
  counted s;
  s.send("phone", {create("t1", R"({"a":1})"), create("k1", "{}", domain::ticket), erase("never")});
  s.send("laptop", {update("t1", R"({"a":2})").base(1).named("op")});
  s.send("laptop", {update("t1", R"({"a":2})").base(1).named("op").when(s.now)});
  s.send("phone", {update("t1", R"({"a":3})").base(1).when(s.now + 1)}); // a conflict, decided by policy
  s.set_policy(domain::task, strategy::manual);
  s.send("laptop", {update("t1", R"({"a":4})").base(2)}); // one that waits for a person
  CHECK(s.hour().hour == hour_of(s.now));
  CHECK(s.hour().requests == 5);
  CHECK(s.hour().succeeded == 4);
  CHECK(s.hour().replayed == 0);
  CHECK(s.hour().bytes == 500);
  CHECK(s.hour().devices.count() == 2);
  CHECK(s.of(domain::task) == domain_counts{6, 1, 1, 2});
  CHECK(s.of(domain::ticket) == domain_counts{1, 0, 0, 0});
  CHECK(s.of(domain::voice) == domain_counts{});
  CHECK(s.hour().conflicts_by_policy == 1);
  CHECK(s.hour().conflicts_opened == 1);
  CHECK(s.hour().average_ms() == 1.0);
}

TEST_CASE("a replay is a request, and nothing else of it is counted again") {
  counted s;
  s.send("phone", {create("t1", "{}").when(s.now)}, 1'000, "same");
  const auto again = s.send("phone", {create("t1", "{}").when(s.now)}, 500'000, "same");
  REQUIRE(again.replayed);
  CHECK(s.hour().requests == 2);
  CHECK(s.hour().replayed == 1);
  CHECK(s.of(domain::task).items == 1);
  CHECK(s.hour().average_ms() == 1.0);
}

TEST_CASE("a conflict that is shown again beside a duplicate counts once") {
  counted s;
  s.set_policy(domain::task, strategy::manual);
  s.send("phone", {create("t1", R"({"a":1})")});
  s.send("laptop", {update("t1", R"({"a":2})").base(1)});
  const auto lost = update("t1", R"({"a":3})").base(1).named("op").when(s.now);
  s.send("phone", {lost});
  const auto again = s.send("phone", {lost, update("t1", R"({"a":4})").base(1)});
  REQUIRE(again.operations->conflicts.size() >= 1);
  const auto opened = static_cast<std::int64_t>(s.rows.conflicts.size());
  CHECK(s.hour().conflicts_opened == opened);
  CHECK(s.of(domain::task).conflicts == opened);
}

TEST_CASE("rows are written once a minute, and when the hour is over") {
  counted s;
  s.now = {1'759'060'800'000}; // on the hour
  CHECK_FALSE(s.counts.is_due(s.now));
  s.send("phone", {create("t1", "{}")});
  write_list first;
  REQUIRE(s.counts.is_due(s.now));
  s.counts.take(s.now, first);
  REQUIRE(first.size() == 1);
  CHECK(row_in<analytics_hour>(first[0])->requests == 1);
  s.wait_ms(1'000);
  s.send("phone", {create("t2", "{}")});
  CHECK_FALSE(s.counts.is_due(s.now));
  s.wait_ms(59'000);
  CHECK(s.counts.is_due(s.now));
  s.now = s.now + (hour_ms - 60'000 + 5);
  s.send("phone", {create("t3", "{}")});
  write_list second;
  s.counts.take(s.now, second);
  REQUIRE(second.size() == 2);
  CHECK(row_in<analytics_hour>(second[0])->requests == 2);
  CHECK(row_in<analytics_hour>(second[0])->hour + 1 == row_in<analytics_hour>(second[1])->hour);
  CHECK(row_in<analytics_hour>(second[1])->requests == 1);
  write_list none;
  s.counts.take(s.now, none);
  CHECK(none.empty());
}

TEST_CASE("after a start the hour goes on from what is stored, and a clock that went back counts on") {
  counted s;
  s.send("phone", {create("t1", "{}")});
  const auto stored = s.hour();
  counted after;
  after.now = s.now;
  after.counts.resume(stored);
  CHECK_FALSE(after.counts.is_due(after.now)); // nothing new
  after.send("laptop", {create("t1", "{}")});
  CHECK(after.hour().requests == 2);
  CHECK(after.hour().devices.count() == 2);
  counted late; // counted before it was resumed
  late.now = s.now;
  late.send("laptop", {create("t1", "{}")});
  late.counts.resume(stored);
  CHECK(late.hour() == after.hour());
  late.now = late.now + -hour_ms;
  late.send("laptop", {create("t2", "{}")});
  CHECK(late.hour().requests == 3);
  CHECK(late.hour().hour == stored.hour);
}

TEST_CASE("the 95th percentile is the bound that 95 of 100 do not pass") {
  analytics_hour is;
  CHECK_FALSE(is.p95_ms());
  CHECK_FALSE(is.average_ms());
  CHECK(analytics_hour::bucket_of(0) == 0);
  CHECK(analytics_hour::bucket_of(100) == 0);
  CHECK(analytics_hour::bucket_of(101) == 1);
  CHECK(analytics_hour::bucket_of(200) == 2);
  CHECK(analytics_hour::bucket_of(201) == 3);
  CHECK(analytics_hour::bucket_of(INT64_MAX) == analytics_hour::buckets - 1);
  for (std::int64_t us = 1; us < 4'000'000; us += us / 7 + 1) {
    const auto bucket = analytics_hour::bucket_of(us);
    CHECK(static_cast<double>(us) <= analytics_hour::upper_bound_us(bucket) * (1 + 1e-9));
    if (bucket > 0) CHECK(static_cast<double>(us) > analytics_hour::upper_bound_us(bucket - 1) * (1 - 1e-9));
  }
  for (int i = 0; i < 95; ++i) ++is.durations[analytics_hour::bucket_of(800)];
  for (int i = 0; i < 5; ++i) ++is.durations[analytics_hour::bucket_of(900'000)];
  CHECK(*is.p95_ms() == doctest::Approx(0.8));
  ++is.durations[analytics_hour::bucket_of(900'000)];
  CHECK(*is.p95_ms() > 800);
}

TEST_CASE("devices are estimated: a few exactly, many within ten percent, and unions as one") {
  for (const int devices : {0, 1, 2, 10, 30, 100, 300, 1'000, 5'000, 50'000}) {
    CAPTURE(devices);
    device_sketch all, even, odd;
    for (int i = 0; i < devices; ++i) {
      const auto id = "device-" + std::to_string(i);
      all.add(id);
      all.add(id); // again is nothing
      (i % 2 == 0 ? even : odd).add(id);
    }
    const auto error = std::abs(static_cast<double>(all.count() - devices));
    CHECK(error <= (devices <= 10 ? 0 : devices * 0.1));
    even.add(odd);
    CHECK(even == all);
    const auto unpacked = device_sketch::unpack(all.pack());
    REQUIRE(unpacked.has_value());
    CHECK(*unpacked == all);
    CHECK(unpacked->count() == all.count());
    CHECK(all.pack().size() <= 1'024);
  }
}

TEST_CASE("bytes that are no sketch are refused") {
  CHECK_FALSE(device_sketch::unpack("ab").has_value());
  CHECK_FALSE(device_sketch::unpack(std::string(1'024, '\x40')).has_value());     // a rank that no hash has
  CHECK_FALSE(device_sketch::unpack(std::string("\x04\x00\x01", 3)).has_value()); // register 1,024
  CHECK_FALSE(device_sketch::unpack(std::string("\x00\x01\x00", 3)).has_value()); // rank 0
  CHECK_FALSE(device_sketch::unpack(std::string("\x00\x02\x01\x00\x01\x01", 6)).has_value()); // not ascending
  CHECK_FALSE(device_sketch::unpack(std::string(3 * 300, '\x01')).has_value());
  CHECK(device_sketch::unpack("")->count() == 0);
}

TEST_CASE("a user's health follows how uploads ended and how often they met conflicts") {
  std::vector<device> devices(2);
  CHECK(health_of({}).status == "healthy");
  CHECK(health_of({}).success_rate == 1);
  CHECK_FALSE(health_of({}).conflict_rate);
  CHECK_FALSE(health_of(devices).last_sync_at);
  devices[0].sync_count = 95;
  devices[0].failed_sync_count = 5;
  devices[0].last_sync_at = instant{5};
  devices[1].last_sync_at = instant{9};
  auto is = health_of(devices);
  CHECK(is.status == "healthy");
  CHECK(is.success_rate == doctest::Approx(0.95));
  CHECK(is.last_sync_at == instant{9});
  devices[1].failed_sync_count = 10;
  CHECK(health_of(devices).status == "degraded");
  devices[1].failed_sync_count = 40;
  CHECK(health_of(devices).status == "unhealthy");
  devices[1].failed_sync_count = 0;
  devices[0].conflict_count = 30;
  is = health_of(devices);
  CHECK(is.status == "degraded");
  CHECK(*is.conflict_rate == doctest::Approx(0.3));
  devices[0].conflict_count = 300;
  CHECK(*health_of(devices).conflict_rate == 1);
}

TEST_CASE("devices sync now while the node has room, and spread out when it has not") {
  CHECK(advise({0, 0}, 1).sync_now);
  CHECK(advise({0.8, 100}, 1).sync_now);
  CHECK(advise({0.8, 100}, 1).wait_seconds == 0);
  CHECK(advise({0.8, 100}, 1).load == doctest::Approx(0.8));
  for (const node_load load : {node_load{1.5, 0}, node_load{0, 2'000}, node_load{3, 9'000}}) {
    std::int32_t least = INT32_MAX, most = 0;
    for (std::uint64_t who = 0; who < 1'000; ++who) {
      const auto said = advise(load, who * 0x9e3779b97f4a7c15u);
      CHECK_FALSE(said.sync_now);
      CHECK(said.load <= 1);
      least = std::min(least, said.wait_seconds);
      most = std::max(most, said.wait_seconds);
    }
    CHECK(least >= 1);
    CHECK(most <= 300);
    CHECK(most >= 2 * least);
  }
  // More load, more waiting.
  CHECK(advise({4, 0}, 7).wait_seconds > advise({1.2, 0}, 7).wait_seconds);
}
