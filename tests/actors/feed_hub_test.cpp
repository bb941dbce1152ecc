#include "actors/feed_hub.hpp"

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
  void wake_at(std::int64_t) override {}
  std::vector<api::query_done> asked;
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
