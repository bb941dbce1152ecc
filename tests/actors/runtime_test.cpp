// What becomes of requests while actors come and go.

#include <chrono>
#include <deque>
#include <random>
#include <thread>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/actors/small_node.hpp"

using namespace mooring;
using namespace mooring::actors::testing;

namespace {

std::string voice(int n, std::string_view device) {
  return fmt::format(
      "mutation {{ syncVoiceData(idempotencyKey: \"k{}\", deviceId: \"{}\", data: [{{verificationId: "
      "\"v{}\", timestamp: "
      "\"2026-01-01T00:00:00Z\", verified: true}}]) {{ success replayed items {{ duplicate }} }} }}",
      n, device, n);
}

} // namespace

TEST_CASE("an upload is durable when it is answered, and its retry is answered without a second execution") {
  const scratch_folder folder;
  {
    small_node node(folder.path);
    CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true,\"replayed\":false"));
    CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true,\"replayed\":true"));
    CHECK(stored_ids(node) == std::set<std::string>{"v1"});
  }
  small_node again(folder.path);
  CHECK(has(again.ask(voice(1, "phone")).get(), "\"replayed\":true"));
  CHECK(stored_ids(again) == std::set<std::string>{"v1"});
}

TEST_CASE("what was uploaded a moment ago is answered before the tables have it") {
  const scratch_folder folder;
  small_node node(folder.path);
  (void)node.ask(voice(0, "phone")).get();
  auto cursor = texts_of(node.ask("{ changes { cursor } }").get(), "cursor").at(0);
  int shown_under_way = 0;
  for (int n = 1; n <= 200; ++n) {
    CAPTURE(n);
    // Others are under way: what is read shows them only when they are durable, and never less than what was answered.
    auto beside = node.ask(voice(1'000 + n, "tablet"));
    CHECK(has(node.ask(voice(n, "phone")).get(), "\"success\":true"));
    auto later = node.ask(voice(2'000 + n, "laptop"));
    auto one =
        node.ask(fmt::format("{{ entity(domain: VOICE, entityId: \"v{}\") {{ entityId version }} }}", n));
    auto changes =
        node.ask("{ changes(since: \"" + cursor + "\", first: 1000) { cursor entities { entityId } } }");
    CHECK(has(one.get(), fmt::format("\"entityId\":\"v{}\",\"version\":1", n)));
    const auto body = changes.get();
    CHECK(has(body, fmt::format("\"v{}\"", n)));
    if (has(body, fmt::format("\"v{}\"", 2'000 + n))) {
      ++shown_under_way;
      CHECK(later.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    }
    cursor = texts_of(body, "cursor").at(0);
    CHECK(has(beside.get(), "\"success\":true"));
    CHECK(has(later.get(), "\"success\":true"));
  }
  CHECK(shown_under_way > 0);
  CHECK(node.runtime->counters().queries_near_head > 0);
  CHECK(stored_ids(node).size() == 601);
}

TEST_CASE("an answer says how long its request took, a repeated one too") {
  const scratch_folder folder;
  small_node node(folder.path);
  const auto duration = [&] {
    const auto body = node.ask("mutation { syncVoiceData(idempotencyKey: \"k\", deviceId: \"phone\", data: "
                               "[{verificationId: \"v\", "
                               "timestamp: \"2026-01-01T00:00:00Z\", verified: true}]) { replayed metrics { "
                               "durationMs } } }")
                          .get();
    json_parser parser;
    const auto parsed = parser.parse(body);
    REQUIRE(parsed.ok());
    const auto answer = parsed->find("data").find("syncVoiceData");
    return std::pair(answer.find("replayed").boolean(), answer.find("metrics").find("durationMs").number());
  };
  for (const bool replayed : {false, true, true}) {
    const auto began = system_clock().monotonic_us();
    const auto [was_replayed, ms] = duration();
    CHECK(was_replayed == replayed);
    CHECK(ms > 0.0);
    CHECK(ms <= static_cast<double>(system_clock().monotonic_us() - began) / 1000.0);
  }
}

TEST_CASE("two retries at the same moment are one execution") {
  const scratch_folder folder;
  small_node node(folder.path);
  for (int n = 0; n < 50; ++n) {
    auto first = node.ask(voice(n, "phone")), second = node.ask(voice(n, "phone"));
    const auto one = first.get(), two = second.get();
    CHECK(has(one, "\"replayed\":true") != has(two, "\"replayed\":true"));
  }
}

TEST_CASE("actors that fail at any moment lose nothing that was answered, and every retry lands once") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.restarts_max = 1'000'000;
  small_node node(folder.path, settings);
  std::mt19937_64 random(7);
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::thread saboteur([&] {
    while (!stop) {
      const auto before = answered.load();
      const auto kinds = std::array{actors::actor_kind::device, actors::actor_kind::device,
                                    actors::actor_kind::tenant, actors::actor_kind::shard_writer};
      if (const auto victim = node.one_of(kinds[random() % kinds.size()], random()))
        node.runtime->fail(victim);
      std::this_thread::sleep_for(std::chrono::milliseconds(5 + random() % 20));
      // On a slow machine, or with a sanitizer, a shard takes longer to load than the next failure takes to come.
      for (int wait = 0; wait < 200 && answered == before && !stop; ++wait)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  std::set<std::string> wanted;
  int retried = 0;
  constexpr int uploads = 300;
  constexpr int window = 8;
  std::deque<std::pair<int, std::future<std::string>>> open;
  const auto settle = [&] {
    auto [n, future] = std::move(open.front());
    open.pop_front();
    auto body = future.get();
    // A tenant that failed often is started again after 2.5 s.
    for (int attempt = 0; !has(body, "\"success\":true") && attempt < 2'000; ++attempt) {
      CHECK(has(body, "\"retryable\":true"));
      ++retried;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      body = node.ask(voice(n, fmt::format("phone-{}", n % 5))).get();
    }
    ++answered;
    CHECK(has(body, "\"success\":true"));
    CHECK(has(body, "\"duplicate\":false")); // the stored answer of the one execution
  };
  for (int n = 0; n < uploads; ++n) {
    wanted.insert(fmt::format("v{}", n));
    open.emplace_back(n, node.ask(voice(n, fmt::format("phone-{}", n % 5))));
    if (open.size() >= window) settle();
  }
  while (!open.empty()) settle();
  stop = true;
  saboteur.join();
  CHECK(retried > 0);
  CHECK_FALSE(node.fatal);
  std::set<std::string> found;
  for (int attempt = 0; attempt < 100 && found != wanted; ++attempt) found = stored_ids(node);
  CHECK(found == wanted);
}

TEST_CASE(
    "a tenant that always has something to do is swept all the same, and nothing that lives is removed") {
  constexpr std::int64_t window_ms = 400;
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.rules.idempotency_window_ms = window_ms;
  settings.sweep_round_ms = 10;
  small_node node(folder.path, settings);
  using steady = std::chrono::steady_clock;
  const auto end = steady::now() + std::chrono::milliseconds(2'500);
  std::atomic<int> executions{0}, retries{0}, forgotten{0};
  std::vector<std::jthread> phones;
  for (int phone = 0; phone < 8; ++phone)
    phones.emplace_back([&, phone] {
      const auto upload = voice(phone, fmt::format("phone-{}", phone));
      while (steady::now() < end) {
        // As soon as the key is forgotten it is used again, while its old row may still be there.
        const auto began = steady::now();
        if (!has(node.ask(upload).get(), "\"replayed\":false")) continue;
        ++executions;
        while (steady::now() - began < std::chrono::milliseconds(window_ms / 2)) {
          const bool known = has(node.ask(upload).get(), "\"replayed\":true");
          if (steady::now() - began >= std::chrono::milliseconds(window_ms)) break; // a slow machine
          ++retries;
          if (!known) ++forgotten;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      }
    });
  std::uint64_t swept_meanwhile = 0;
  for (int n = 0; steady::now() < end; ++n) {
    CHECK(has(node.ask(voice(1'000 + n, "tablet")).get(), "\"success\":true"));
    swept_meanwhile = node.runtime->counters().swept_rows;
  }
  phones.clear();
  CHECK(swept_meanwhile > 100); // of the tablet's keys
  CHECK(executions > 16);
  CHECK(retries > 100);
  CHECK(forgotten == 0);
}

TEST_CASE("requests that nobody knew the way of are answered soon when whoever has them fails") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.restarts_max = 1'000'000;
  small_node node(folder.path, settings);
  std::atomic<bool> stop{false};
  std::thread saboteur([&] {
    for (std::uint64_t n = 0; !stop; ++n) {
      const auto kind = n % 2 == 0 ? actors::actor_kind::device : actors::actor_kind::tenant;
      if (const auto victim = node.one_of(kind, n)) node.runtime->fail(victim);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  std::vector<std::future<std::string>> open;
  for (int n = 0; n < 400; ++n) {
    open.push_back(node.ask(voice(n, fmt::format("phone-{}", n)))); // each the first of its device
    open.push_back(node.ask("{ devices { deviceId } }"));
    if (n % 20 == 19) std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  const auto late =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(settings.request_timeout_ms / 2);
  std::size_t answered = 0;
  for (auto& one : open) answered += one.wait_until(late) == std::future_status::ready ? 1 : 0;
  CHECK(answered == open.size());
  stop = true;
  saboteur.join();
}

TEST_CASE("idle devices and tenants end, and their next request starts them again") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.idle_timeout_ms = 50;
  settings.housekeeping_ms = 20;
  small_node node(folder.path, settings);
  CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true"));
  CHECK(node.runtime->who().alive(actors::actor_kind::device) == 1);
  const auto& who = node.runtime->who();
  for (int i = 0;
       i < 500 && who.alive(actors::actor_kind::tenant) + who.alive(actors::actor_kind::device) > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(who.alive(actors::actor_kind::device) == 0);
  CHECK(who.alive(actors::actor_kind::tenant) == 0);
  CHECK(has(node.ask(voice(2, "phone")).get(), "\"success\":true"));
  CHECK(stored_ids(node).size() == 2);
}

TEST_CASE("every actor answers what it is doing") {
  const scratch_folder folder;
  small_node node(folder.path);
  CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true"));
  std::set<std::string> kinds;
  for (const auto& one : node.runtime->who().list()) {
    const auto answer = node.runtime->inspect(one.actor_id);
    REQUIRE(answer.has_value());
    const auto kind = find_field(answer->bytes, "kind");
    REQUIRE(kind.has_value());
    CHECK(string_of(*kind) == to_string(one.kind));
    kinds.insert(std::string(string_of(*kind)));
  }
  CHECK(kinds.size() == actors::actor_kinds);
}

TEST_CASE("a tenant that fails too often fails its directory and the node is told") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.restarts_max = 2;
  small_node node(folder.path, settings);
  for (int i = 0; i < 200 && !node.fatal; ++i) {
    node.ask(voice(i, "phone"));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (const auto victim = node.one_of(actors::actor_kind::tenant, 0)) node.runtime->fail(victim);
  }
  CHECK(node.fatal);
}

TEST_CASE("a writer that fails is started again once, although a thread at rest holds what it had open") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.idle_timeout_ms = 50;
  settings.housekeeping_ms = 400;
  small_node node(folder.path, settings);
  REQUIRE(has(node.ask(voice(0, "phone")).get(), "\"success\":true"));
  const auto& who = node.runtime->who();
  for (int i = 0; i < 500 && who.alive(actors::actor_kind::tenant) > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  REQUIRE(who.alive(actors::actor_kind::tenant) == 0); // whom the news would wake
  REQUIRE(node.runtime->fail(node.one_of(actors::actor_kind::shard_writer, 0)));
  std::string why_not;
  for (int i = 0; i < 500 && node.runtime->is_ready(why_not); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(why_not == "shard 0 is being loaded");
  std::string body;
  for (int attempt = 0; !has(body, "\"success\":true") && attempt < 100 && !node.fatal; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    body = node.ask(voice(1, "phone")).get();
  }
  CHECK(has(body, "\"success\":true"));
  CHECK_FALSE(node.fatal);
  CHECK(who.restarts(actors::actor_kind::shard_writer) == 1);
}
