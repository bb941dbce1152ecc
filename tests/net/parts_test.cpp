// The small parts: timer wheel, operation table, limits, text, options.
#include <doctest/doctest.h>

#include <random>
#include <set>
#include <vector>

#include "net/connection_limits.hpp"
#include "net/operation_table.hpp"
#include "net/server_options.hpp"
#include "net/text.hpp"
#include "net/timer_wheel.hpp"

using namespace mooring;
using namespace mooring::net;

namespace {
struct probe final : wheel_timer {
  std::vector<std::int64_t> fired;
  timer_wheel* wheel = nullptr;
  std::int64_t again_ms = 0;
  void on_timer(std::int64_t now_ms) override {
    fired.push_back(now_ms);
    if (again_ms != 0) wheel->set_earlier(*this, now_ms + again_ms);
  }
};
} // namespace

TEST_CASE("a timer fires at or after its time, and within one tick of it") {
  std::mt19937 random(7);
  timer_wheel wheel(1'000'000);
  std::vector<probe> probes(500);
  std::vector<std::int64_t> due;
  for (auto& one : probes) {
    due.push_back(1'000'000 + static_cast<std::int64_t>(random() % 200'000)); // beyond the ring too
    wheel.set_earlier(one, due.back());
  }
  for (std::int64_t now = 1'000'000; now <= 1'201'000; now += 50) wheel.advance(now);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    CAPTURE(i);
    REQUIRE(probes[i].fired.size() == 1);
    CHECK(probes[i].fired[0] >= due[i]);
    CHECK(probes[i].fired[0] <= due[i] + 2 * timer_wheel::tick_ms);
  }
}

TEST_CASE("a timer is moved earlier and not later, can be cancelled, and may set itself again") {
  timer_wheel wheel(0);
  probe one;
  wheel.set_earlier(one, 5'000);
  wheel.set_earlier(one, 1'000);
  wheel.set_earlier(one, 9'000);
  wheel.advance(900);
  CHECK(one.fired.empty());
  wheel.advance(1'000);
  CHECK(one.fired == std::vector<std::int64_t>{1'000});
  CHECK_FALSE(one.is_set());
  wheel.set_earlier(one, 2'000);
  wheel.cancel(one);
  wheel.advance(3'000);
  CHECK(one.fired.size() == 1);

  probe again;
  again.wheel = &wheel;
  again.again_ms = 300;
  wheel.set_earlier(again, 3'300);
  for (std::int64_t now = 3'000; now <= 4'200; now += 100) wheel.advance(now);
  CHECK(again.fired == std::vector<std::int64_t>{3'300, 3'600, 3'900, 4'200});
  {
    probe gone;
    wheel.set_earlier(gone, 4'300);
  }
  again.again_ms = 0;
  wheel.advance(1'000'000); // a long pause: everything due fires once
  CHECK(again.fired.size() == 5);
}

TEST_CASE("a ticket finds its operation until it is closed, and never another's") {
  operation_table table;
  alignas(16) char place[16];
  auto& owner = *reinterpret_cast<session*>(place); // only its address is kept
  std::mt19937 random(3);
  std::vector<operation_table::ticket> open;
  std::vector<operation_table::ticket> closed;
  std::set<operation_table::ticket> seen;
  for (int i = 0; i < 10'000; ++i) {
    if (open.empty() || random() % 2 == 0) {
      open.push_back(table.open(owner));
      CHECK(seen.insert(open.back()).second);
    } else {
      const auto at = random() % open.size();
      table.close(open[at]);
      closed.push_back(open[at]);
      open[at] = open.back();
      open.pop_back();
    }
  }
  for (const auto one : open) CHECK(table.find(one) != nullptr);
  for (const auto one : closed) CHECK(table.find(one) == nullptr);
  CHECK(table.open_count() == open.size());
  CHECK(table.find(~operation_table::ticket{0}) == nullptr);
}

TEST_CASE("limits count per address and in all, and loopback only in all") {
  connection_limits limits(4, 2);
  CHECK(limits.enter(10));
  CHECK(limits.enter(10));
  CHECK_FALSE(limits.enter(10));
  CHECK(limits.enter(0));
  CHECK(limits.enter(0));
  CHECK(limits.is_full());
  limits.leave(10);
  CHECK_FALSE(limits.is_full());
  CHECK(limits.enter(10));
  for (int i = 0; i < 2; ++i) limits.leave(10), limits.leave(0);
  CHECK(limits.open() == 0);
}

TEST_CASE("UTF-8 is checked as RFC 3629 says") {
  for (const char* text : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "gr\xc3\xbc\xc3\x9f"})
    CHECK(is_utf8(text));
  for (const char* text :
       {"\x80", "\xc2", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "a\xe2\x82"})
    CHECK_FALSE(is_utf8(text));
  CHECK(cut_utf8("gr\xc3\xbc", 3) == "gr");
  CHECK(cut_utf8("gr\xc3\xbc", 4) == "gr\xc3\xbc");
}

TEST_CASE("options that cannot work are refused with the option's name") {
  CHECK(server_options{}.validate().ok());
  const auto refused = [](auto change, const char* name) {
    server_options options;
    change(options);
    const auto valid = options.validate();
    REQUIRE_FALSE(valid.ok());
    CHECK(valid.failure().message.find(name) != std::string::npos);
  };
  refused([](server_options& o) { o.listen.clear(); }, "listen");
  refused([](server_options& o) { o.listen[0].address = "localhost"; }, "localhost");
  refused([](server_options& o) { o.threads = 0; }, "threads");
  refused([](server_options& o) { o.tls_key_file = "k"; }, "TLS");
  refused([](server_options& o) { o.message_bytes_max = 0; }, "message_bytes_max");
  refused([](server_options& o) { o.first_message_bytes_max = 100; }, "first_message_bytes_max");
  refused([](server_options& o) { o.init_timeout_ms = 0; }, "init_timeout_ms");
  refused([](server_options& o) { o.time = nullptr; }, "clock");
}
