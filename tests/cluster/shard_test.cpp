#include <malloc.h>

#include "cluster/log_record.hpp"
#include "cluster/message_codec.hpp"
#include "tests/cluster/single_shard.hpp"

using namespace mooring;
using namespace mooring::cluster;
using namespace mooring::cluster::testing;

TEST_CASE("a new shard with one voter leads as soon as it is open") {
  single_shard one;
  one.open();
  CHECK(one.shard->is_leader());
  CHECK(one.shard->can_propose());
  CHECK(one.shard->leader() == 1);
  CHECK(one.shard->term() == 1);
  CHECK(one.events == std::vector<std::string>{"elected", "leading"});
  CHECK(one.shard->last_index() == 2); // the configuration, and the barrier of R2
  CHECK(to_string(one.shard->state()) == "leading");
  CHECK_FALSE(one.shard->failure());
}

TEST_CASE("an acknowledged entry survives a crash, before and after its writes are in the tables") {
  single_shard one;
  one.open();
  const auto index = one.propose(one_row("a", "1"));
  REQUIRE(index.ok());
  CHECK(one.shard->last_acknowledged_index() == *index);
  CHECK(one.shard->committed_index() == *index);
  CHECK(one.shard->applied_index() < *index);
  CHECK_FALSE(one.table("a")); // deferred

  one.crash_and_open();
  CHECK(one.bodies == std::vector<std::string>{one_row("a", "1")}); // replayed from the log
  CHECK(one.shard->applied_index() >= *index); // a leader starts with everything in its tables
  CHECK(one.table("a") == "1");

  one.crash_and_open();
  CHECK(one.bodies.empty()); // and nothing is replayed twice
  CHECK(one.table("a") == "1");
}

TEST_CASE("writes of several entries reach the tables merged: the last one of a key wins") {
  single_shard one;
  one.open();
  auto body = one_row("a", "1");
  put_row(body, table_key("b"), "1");
  put_row(body, table_key("a"), "2");
  REQUIRE(one.propose(body).ok());
  body = one_row("c", "3");
  remove_row(body, table_key("b"));
  REQUIRE(one.propose(body).ok());
  const auto commits = one.commits.size();
  REQUIRE(one.apply_now().ok());
  CHECK(one.commits.size() == commits + 1);
  CHECK(one.commits.back().rows_applied == 3);
  CHECK(one.commits.back().entries == 0);
  CHECK(one.table("a") == "2");
  CHECK_FALSE(one.table("b"));
  CHECK(one.table("c") == "3");
  CHECK(one.shard->applied_index() == one.shard->last_index());
  CHECK(one.disk->rows.size() == 3 + 2); // the log is empty: its small rows and the tables
  REQUIRE(one.apply_now().ok());         // nothing to do, no commit
  CHECK(one.commits.size() == commits + 1);
}

TEST_CASE("an apply that is due rides with the next append") {
  single_shard one;
  one.options.apply.entries_max = 3;
  one.open();
  for (int i = 0; i < 3; ++i) REQUIRE(one.propose(one_row("k" + std::to_string(i), "v")).ok());
  CHECK(one.shard->stats().pending_entries == 3);
  CHECK(one.shard->stats().pending_rows == 3);
  const auto commits = one.commits.size();
  REQUIRE(one.propose(one_row("k3", "v")).ok());
  CHECK(one.commits.size() == commits + 1);
  CHECK(one.commits.back().entries == 1);
  CHECK(one.commits.back().rows_applied == 3);
  CHECK(one.shard->stats().pending_entries == 1);
  CHECK(one.shard->stats().applies_with_append == 1);
  CHECK(one.table("k2") == "v");
  CHECK_FALSE(one.table("k3"));
}

TEST_CASE("a large apply goes into the tables in parts, a little faster than the appends that carry it") {
  single_shard one;
  one.options.apply.bytes_max = 1'000;
  one.options.apply.part_bytes_min = 100;
  one.open();
  const auto key = [](int i) { return "k" + std::to_string(100 + i); };
  for (int i = 0; i < 10; ++i) REQUIRE(one.propose(one_row(key(i), std::string(95, 'x'))).ok());
  const auto before = one.shard->applied_index(), due = one.shard->committed_index();
  REQUIRE(one.propose(one_row("z", std::string(95, 'x'))).ok()); // 100 bytes: two rows of 100
  CHECK(one.commits.back().entries == 1);
  CHECK(one.commits.back().rows_applied == 2);
  CHECK(one.shard->applied_index() == before);
  CHECK(one.shard->stats().pending_entries == 11);
  CHECK(one.table(key(1)));
  CHECK_FALSE(one.table(key(2)));
  REQUIRE(one.disk->view); // what others read meanwhile
  CHECK_FALSE(one.disk->view->contains(table_key(key(0))));
  // Another change of a row that is written already, and one of a row that is not: they wait for the next apply.
  REQUIRE(one.propose(one_row(key(0), "new")).ok());
  REQUIRE(one.propose(one_row(key(9), "new")).ok());
  CHECK(one.table(key(0)) == std::string(95, 'x'));

  SUBCASE("the last part moves the applied index, and then others see all of it") {
    REQUIRE(one.propose(one_row("y", std::string(600, 'x'))).ok());
    CHECK(one.shard->applied_index() == due);
    CHECK_FALSE(one.disk->view);
    CHECK(one.table(key(9)) == std::string(95, 'x'));
    CHECK_FALSE(one.table("z"));
    CHECK(one.shard->stats().pending_entries == 4);
    CHECK(one.shard->stats().applies == 1);
    CHECK(one.shard->stats().apply_parts == 4);
    CHECK(one.seen("applied " + std::to_string(due)));
  }
  SUBCASE("without appends it goes on by itself") {
    one.options.apply.idle_part_bytes = 250;
    for (int i = 0; i < 10 && one.disk->view; ++i) one.pass_ms(5);
    CHECK_FALSE(one.disk->view);
    CHECK(one.table(key(9)) == std::string(95, 'x'));
    one.pass_ms(20);
    CHECK(one.table(key(9)) == "new");
    CHECK(one.shard->stats().pending_entries == 0);
  }
  SUBCASE("who asks gets all of it at once") {
    REQUIRE(one.apply_now().ok());
    CHECK_FALSE(one.disk->view);
    CHECK(one.table(key(0)) == "new");
    CHECK(one.table(key(9)) == "new");
    CHECK(one.table("z"));
    CHECK(one.shard->applied_index() == one.shard->last_index());
  }
  SUBCASE("after a power cut the log makes up for the parts that are missing") {
    const auto row = decode_applied(one.disk->rows.find(applied_key)->second);
    REQUIRE(row.ok());
    CHECK(row->index == before);
    CHECK(row->ahead == due);
    one.crash_and_open();
    CHECK(one.table(key(0)) == "new");
    CHECK(one.table(key(9)) == "new");
    CHECK(one.table("z"));
    CHECK(decode_applied(one.disk->rows.find(applied_key)->second)->ahead == 0);
  }
  SUBCASE("on a full disk it stands still, and goes on when there is room") {
    one.disk->full_unnoticed = true;
    CHECK(one.refusal(one_row("w", "1")) == error_code::storage_full);
    one.pass_ms(200);
    CHECK(one.disk->view);
    one.disk->full_unnoticed = false;
    for (int i = 0; i < 10; ++i) one.pass_ms(100);
    CHECK_FALSE(one.disk->view);
    CHECK(one.table(key(9)) == "new");
    CHECK_FALSE(one.table("w"));
  }
}

TEST_CASE("without a view for the others an apply is made in one piece") {
  single_shard one;
  one.disk->gives_views = false;
  one.options.apply.bytes_max = 1'000;
  one.options.apply.part_bytes_min = 100;
  one.open();
  for (int i = 0; i < 10; ++i)
    REQUIRE(one.propose(one_row("k" + std::to_string(i), std::string(98, 'x'))).ok());
  REQUIRE(one.propose(one_row("z", "1")).ok());
  CHECK(one.commits.back().rows_applied == 10);
  CHECK(one.table("k9"));
  CHECK_FALSE(one.table("z"));
}

TEST_CASE("an apply is due by bytes and by rows as well") {
  for (const bool by_bytes : {true, false}) {
    single_shard one;
    if (by_bytes)
      one.options.apply.bytes_max = 100;
    else
      one.options.apply.rows_max = 2;
    one.open();
    auto body = one_row("a", std::string(60, 'x'));
    put_row(body, table_key("b"), std::string(60, 'x'));
    REQUIRE(one.propose(body).ok());
    REQUIRE(one.propose(one_row("c", "")).ok());
    CHECK(one.table("a"));
    CHECK_FALSE(one.table("c"));
  }
}

TEST_CASE(
    "pending writes go to the tables when the shard is idle, and when they are old although it is not") {
  single_shard one;
  one.options.apply.idle_ms = 20;
  one.options.apply.age_max_ms = 100;
  one.open();
  REQUIRE(one.propose(one_row("a", "1")).ok());
  CHECK(one.shard->next_tick_us() == one.time.monotonic_us() + 20'000);
  one.pass_ms(19);
  CHECK_FALSE(one.table("a"));
  one.pass_ms(1);
  CHECK(one.table("a") == "1");

  REQUIRE(one.propose(one_row("b", "1")).ok());
  for (int i = 0; i < 9; ++i) {
    one.time.advance_ms(10);
    REQUIRE(one.propose(one_row("c", "1")).ok());
    one.shard->tick();
  }
  CHECK_FALSE(one.table("b"));
  one.pass_ms(10);
  CHECK(one.table("b") == "1");
}

TEST_CASE("the log in memory and on disk stays short under load, and an old entry's memory is let go") {
  single_shard one;
  one.options.apply.entries_max = 10;
  one.open();
  for (int i = 0; i < 1000; ++i)
    REQUIRE(one.propose(one_row("k" + std::to_string(i % 50), std::to_string(i))).ok());
  std::size_t log_rows = 0;
  for (const auto& [key, value] : one.disk->rows) log_rows += index_of_log_key(key) != 0 ? 1 : 0;
  CHECK(log_rows <= 11);
  CHECK(one.shard->stats().log_bytes < 1000);
  one.crash_and_open();
  for (int i = 950; i < 1000; ++i) CHECK(one.table("k" + std::to_string(i % 50)) == std::to_string(i));
}

TEST_CASE("large entries do not pile up in memory") {
  single_shard one;
  one.options.observer = nullptr; // which would keep all bodies
  one.open();
  std::string body;
  for (int i = 0; i < 16; ++i) put_row(body, table_key(std::to_string(i)), std::string(60'000, 'x'));
  const auto before = mallinfo2().uordblks;
  for (int i = 0; i < 300; ++i) REQUIRE(one.propose(body).ok());
  const auto after = mallinfo2().uordblks;
  CHECK(after < before + (48u << 20)); // of 288 MB proposed
}

TEST_CASE("a proposal that cannot be is refused with the reason, and nothing is written") {
  single_shard one;
  one.options.entry_bytes_max = 1000;
  one.open();
  const auto commits = one.disk->commits;
  CHECK(one.refusal(one_row("a", std::string(1000, 'x'))) == error_code::payload_too_large);
  CHECK(one.refusal("x") == error_code::internal);
  std::string body;
  put_row(body,
          "\x0f"
          "12345678",
          "a log row");
  CHECK(one.refusal(body) == error_code::internal);
  CHECK(one.disk->commits == commits);
  CHECK(one.shard->stats().proposals_refused == 3);
  CHECK(one.propose("").ok()); // no rows is fine
  CHECK(one.apply_now().ok());
}

TEST_CASE(
    "R5: with the disk full, proposals are refused before raft, and accepted again when space returns") {
  single_shard one;
  one.open();
  REQUIRE(one.propose(one_row("a", "1")).ok());
  one.disk->full = true;
  CHECK(one.refusal(one_row("b", "1")) == error_code::storage_full);
  CHECK(one.apply_now().failure().code == error_code::storage_full);
  CHECK(one.shard->stats().apply_blocked);
  CHECK(one.refusal(one_row("b", "1")) == error_code::storage_full);
  CHECK(one.shard->is_leader());
  CHECK(one.shard->committed_index() == one.shard->last_index()); // nothing half done
  one.pass_ms(1000);
  CHECK_FALSE(one.table("a"));

  one.disk->full = false;
  one.pass_ms(1000);
  CHECK(one.table("a") == "1"); // what was acknowledged was not lost
  CHECK_FALSE(one.shard->stats().apply_blocked);
  CHECK(one.propose(one_row("b", "1")).ok());
}

TEST_CASE("R5: upkeep may use the disk's reserve, and stops only where nothing can be written") {
  single_shard one;
  one.open();
  one.disk->at_reserve = true;
  CHECK(one.refusal(one_row("a", "1")) == error_code::storage_full);
  CHECK(one.propose(one_row("b", "1"), cluster::shard::purpose::upkeep).ok());
  CHECK(one.apply_now().ok());
  CHECK(one.table("b") == "1");
  one.disk->full = true;
  const auto refused = one.propose(one_row("c", "1"), cluster::shard::purpose::upkeep);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == error_code::storage_full);
  one.disk->full = one.disk->at_reserve = false;
  CHECK(one.propose(one_row("a", "1")).ok());
}

TEST_CASE("a disk that fills between the check and the append refuses that proposal cleanly") {
  single_shard one;
  one.options.apply.entries_max = 1;
  one.open();
  REQUIRE(one.propose(one_row("a", "1")).ok()); // due, so the next append would carry it
  one.disk->full_unnoticed = true;
  const auto last = one.shard->last_index();
  CHECK(one.refusal(one_row("b", "1")) == error_code::storage_full);
  CHECK(one.shard->last_index() == last);
  CHECK(one.shard->is_leader());
  one.disk->full_unnoticed = false;
  REQUIRE(one.propose(one_row("c", "1")).ok());
  REQUIRE(one.apply_now().ok());
  one.crash_and_open();
  CHECK(one.table("a") == "1");
  CHECK_FALSE(one.table("b"));
  CHECK(one.table("c") == "1");
}

TEST_CASE("R5: after a failed commit the shard stops, tells its caller that the outcome is unknown, and "
          "loads again") {
  for (const bool lands : {false, true}) {
    single_shard one;
    one.open();
    REQUIRE(one.propose(one_row("a", "1")).ok());
    one.disk->fails_after = 0;
    one.disk->failed_commit_lands = lands;
    CHECK(one.refusal(one_row("b", "1")) == error_code::unavailable);
    CHECK(one.shard->state() == shard_state::stopped);
    CHECK(one.shard->failure()->message == "the disk of the test failed");
    CHECK(one.seen("stopped"));
    CHECK(one.seen("stepped down"));
    CHECK(one.refusal(one_row("c", "1")) == error_code::unavailable);
    CHECK(one.apply_now().failure().code == error_code::unavailable);
    CHECK(one.shard->applied_index() == 0);
    CHECK_FALSE(one.shard->leader());
    CHECK(one.shard->term() == 0);

    one.pass_ms(one.options.reload_backoff_ms - 1);
    CHECK(one.shard->state() == shard_state::stopped);
    one.pass_ms(1);
    CHECK(one.shard->is_leader());
    CHECK(one.seen("reloaded"));
    CHECK_FALSE(one.shard->failure());
    CHECK(one.table("a") == "1");
    CHECK(one.table("b").has_value() == lands); // wholly there or wholly absent
    CHECK(one.propose(one_row("c", "1")).ok());
  }
}

TEST_CASE("a shard that cannot be loaded again keeps trying, and reload() does not wait") {
  single_shard one;
  one.open();
  one.disk->fails_after = 0;
  CHECK(one.refusal(one_row("b", "1")) == error_code::unavailable);
  one.disk->fails_after = 0; // the barrier of the new life
  CHECK_FALSE(one.shard->reload().ok());
  CHECK(one.shard->state() == shard_state::stopped);
  CHECK(one.shard->next_tick_us() > one.time.monotonic_us());
  one.disk->fails_after = 0;
  one.pass_ms(one.options.reload_backoff_ms);
  CHECK(one.shard->state() == shard_state::stopped);
  CHECK(one.shard->reload().ok());
  CHECK(one.shard->is_leader());
  CHECK(one.shard->reload().ok()); // of a running shard: nothing happens
  CHECK(one.shard->stats().reloads == 3);
}

TEST_CASE("a failing apply stops the shard as well, and loses nothing") {
  for (const bool lands : {false, true}) {
    single_shard one;
    one.open();
    REQUIRE(one.propose(one_row("a", "1")).ok());
    one.disk->fails_after = 0;
    one.disk->failed_commit_lands = lands;
    one.pass_ms(1000); // idle
    CHECK(one.shard->state() == shard_state::stopped);
    CHECK(one.shard->reload().ok());
    CHECK(one.table("a") == "1");
  }
}

TEST_CASE("a crash at any commit leaves what was acknowledged, and either all or nothing of the rest") {
  for (std::uint64_t fails_at = 0; fails_at < 40; ++fails_at)
    for (const bool lands : {false, true}) {
      single_shard one;
      one.options.apply.entries_max = 3;
      one.open();
      one.disk->fails_after = fails_at;
      one.disk->failed_commit_lands = lands;
      int acknowledged = 0;
      int proposed = 0;
      while (one.shard->state() != shard_state::stopped) {
        const auto number = std::to_string(proposed++);
        auto body = one_row("n" + number, number);
        put_row(body, table_key("last"), number);
        if (one.propose(body).ok()) acknowledged = proposed;
        if (proposed % 7 == 0) static_cast<void>(one.apply_now());
      }
      one.crash_and_open();
      REQUIRE(one.apply_now().ok());
      for (int i = 0; i < acknowledged; ++i) REQUIRE(one.table("n" + std::to_string(i)) == std::to_string(i));
      const int last = one.table("last") ? std::stoi(*one.table("last")) : -1;
      CHECK(last + 1 >= acknowledged);
      for (int i = 0; i < proposed; ++i)
        REQUIRE(one.table("n" + std::to_string(i)).has_value() == (i <= last));
    }
}

TEST_CASE("a completion may propose again at once") {
  single_shard one;
  one.open();
  int left = 5;
  std::function<void(result<log_index>)> next = [&](result<log_index> outcome) {
    REQUIRE(outcome.ok());
    if (left-- > 0) one.shard->propose(one_row("k", std::to_string(left)), next);
  };
  one.shard->propose(one_row("k", "first"), next);
  CHECK(one.shard->stats().entries == 1 + 6); // with the barrier
}

TEST_CASE("files of another shard, generation or node, or with other members, are not opened") {
  single_shard one;
  one.open();
  one.shard.reset();
  const auto refuses = [&](auto change) {
    auto options = one.options;
    change(options);
    const auto opened = shard::open(options);
    return !opened.ok() &&
           opened.failure().message.find("these files belong to shard 0") != std::string::npos;
  };
  CHECK(refuses([](shard_options& o) { o.members.shard = 1; }));
  CHECK(refuses([](shard_options& o) { o.members.generation = 2; }));
  CHECK(refuses([](shard_options& o) { o.members.voters[0].address = "elsewhere"; }));
  CHECK(refuses([](shard_options& o) { o.self = o.members.voters[0].id = 2; }));
}

TEST_CASE("an empty folder becomes a replica only when that is allowed") {
  single_shard one;
  one.options.bootstrap = false;
  CHECK(shard::open(one.options).failure().code == error_code::not_found);
  one.options.bootstrap = true;
  one.disk->full = true;
  CHECK(shard::open(one.options).failure().code == error_code::storage_full);
}

TEST_CASE("a stored replica on a full disk opens stopped, and leads as soon as there is room") {
  single_shard one;
  one.open();
  REQUIRE(one.propose(one_row("k", "1")).ok());
  one.shard.reset();
  one.disk->full = true;
  one.open();
  CHECK(one.shard->state() == shard_state::stopped);
  CHECK(one.shard->failure()->code == error_code::storage_full);
  CHECK(one.refusal(one_row("k", "2")) == error_code::unavailable);
  for (int tries = 0; tries < 10; ++tries) { // each a little later than the one before
    one.pass_ms(one.options.reload_backoff_max_ms);
    CHECK(one.shard->state() == shard_state::stopped);
  }
  one.disk->full = false;
  one.pass_ms(one.options.reload_backoff_max_ms);
  CHECK(one.shard->is_leader());
  CHECK(one.propose(one_row("k", "2")).ok());
}

TEST_CASE("a storage that does not open is the caller's error") {
  single_shard one;
  one.options.open_storage = []() -> result<std::unique_ptr<stable_storage>> {
    return error{error_code::internal, "no such folder"};
  };
  CHECK(shard::open(one.options).failure().message == "no such folder");
}

TEST_CASE("damage is found at load, wherever it is") {
  single_shard one;
  one.open();
  for (int i = 0; i < 3; ++i) REQUIRE(one.propose(one_row("k", std::to_string(i))).ok());
  one.shard.reset();
  const auto rows = one.disk->rows;
  for (const auto& [key, value] : rows) {
    if (static_cast<unsigned char>(key[0]) >= table_tag_first) continue;
    for (const std::size_t at : {std::size_t{0}, value.size() / 2, value.size() - 1}) {
      one.disk->rows = rows;
      one.disk->rows[key][at] = static_cast<char>(value[at] ^ 0x10);
      CHECK_FALSE(shard::open(one.options).ok());
    }
    if (index_of_log_key(key) == 5) continue; // the last entry: an older state of the disk, not a damaged one
    one.disk->rows = rows;
    one.disk->rows.erase(key);
    CHECK_FALSE(shard::open(one.options).ok());
  }
  one.disk->rows = rows;
  CHECK(shard::open(one.options).ok());
}

TEST_CASE("options that cannot work are refused with the option's name") {
  const auto message = [](auto change) {
    single_shard one;
    change(one.options);
    const auto opened = shard::open(one.options);
    return opened.ok() ? std::string("opened") : opened.failure().message;
  };
  using o = shard_options;
  CHECK(message([](o&) {}) == "opened");
  CHECK(message([](o& x) { x.self = 0; }).find("self") != std::string::npos);
  CHECK(message([](o& x) { x.self = 2; }).find("no member") != std::string::npos);
  CHECK(message([](o& x) { x.members.voters.clear(); }).find("members") != std::string::npos);
  CHECK(message([](o& x) { x.members.voters.push_back({1, "b"}); }).find("distinct") != std::string::npos);
  CHECK(message([](o& x) { x.members.voters.push_back({2, ""}); }).find("address") != std::string::npos);
  CHECK(message([](o& x) {
          x.members.voters.push_back({2, std::string("a\0b", 3)});
        }).find("zero byte") != std::string::npos);
  CHECK(message([](o& x) { x.members.voters.push_back({2, "b"}); }).find("transport") != std::string::npos);
  CHECK(message([](o& x) { x.open_storage = {}; }).find("open_storage") != std::string::npos);
  CHECK(message([](o& x) { x.read_rows = nullptr; }).find("read_rows") != std::string::npos);
  CHECK(message([](o& x) { x.heartbeat_ms = 1000; }).find("heartbeat_ms") != std::string::npos);
  CHECK(message([](o& x) { x.install_snapshot_timeout_ms = 0; }).find("install_snapshot") !=
        std::string::npos);
  CHECK(message([](o& x) { x.entry_bytes_max = 0; }).find("entry_bytes_max") != std::string::npos);
  CHECK(message([](o& x) { x.snapshot_threshold = 0; }).find("snapshot_threshold") != std::string::npos);
  CHECK(message([](o& x) { x.apply.rows_max = 0; }).find("apply") != std::string::npos);
  CHECK(message([](o& x) { x.apply.idle_ms = -1; }).find("negative") != std::string::npos);
}

TEST_CASE("a shard without observer runs by the machine's clock") {
  single_shard one;
  one.options.observer = nullptr;
  one.options.time = nullptr;
  one.open();
  CHECK(one.propose(one_row("a", "1")).ok());
  one.shard->tick();
  CHECK(one.shard->options().time == &system_clock());
  CHECK(one.shard->stats().commit_micros >= 0);
}

TEST_CASE("junk from the network is counted and changes nothing") {
  single_shard one;
  one.open();
  one.shard->receive("junk");
  one.shard->receive(encode({0, 1, 2, 1, append_entries{9, 5, 5, 5, {}}}));
  CHECK(one.shard->stats().messages_refused == 2);
  CHECK(one.shard->is_leader());
  CHECK(one.shard->term() == 1);
}
