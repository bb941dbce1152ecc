#include "actors/feed_hub.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace mooring;

namespace {

// Pages are answered when the test says so.
class slow_reading final : public actors::feed_reading {
 public:
  void read_feed(const api::origin&, sync::get_feed, api::query_done done) override {
    asked.push_back(std::move(done));
  }
  void listens(const api::origin&, const std::string&) override { ++listeners; }
  void leave_feed(const std::string&) override {}
  void wake_at(std::int64_t at_us) override { wakes.push_back(at_us); }
  std::vector<api::query_done> asked;
  std::vector<std::int64_t> wakes;
  int listeners = 0;
};

class remembering final : public net::event_sink {
 public:
  void next(std::string_view body) override { bodies.emplace_back(body); }
  bool has_room() const override { return true; }
  void complete() override {}
  void fail(std::string_view body) override { failed_with = body; }
  std::vector<std::string> bodies;
  std::string failed_with;
};

class plain_writer final : public graphql::event_writer {
 public:
  std::string write(const graphql::resolved&) const override { return "event"; }
  std::string write_refusal(const error& why, std::uint64_t) const override {
    return std::string(to_string(why.code));
  }
  const digest128& shape() const override { return shape_; }

 private:
  digest128 shape_{1, 1};
};

actors::feed_batch_ptr change_of(sync::device device) {
  auto out = std::make_shared<actors::feed_batch>();
  out->tenant = "acme";
  out->from = out->upto = 7;
  out->devices.push_back(std::move(device));
  return out;
}

// An event that the user may see, at each of these positions.
actors::feed_batch_ptr batch_of(sync::position from, sync::position upto, sync::user_number user) {
  auto out = std::make_shared<actors::feed_batch>();
  out->tenant = "acme";
  out->from = from;
  out->upto = upto;
  for (auto at = from + 1; at <= upto; ++at) {
    auto& event = out->events.emplace_back();
    event.slot.at = at;
    event.slot.owner = user;
    event.slot.id = "e" + std::to_string(at);
    event.what = sync::entity_answer{};
  }
  return out;
}

sync::query_answer page_of(sync::position from, sync::position upto, sync::user_number user, bool has_more) {
  sync::feed_page page;
  page.viewer = user;
  page.device = user;
  page.from = from;
  page.upto = upto;
  page.has_more = has_more;
  return page;
}

// One subscription of a user, which has caught up to a position, and what it was sent since.
struct listener {
  listener(actors::feed_hub& hub, const std::string& device) {
    api::origin from;
    from.who.tenant = "acme";
    source = hub.open(from, device, std::nullopt, std::make_shared<plain_writer>());
    source->start(sink);
  }
  remembering sink;
  std::shared_ptr<net::event_source> source;
};

} // namespace

TEST_CASE("when something was not told, everybody reads on from the tables, also when nothing follows") {
  slow_reading reading;
  actors::surroundings around;
  actors::feed_hub hub(reading, around);
  listener one(hub, "phone");
  REQUIRE(reading.asked.size() == 1);
  reading.asked[0](page_of(0, 7, 2, false));
  REQUIRE(one.sink.bodies.size() == 1); // it has caught up
  SUBCASE("the batch behind the gap brings an event") {
    CHECK(hub.moved(batch_of(8, 9, 2)));
  }
  SUBCASE("nobody knows what was missed") {
    CHECK(hub.moved(batch_of(8, 8, 2)));
  }
  REQUIRE(reading.asked.size() == 2);
  CHECK(one.sink.bodies.size() == 1);
  reading.asked[1](page_of(7, 9, 2, false));
  CHECK(hub.moved(batch_of(9, 10, 2)));
  CHECK(one.sink.bodies.size() == 2);
  CHECK(reading.asked.size() == 2);
}

TEST_CASE("what a page had, but the tail has not, is never left out by who reads on from the tail") {
  constexpr sync::position tail_batches = 1'024; // of feed_hub.cpp
  slow_reading reading;
  actors::surroundings around;
  actors::feed_hub hub(reading, around);
  listener quick(hub, "phone"), slow(hub, "tablet");
  REQUIRE(reading.asked.size() == 2);
  reading.asked[0](page_of(0, 10, 2, false)); // a page may be ahead of what is told
  // These come late. The first is kept in spite of that, for the device that it names.
  auto late = std::make_shared<actors::feed_batch>(*batch_of(7, 8, 2));
  late->devices.emplace_back().id = "another";
  CHECK(hub.moved(late));
  CHECK(hub.moved(batch_of(8, 9, 2)));
  CHECK(hub.moved(batch_of(9, 10, 2)));
  for (sync::position at = 10; at < 10 + tail_batches; ++at) CHECK(hub.moved(batch_of(at, at + 1, 2)));
  // Now the tail begins behind 10. Who stands at 8 needs 9 and 10 from the tables.
  reading.asked[1](page_of(0, 8, 3, true));
  CHECK(reading.asked.size() == 3);
  CHECK(slow.sink.bodies.empty());
}

TEST_CASE(
    "a tenant hears when nobody listens to it any more, also when that was said while it could not hear") {
  slow_reading reading;
  actors::surroundings around;
  actors::feed_hub hub(reading, around);
  CHECK_FALSE(hub.moved(batch_of(0, 1, 2)));
  listener one(hub, "phone");
  CHECK(hub.moved(batch_of(1, 2, 2)));
  one.source.reset();
  CHECK_FALSE(hub.moved(batch_of(2, 3, 2)));
}

TEST_CASE("a device that is deactivated while its first page is read does not get to listen") {
  slow_reading reading;
  actors::surroundings around;
  actors::feed_hub hub(reading, around);
  api::origin from;
  from.who.tenant = "acme";
  remembering sink;
  const auto source = hub.open(from, "phone", std::nullopt, std::make_shared<plain_writer>());
  source->start(sink);
  REQUIRE(reading.asked.size() == 1);

  // The page was read before the deactivation was stored, and arrives after it was told.
  sync::device gone;
  gone.id = "phone";
  gone.number = 3;
  gone.active = false;
  hub.moved(change_of(gone));
  sync::feed_page page;
  page.viewer = 2;
  page.device = 3;
  page.from = page.upto = 7;
  reading.asked[0](sync::query_answer{std::move(page)});
  CHECK(sink.bodies.empty());
  CHECK(reading.listeners == 0);

  REQUIRE(reading.asked.size() == 2);
  reading.asked[1](error{error_code::device_deactivated, "the device was deactivated", "deviceId"});
  CHECK(sink.failed_with.find("DEVICE_DEACTIVATED") != std::string::npos);
  CHECK(sink.bodies.empty());
}

TEST_CASE("another device's change does not disturb who is being read for") {
  slow_reading reading;
  actors::surroundings around;
  actors::feed_hub hub(reading, around);
  api::origin from;
  from.who.tenant = "acme";
  remembering sink;
  const auto source = hub.open(from, "phone", std::nullopt, std::make_shared<plain_writer>());
  source->start(sink);
  sync::device other;
  other.id = "tablet";
  other.number = 4;
  other.active = false;
  hub.moved(change_of(other));
  reading.asked[0](error{error_code::not_found, "no such device", "deviceId"});
  CHECK(reading.asked.size() == 1);
  CHECK(sink.failed_with.find("NOT_FOUND") != std::string::npos);
}

TEST_CASE("however much is held back, and for however long, few wakes are asked for, and all of it leaves in "
          "time") {
  constexpr int listeners = 40;
  constexpr std::int64_t interval_ms = 60;
  slow_reading reading;
  manual_clock time(instant{1'000'000});
  actors::surroundings around;
  around.time = &time;
  around.settings.push = {0, interval_ms};
  actors::feed_hub hub(reading, around);
  api::origin from;
  from.who.tenant = "acme";
  std::vector<std::unique_ptr<remembering>> sinks;
  std::vector<std::shared_ptr<net::event_source>> sources;
  const auto writer = std::make_shared<plain_writer>();
  for (int n = 0; n < listeners; ++n) {
    sinks.push_back(std::make_unique<remembering>());
    sources.push_back(hub.open(from, "device " + std::to_string(n), std::nullopt, writer));
    sources.back()->start(*sinks.back());
    sync::feed_page page;
    page.viewer = static_cast<sync::user_number>(n + 1);
    page.device = static_cast<sync::device_number>(n + 1);
    page.push = {{std::nullopt, true, true, sync::priority::normal}}; // saves its battery
    auto asked = std::exchange(reading.asked, {});
    REQUIRE(asked.size() == 1);
    asked[0](sync::query_answer{std::move(page)});
    REQUIRE(sinks.back()->bodies.size() == 1); // it has caught up
  }
  sync::position at = 0;
  std::size_t woken = 0, most = 0;
  const auto a_millisecond_passes = [&] {
    time.advance_ms(1);
    const auto due = std::stable_partition(reading.wakes.begin(), reading.wakes.end(),
                                           [&](std::int64_t wake) { return wake > time.monotonic_us(); });
    const auto ringing = std::distance(due, reading.wakes.end());
    reading.wakes.erase(due, reading.wakes.end());
    for (auto left = ringing; left > 0; --left, ++woken) hub.on_time();
    most = std::max(most, reading.wakes.size());
  };
  // Something is always held, so there is always a next time to wait for.
  for (int round = 0; round < 2'000; ++round) {
    auto batch = std::make_shared<actors::feed_batch>();
    batch->tenant = "acme";
    batch->from = at;
    batch->upto = ++at;
    sync::feed_event event;
    event.slot.at = at;
    event.slot.owner = static_cast<sync::user_number>(round % listeners + 1);
    event.slot.id = "e" + std::to_string(round);
    event.what = sync::entity_answer{};
    batch->events.push_back(std::move(event));
    hub.moved(batch);
    a_millisecond_passes();
  }
  CHECK(most < 10);
  CHECK(woken < 2'500);
  for (int i = 0; i <= interval_ms; ++i) a_millisecond_passes();
  CHECK(reading.wakes.empty());
  for (const auto& sink : sinks) CHECK(sink->bodies.size() == 1 + 2'000 / listeners);
}
