// Push settings, the user's budget and the battery saver's clock, with a clock of the test's own.
#include "sync/push.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace mooring;
using namespace mooring::sync;

namespace {

constexpr std::int64_t second = 1'000'000;

feed_event event(position at, priority urgency = priority::normal, domain in = domain::task) {
  feed_event made;
  made.slot.at = at;
  made.slot.in = in;
  made.slot.urgency = urgency;
  made.what = entity_answer{};
  return made;
}

feed_event told(notification_kind kind, domain_set domains, priority urgency) {
  feed_event made;
  made.slot.kind = slot_kind::notification;
  made.slot.urgency = urgency;
  notification text;
  text.kind = kind;
  text.domains = domains;
  text.urgency = urgency;
  made.what = text;
  return made;
}

domain_set set_of(std::initializer_list<domain> all) {
  domain_set made = 0;
  for (const auto one : all) made = static_cast<domain_set>(made | 1u << static_cast<unsigned>(one));
  return made;
}

push_setting setting(std::optional<domain> in, bool active = true, bool saver = false,
                     priority least = priority::normal) {
  return {in, active, saver, least};
}

// A device that is pushed a stream; what left, and when.
struct device_line {
  pacing clock;
  waiting what;
  std::vector<std::pair<std::int64_t, position>> sent; // when, up to where
  void ask(const push_limits& limits, push_budget& budget, std::int64_t now) {
    const auto said = clock.decide(limits, budget, what, now);
    if (!said.send_now) return;
    sent.emplace_back(now, what.upto);
    what = {};
  }
};

} // namespace

TEST_CASE("which settings let a push through") {
  using enum priority;
  const auto task = std::optional(domain::task), ticket = std::optional(domain::ticket);
  const std::optional<domain> none;
  struct row {
    std::vector<push_setting> settings;
    std::optional<domain> in;
    priority urgency;
    bool passes;
  };
  const std::vector<row> table = {
      // None set: everything.
      {{}, task, normal, true},
      {{}, none, normal, true},
      // One for every domain.
      {{setting(none)}, task, normal, true},
      {{setting(none, false)}, task, critical, false},
      {{setting(none, false)}, none, critical, false},
      {{setting(none, true, false, high)}, task, normal, false},
      {{setting(none, true, false, high)}, task, high, true},
      {{setting(none, true, false, high)}, none, normal, false},
      {{setting(none, true, false, critical)}, ticket, high, false},
      // A domain's own goes before the one for every domain.
      {{setting(none, false), setting(task)}, task, normal, true},
      {{setting(none, false), setting(task)}, ticket, normal, false},
      {{setting(none, true, false, high), setting(task)}, task, normal, true},
      {{setting(none), setting(task, false)}, task, critical, false},
      {{setting(none), setting(task, false)}, ticket, normal, true},
      // Domains that are wanted: only those. Messages are of no domain.
      {{setting(task)}, task, normal, true},
      {{setting(task)}, ticket, critical, false},
      {{setting(task)}, none, normal, true},
      // Domains that are not wanted: all others.
      {{setting(task, false)}, task, normal, false},
      {{setting(task, false)}, ticket, normal, true},
      {{setting(task, false), setting(ticket)}, std::optional(domain::journal), normal, false},
  };
  for (std::size_t i = 0; i < table.size(); ++i) {
    CAPTURE(i);
    CHECK(passes_push(table[i].settings, table[i].in, table[i].urgency) == table[i].passes);
  }
}

TEST_CASE("a trigger passes when one of its domains does, a message by the setting for every domain") {
  const auto trigger =
      told(notification_kind::trigger, set_of({domain::task, domain::ticket}), priority::high);
  CHECK(passes_push({}, trigger));
  CHECK(passes_push({setting(domain::ticket)}, trigger));
  CHECK_FALSE(passes_push({setting(domain::journal)}, trigger));
  CHECK_FALSE(passes_push({setting(std::nullopt, true, false, priority::critical)}, trigger));
  const auto message = told(notification_kind::message, 0, priority::normal);
  CHECK(passes_push({setting(domain::journal)}, message));
  CHECK_FALSE(passes_push({setting(std::nullopt, false)}, message));
  CHECK(passes_push({setting(domain::task)}, event(1)));
  CHECK_FALSE(passes_push({setting(domain::task)}, event(1, priority::critical, domain::ticket)));
}

TEST_CASE("battery saver holds NORMAL pushes only, by the setting that counts") {
  const std::vector<push_setting> settings = {setting(std::nullopt, true, true), setting(domain::ticket)};
  CHECK(holds_back(settings, domain::task, priority::normal));
  CHECK_FALSE(holds_back(settings, domain::task, priority::high));
  CHECK_FALSE(holds_back(settings, domain::ticket, priority::normal));
  CHECK(holds_back(settings, std::nullopt, priority::normal));
  CHECK_FALSE(holds_back({}, domain::task, priority::normal));
  CHECK(holds_back(settings, event(1)));
  CHECK_FALSE(holds_back(settings, event(1, priority::normal, domain::ticket)));
}

TEST_CASE("the eleventh push of a minute waits, and what waits leaves as one") {
  const push_limits limits;
  push_budget budget;
  device_line phone;
  for (position at = 1; at <= 30; ++at) {
    phone.what.add({}, event(at));
    phone.ask(limits, budget, static_cast<std::int64_t>(at) * 1000);
  }
  REQUIRE(phone.sent.size() == 10);
  CHECK(phone.sent.back().second == 10);
  // A minute after the first, there is room for one; then all twenty leave, in one push.
  const auto said = phone.clock.decide(limits, budget, phone.what, 30'000);
  CHECK_FALSE(said.send_now);
  CHECK(said.wait_until_us == 60 * second + 1000);
  phone.ask(limits, budget, said.wait_until_us);
  REQUIRE(phone.sent.size() == 11);
  CHECK(phone.sent.back().second == 30);
}

TEST_CASE("HIGH and CRITICAL are never held, and take everything that waits before them along") {
  const push_limits limits{1, 60'000};
  push_budget budget;
  device_line phone;
  phone.what.add({}, event(1));
  phone.ask(limits, budget, 0);
  phone.what.add({}, event(2));
  phone.ask(limits, budget, 1);
  REQUIRE(phone.sent.size() == 1);
  phone.what.add({}, event(3, priority::high));
  phone.ask(limits, budget, 2);
  REQUIRE(phone.sent.size() == 2);
  CHECK(phone.sent.back().second == 3);
  for (position at = 4; at < 100; ++at) {
    phone.what.add({}, event(at, at % 2 == 0 ? priority::critical : priority::high));
    phone.ask(limits, budget, static_cast<std::int64_t>(at));
    CHECK(phone.sent.back().second == at);
  }
  // They leave no debt: a NORMAL one waits a minute at most.
  phone.what.add({}, event(100));
  CHECK(phone.clock.decide(limits, budget, phone.what, 100).wait_until_us == 60 * second + 99);
}

TEST_CASE("what reached the user on one device reaches the others without counting again") {
  const push_limits limits{2, 60'000};
  push_budget budget;
  std::vector<device_line> devices(5);
  for (position at = 1; at <= 2; ++at)
    for (auto& one : devices) {
      one.what.add({}, event(at));
      one.ask(limits, budget, static_cast<std::int64_t>(at));
    }
  for (const auto& one : devices) CHECK(one.sent.size() == 2);
  for (auto& one : devices) {
    one.what.add({}, event(3));
    one.ask(limits, budget, 3);
    CHECK(one.sent.size() == 2);
  }
}

TEST_CASE("no limit is no limit, and an idle budget may be forgotten") {
  const push_limits limits{0, 60'000};
  push_budget budget;
  device_line phone;
  for (position at = 1; at <= 1000; ++at) {
    phone.what.add({}, event(at));
    phone.ask(limits, budget, 0);
  }
  CHECK(phone.sent.size() == 1000);
  CHECK(budget.is_idle(0));
  const push_limits ten;
  push_budget other;
  CHECK(other.is_idle(0));
  other.count(ten, 1, 0);
  CHECK_FALSE(other.is_idle(0));
  CHECK(other.is_idle(60 * second));
}

TEST_CASE("battery saver gathers for its interval, from the first that waits") {
  const push_limits limits;
  push_budget budget;
  const std::vector<push_setting> saver = {setting(std::nullopt, true, true)};
  device_line phone;
  for (position at = 1; at <= 100; ++at) { // one a second, from 1000 s on
    phone.what.add(saver, event(at));
    phone.ask(limits, budget, (999 + static_cast<std::int64_t>(at)) * second);
  }
  REQUIRE(phone.sent.size() == 1);
  CHECK(phone.sent[0].first == 1060 * second);
  CHECK(phone.sent[0].second == 61);
  const auto said = phone.clock.decide(limits, budget, phone.what, 1100 * second);
  CHECK(said.wait_until_us == 1121 * second); // the next began to wait at 1061 s
  // Something urgent opens it early; the next interval begins anew.
  phone.what.add(saver, event(101, priority::critical));
  phone.ask(limits, budget, 1101 * second);
  CHECK(phone.sent.back() == std::pair(1101 * second, position{101}));
  phone.what.add(saver, event(102));
  CHECK(phone.clock.decide(limits, budget, phone.what, 1110 * second).wait_until_us == 1170 * second);
}

TEST_CASE("a NORMAL push that is not saved takes the saved ones before it along") {
  const push_limits limits;
  push_budget budget;
  const std::vector<push_setting> settings = {setting(std::nullopt), setting(domain::ticket, true, true)};
  device_line phone;
  phone.what.add(settings, event(1, priority::normal, domain::ticket));
  phone.ask(limits, budget, 0);
  CHECK(phone.sent.empty());
  phone.what.add(settings, event(2));
  phone.ask(limits, budget, 1);
  REQUIRE(phone.sent.size() == 1);
  CHECK(phone.sent[0].second == 2);
}

TEST_CASE("nothing that waits is never due") {
  const push_limits limits;
  push_budget budget;
  pacing clock;
  const auto said = clock.decide(limits, budget, {}, 5);
  CHECK_FALSE(said.send_now);
  CHECK(said.wait_until_us == pace::never_us);
}

TEST_CASE(
    "random streams: in order, nothing left behind, urgent at once, within the budget, within the interval") {
  std::mt19937_64 random(7);
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const push_limits limits{static_cast<std::int32_t>(below(12)),
                             static_cast<std::int64_t>(1000 * (1 + below(90)))};
    push_budget budget;
    const std::vector<push_setting> settings = {setting(std::nullopt, true, below(2) == 0),
                                                setting(domain::ticket, true, below(2) == 0)};
    std::vector<device_line> devices(1 + below(3));
    std::vector<std::int64_t> wake(devices.size(), pace::never_us);
    std::int64_t now = 0;
    position at = 0;
    std::vector<std::int64_t> pushes; // when something left that was new to the user
    position reached = 0;
    const auto step = [&](std::size_t i) {
      auto& one = devices[i];
      const bool urgent = one.what.urgent, any = one.what.any();
      const auto upto = one.what.upto;
      const auto said = one.clock.decide(limits, budget, one.what, now);
      wake[i] = said.send_now ? pace::never_us : said.wait_until_us;
      CHECK((any || !said.send_now));
      CHECK((!urgent || said.send_now));
      CHECK((said.send_now || !any || said.wait_until_us > now));
      if (!said.send_now) return;
      if (upto > reached) {
        const auto in_minute = std::count_if(pushes.begin(), pushes.end(),
                                             [&](std::int64_t when) { return when > now - 60 * second; });
        CHECK((urgent || limits.pushes_per_minute == 0 || in_minute < limits.pushes_per_minute));
        pushes.push_back(now);
      }
      reached = std::max(reached, upto);
      CHECK((one.sent.empty() || one.sent.back().second < upto));
      one.sent.emplace_back(now, upto);
      one.what = {};
    };
    for (int i = 0; i < 200; ++i) {
      now += static_cast<std::int64_t>(below(8) * second / 4);
      for (std::size_t d = 0; d < devices.size(); ++d)
        if (wake[d] <= now) step(d);
      const auto what = event(++at, below(10) == 0 ? priority::high : priority::normal,
                              below(2) == 0 ? domain::ticket : domain::task);
      for (std::size_t d = 0; d < devices.size(); ++d) {
        devices[d].what.add(settings, what);
        step(d);
      }
    }
    // Everything leaves when one waits long enough.
    for (int i = 0; i < 1000; ++i) {
      const auto next = *std::min_element(wake.begin(), wake.end());
      if (next == pace::never_us) break;
      now = std::max(now, next);
      for (std::size_t d = 0; d < devices.size(); ++d)
        if (wake[d] <= now) step(d);
    }
    for (const auto& one : devices) {
      CHECK_FALSE(one.what.any());
      CHECK(one.sent.back().second == at);
    }
  }
}
