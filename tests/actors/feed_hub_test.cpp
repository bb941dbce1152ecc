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

} // namespace

TEST_CASE("a device that is deactivated while its first page is read does not get to listen") {
  slow_reading reading;
  actors::surroundings around;
  actors::feed_hub hub(reading, around);
  api::origin from;
  from.who.tenant = "acme";
  remembering sink;
  const auto source = hub.open(from, "phone", std::nullopt, nullptr);
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
  const auto source = hub.open(from, "phone", std::nullopt, nullptr);
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
