// A shard that takes nothing more: what is refused, what goes on, and what is there afterwards.

#include <algorithm>
#include <array>
#include <chrono>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "storage/check.hpp"
#include "tests/actors/small_node.hpp"

using namespace mooring;
using namespace mooring::actors::testing;

namespace {

using namespace std::chrono_literals;

// One task of `bytes`, created by a device of its own.
std::string upload(int n, std::size_t bytes) {
  return fmt::format(
      "mutation {{ syncOperations(idempotencyKey: \"k{}\", deviceId: \"d{}\", operations: [{{domain: TASK, "
      "operation: "
      "CREATE, entityId: \"t{}\", data: {{filler: \"{}\"}}, modifiedAt: \"2026-01-05T08:00:00Z\"}}]) "
      "{{ success replayed metrics {{ durationMs }} items {{ version duplicate }} }} }}",
      n, n, n, std::string(bytes, 'x'));
}

// A data file of at most 8 MiB, on a disk with room enough: it is full as soon as its map may not grow.
storage::environment_options bounded(const std::filesystem::path& folder) {
  auto shard = small_node::shard_in(folder);
  shard.map_bytes_initial = 1 << 20;
  shard.map_bytes_max = 8 << 20;
  return shard;
}

std::string within(std::future<std::string> answer, std::chrono::milliseconds time) {
  const bool came = answer.wait_for(time) == std::future_status::ready;
  CHECK(came);
  return answer.get();
}

void check_tables(const std::filesystem::path& folder) {
  auto options = small_node::shard_in(folder);
  options.read_only = true;
  auto shard = storage::environment::open(options);
  REQUIRE(shard.ok());
  const auto summary = storage::check_shard(**shard, [](const std::string& finding) { FAIL_CHECK(finding); });
  REQUIRE(summary.ok());
  CHECK(summary->findings == 0);
}

} // namespace

TEST_CASE("a full shard refuses uploads at once, while its tenant lives on, answers retries and serves what "
          "is stored") {
  const scratch_folder folder;
  std::set<std::string> acknowledged;
  {
    small_node node(bounded(folder.path), {});
    // The first ones are small, so that many of their retries are under way while one large upload is refused.
    const auto size = [](int n) { return std::size_t{n < 20 ? 10u : 40'000u}; };
    int n = 0;
    std::string body;
    for (; n < 1'000; ++n) {
      body = within(node.ask(upload(n, size(n))), 2s);
      if (!has(body, "\"success\":true")) break;
      acknowledged.insert(fmt::format("t{}", n));
    }
    REQUIRE(acknowledged.size() > 10);
    CHECK(has(body, "\"STORAGE_FULL\""));
    CHECK(has(body, "\"retryable\":true"));
    CHECK(has(body, "\"retryAfterMs\":"));
    const auto tenant = node.one_of(actors::actor_kind::tenant, 0);
    CHECK(tenant != 0);

    for (int round = 0; round < 20; ++round) {
      CHECK(has(within(node.ask(upload(n, size(n))), 1s), "\"STORAGE_FULL\"")); // its retry
      CHECK(has(within(node.ask(upload(n + 1 + round, size(n))), 1s), "\"STORAGE_FULL\""));
      CHECK(has(within(node.ask(upload(round % n, size(round % n))), 1s), "\"replayed\":true"));
      CHECK(has(
          within(node.ask(fmt::format("{{ changes(first: 1) {{ hasMore entities {{ entityId }} }} }}")), 1s),
          "\"t0\""));
    }
    CHECK(stored_ids(node) == acknowledged);

    // All at once: retries of what is stored are recognised, whatever is refused around them.
    std::vector<std::pair<int, std::future<std::string>>> open;
    for (int i = 0; i < 500; ++i) {
      const int what = i % 5 == 0 ? 2'000 + i : i % 20;
      open.emplace_back(what, node.ask(upload(what, size(what))));
    }
    int refused = 0;
    for (auto& [what, answer] : open) {
      body = within(std::move(answer), 2s);
      CHECK(has(body, what < n ? "\"replayed\":true" : "\"STORAGE_FULL\""));
      if (what >= n) ++refused;
    }
    CHECK(refused == 100);
    CHECK(stored_ids(node) == acknowledged);
    CHECK(node.one_of(actors::actor_kind::tenant, 0) == tenant); // it never ended
  }
  check_tables(folder.path);
  small_node again(small_node::shard_in(folder.path), {}); // more room now
  CHECK(stored_ids(again) == acknowledged);
  CHECK(has(again.ask(upload(5'000, 100)).get(), "\"version\":1,\"duplicate\":false"));
}

TEST_CASE("actors that fail while their shard is full come back, answer retries and refuse as before") {
  const scratch_folder folder;
  std::set<std::string> acknowledged;
  {
    actors::actor_settings settings;
    settings.restarts_max = 1'000;
    small_node node(bounded(folder.path), settings);
    int n = 0;
    for (const std::size_t bytes : {40'000, 4'000, 10})
      for (int refusals = 0; refusals < 3; ++n)
        if (has(within(node.ask(upload(n, bytes)), 2s), "\"success\":true"))
          acknowledged.insert(fmt::format("t{}", n));
        else
          ++refusals;
    REQUIRE(acknowledged.count("t0") == 1);
    // Some are asked just when it fails, and are told to come again.
    const auto ask_until = [&](const std::string& request, std::string_view wanted) {
      std::string body;
      for (int attempt = 0; attempt < 400 && !has(body, wanted); ++attempt) {
        if (attempt > 0) {
          CHECK_MESSAGE(has(body, "\"retryable\":true"), body);
          std::this_thread::sleep_for(10ms);
        }
        body = within(node.ask(request), 2s);
      }
      CHECK_MESSAGE(has(body, wanted), body);
    };
    for (int round = 0; round < 12; ++round) {
      const auto kind = std::array{actors::actor_kind::tenant, actors::actor_kind::device,
                                   actors::actor_kind::shard_writer}[static_cast<std::size_t>(round) % 3];
      const auto victim = node.one_of(kind, 0);
      REQUIRE(victim != 0);
      node.runtime->fail(victim);
      ask_until(upload(0, 40'000), "\"replayed\":true");
      ask_until(upload(10'000 + round, 40'000), "\"STORAGE_FULL\"");
      ask_until("{ changes(first: 1) { entities { entityId } } }", "\"t0\"");
    }
    CHECK_FALSE(node.fatal);
    CHECK(stored_ids(node) == acknowledged);
  }
  check_tables(folder.path);
}

TEST_CASE("uploads that are refused while others run leave nothing behind, and their retries start anew") {
  const scratch_folder folder;
  std::set<std::string> acknowledged;
  std::set<int> refused;
  std::set<std::string> shown; // to those who read meanwhile
  {
    small_node node(bounded(folder.path), {});
    std::string cursor;
    // Many at a time and of many sizes, so that groups hold both, and small ones fit where large ones do not.
    for (int round = 0; round < 40; ++round) {
      std::vector<std::pair<int, std::future<std::string>>> open;
      std::vector<std::future<std::string>> reads;
      for (int i = 0; i < 32; ++i) {
        const int n = round * 32 + i;
        open.emplace_back(n, node.ask(upload(n, (static_cast<std::size_t>(n) * 7919) % 8 * 7'000 + 10)));
        if (i % 8 == 7 && !cursor.empty())
          reads.push_back(
              node.ask("{ changes(first: 1000, since: \"" + cursor + "\") { entities { entityId } } }"));
      }
      for (auto& [n, answer] : open) {
        const auto body = within(std::move(answer), 5s);
        if (has(body, "\"success\":true,\"replayed\":false")) {
          acknowledged.insert(fmt::format("t{}", n));
        } else {
          CHECK(has(body, "\"STORAGE_FULL\""));
          refused.insert(n);
        }
      }
      for (auto& read : reads)
        for (const auto& id : texts_of(within(std::move(read), 5s), "entityId")) shown.insert(id);
      cursor = texts_of(within(node.ask("{ changes(first: 1000) { cursor } }"), 5s), "cursor").at(0);
    }
    CHECK(node.runtime->counters().queries_near_head > 0);
    CHECK(shown.size() > 10);
    CHECK(std::includes(acknowledged.begin(), acknowledged.end(), shown.begin(), shown.end()));
    CHECK(refused.size() > 100);
    CHECK(acknowledged.size() > 30);
    CHECK(stored_ids(node) == acknowledged);
  }
  check_tables(folder.path);
  small_node again(small_node::shard_in(folder.path), {});
  int retried = 0;
  for (const auto n : refused) {
    CHECK(has(again.ask(upload(n, 10)).get(),
              "\"replayed\":false")); // the key is free: nothing of it was stored
    if (++retried == 50) break;
  }
}

TEST_CASE("a full shard takes acknowledgements, and heals by itself when what expired is swept") {
  const scratch_folder folder;
  int n = 0;
  {
    small_node node(bounded(folder.path), {});
    for (const std::size_t bytes : {40'000, 4'000, 10})
      for (int refusals = 0; refusals < 3; ++n)
        if (!has(within(node.ask(upload(n, bytes)), 2s), "\"success\":true")) ++refusals;
    const auto cursor = texts_of(within(node.ask("{ changes(first: 5) { cursor } }"), 2s), "cursor").at(0);
    // Among uploads that are refused, and alone.
    std::vector<std::future<std::string>> uploads;
    for (int i = 0; i < 50; ++i) uploads.push_back(node.ask(upload(100'000 + i, 10)));
    const auto acknowledged =
        within(node.ask("mutation { acknowledge(deviceId: \"d0\", cursor: \"" + cursor + "\") }"), 2s);
    CHECK_MESSAGE(has(acknowledged, "\"acknowledge\":true"), acknowledged);
    for (auto& one : uploads) CHECK(has(within(std::move(one), 2s), "\"STORAGE_FULL\""));
    const auto device = within(node.ask("{ device(deviceId: \"d0\") { cursor } }"), 2s);
    CHECK_MESSAGE(has(device, cursor), device);
    CHECK(has(within(node.ask(upload(n, 10)), 2s), "\"STORAGE_FULL\""));
  }
  check_tables(folder.path);
  actors::actor_settings settings;
  settings.rules.idempotency_window_ms =
      1'000; // more than a round: what is uploaded now is not swept at once
  settings.sweep_round_ms = 10;
  std::this_thread::sleep_for(1s);
  {
    small_node node(bounded(folder.path), settings);
    const auto end = std::chrono::steady_clock::now() + 20s;
    int stored = 0;
    for (; stored < 20 && std::chrono::steady_clock::now() < end; ++n)
      if (has(within(node.ask(upload(n, 10)), 2s), "\"success\":true"))
        ++stored;
      else
        std::this_thread::sleep_for(20ms);
    CHECK(stored == 20);
    CHECK(node.runtime->counters().swept_rows > 100);
  }
  check_tables(folder.path);
}
