// The shard over real LMDB: crashes at every commit by copying the folder, growth, a disk that is full and
// gets space again, reload while readers hold the old environment, and offline verification.

#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "base/log.hpp"
#include "cluster/check_log.hpp"
#include "cluster/entry_rows.hpp"
#include "cluster/lmdb_storage.hpp"
#include "cluster/shard.hpp"
#include "storage/write_batch.hpp"
#include "tests/cluster/test_rows.hpp"

using namespace mooring;
using namespace mooring::cluster;
using namespace mooring::cluster::testing;
namespace fs = std::filesystem;

namespace {

struct temporary_folder {
  fs::path path;
  explicit temporary_folder(const std::string& name) {
    const auto base = fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
    path = base / ("mooring-" + name + "-" + std::to_string(::getpid()));
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~temporary_folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

storage::environment_options small(const fs::path& folder) {
  storage::environment_options options;
  options.folder = folder;
  options.map_bytes_initial = 1 << 20;
  options.disk_reserve_bytes = 1 << 20;
  options.disk_reserve_share = 0;
  return options;
}

struct lmdb_shard {
  std::shared_ptr<storage::environment> environment;
  manual_clock time{instant{1'000'000}};
  std::unique_ptr<cluster::shard> shard;

  explicit lmdb_shard(const storage::environment_options& where, std::uint64_t entries_max = 4,
                      std::uint64_t part_bytes_min = apply_settings().part_bytes_min) {
    log::set_level(log::level::off);
    shard_options options;
    options.open_storage = make_lmdb_opener(where, [this](const auto& opened) { environment = opened; });
    options.read_rows = read_test_rows;
    options.time = &time;
    options.apply.entries_max = entries_max;
    options.apply.part_bytes_min = part_bytes_min;
    auto opened = shard::open(options);
    REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? std::string() : opened.failure().message));
    shard = std::move(*opened);
  }
  result<log_index> propose(std::string body) {
    std::optional<result<log_index>> outcome;
    shard->propose(std::move(body), [&](result<log_index> got) { outcome = std::move(got); });
    REQUIRE(outcome);
    return *outcome;
  }
  result<void> apply_now() {
    result<void> outcome;
    shard->apply_now([&](result<void> got) { outcome = got; });
    return outcome;
  }
  std::optional<std::string> table(std::string_view rest) {
    const auto reading = environment->begin_read();
    REQUIRE(reading.ok());
    const auto found = reading->get(table_key(rest));
    return found ? std::optional<std::string>(*found) : std::nullopt;
  }
};

// A small file system of its own; `mounted` is false where that is not allowed.
struct small_disk {
  temporary_folder folder;
  bool mounted;
  small_disk(const std::string& name, const char* size)
      : folder(name)
      , mounted(::mount("none", folder.path.c_str(), "tmpfs", 0, size) == 0) {
    if (!mounted) MESSAGE("no right to mount a small file system here: not run");
  }
  ~small_disk() {
    if (mounted) ::umount2(folder.path.c_str(), MNT_DETACH);
  }
  // Somebody else takes everything that is free.
  void fill() const {
    std::ofstream ballast(folder.path / "ballast", std::ios::binary);
    const std::string block(4096, 'x');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
    REQUIRE(fs::space(folder.path).available == 0);
  }
};

std::string large(char fill) {
  return std::string(60'000, fill);
}

log_report check(const fs::path& folder) {
  auto options = small(folder);
  options.read_only = true;
  auto environment = storage::environment::open(options);
  REQUIRE(environment.ok());
  log_report report;
  REQUIRE(check_log(**environment, read_test_rows, report).ok());
  return report;
}

} // namespace

TEST_CASE(
    "over LMDB, the files after each commit are a shard that holds everything acknowledged until then") {
  temporary_folder live("live"), copy("copy");
  lmdb_shard one(small(live.path));
  std::size_t steps = 0;
  const auto verify = [&](int acknowledged) {
    fs::remove_all(copy.path);
    fs::create_directories(copy.path);
    fs::copy_file(live.path / "data.mdb", copy.path / "data.mdb");
    const auto report = check(copy.path);
    CHECK_MESSAGE(report.problems.empty(), (report.problems.empty() ? std::string() : report.problems[0]));
    lmdb_shard other(small(copy.path));
    for (int i = 0; i < acknowledged; ++i) REQUIRE(other.table("n" + std::to_string(i)) == std::to_string(i));
    CHECK_FALSE(other.table("n" + std::to_string(acknowledged)));
    ++steps;
  };
  verify(0);
  for (int i = 0; i < 30; ++i) {
    REQUIRE(one.propose(one_row("n" + std::to_string(i), std::to_string(i))).ok());
    verify(i + 1);
    if (i % 9 == 0) {
      REQUIRE(one.apply_now().ok());
      verify(i + 1);
    }
  }
  CHECK(steps == 35);
}

TEST_CASE(
    "a backup that is taken between two parts of an apply restores to everything acknowledged until then") {
  temporary_folder live("parts"), copies("parts-copy");
  lmdb_shard one(small(live.path), 8, 200);
  const auto key = [](int i) { return "n" + std::to_string(i * 37 % 1'000); }; // not in the order of the keys
  int between_parts = 0;
  for (int i = 0; i < 120; ++i) {
    REQUIRE(one.propose(one_row(key(i), std::string(200, 'x') + std::to_string(i))).ok());
    // Who reads the running shard sees the tables before the apply or after it: all entries of one, or none.
    log_index seen = 0;
    for (int k = 0; k <= i; ++k)
      if (one.table(key(k))) seen = static_cast<log_index>(k) + 3; // the first entry has index 3
    CHECK((seen == 0 || seen == one.shard->applied_index()));
    for (int k = 0; k + 3 <= static_cast<int>(seen); ++k) REQUIRE(one.table(key(k)));

    const auto folder = copies.path / std::to_string(i);
    fs::create_directories(folder);
    REQUIRE(one.environment->copy_to(folder / "data.mdb").ok());
    auto options = small(folder);
    {
      auto environment = storage::environment::open(options);
      REQUIRE(environment.ok());
      const auto reading = (*environment)->begin_read();
      const auto state = decode_applied(*reading->get(applied_key));
      REQUIRE(state.ok());
      if (state->ahead != 0) ++between_parts;
      CHECK(state->index == one.shard->applied_index());
    }
    CHECK(check(folder).problems.empty());
    lmdb_shard restored(options);
    REQUIRE(restored.shard->is_leader());
    for (int k = 0; k <= i; ++k) REQUIRE(restored.table(key(k)) == std::string(200, 'x') + std::to_string(k));
    restored.shard.reset();
    restored.environment.reset();
    fs::remove_all(folder);
  }
  CHECK(between_parts > 30);
}

TEST_CASE("the map grows by itself while entries and tables grow beyond it") {
  temporary_folder folder("growth");
  lmdb_shard one(small(folder.path));
  for (int i = 0; i < 300; ++i) {
    std::string body;
    for (int k = 0; k < 4; ++k)
      put_row(body, table_key(std::to_string(i) + "/" + std::to_string(k)),
              large(static_cast<char>('a' + k)));
    REQUIRE(one.propose(body).ok());
  }
  REQUIRE(one.apply_now().ok());
  CHECK(one.environment->stats().map_bytes >= 72'000'000);
  CHECK(one.table("299/3") == large('d'));
  one.shard.reset();
  const auto report = [&] {
    one.environment.reset();
    return check(folder.path);
  }();
  CHECK(report.problems.empty());
  CHECK(report.present);
  CHECK(report.applied == report.last);
}

TEST_CASE("a reader that overstays while the map must grow holds the shard up, and does not stop it") {
  temporary_folder folder("overstay");
  auto where = small(folder.path);
  where.grow_wait_ms = 50;
  lmdb_shard one(where);
  auto reading = one.environment->begin_read();
  REQUIRE(reading.ok());
  const auto mapped = [&] { return one.environment->stats().map_bytes; };
  const auto before = mapped();
  std::jthread leaves([&, done = std::move(*reading)]() mutable {
    std::this_thread::sleep_for(std::chrono::milliseconds(120)); // longer than one try
    done.park();
  });
  int proposed = 0;
  for (; proposed < 100 && mapped() == before; ++proposed)
    REQUIRE(one.propose(one_row(std::to_string(proposed), large('a'))).ok());
  leaves.join();
  CHECK(mapped() > before);
  CHECK(one.shard->is_leader());
  CHECK(one.shard->stats().reloads == 0);
  REQUIRE(one.apply_now().ok());
  CHECK(one.table(std::to_string(proposed - 1)) == large('a'));
}

TEST_CASE("a disk that is full refuses proposals, still reads, and heals when space returns") {
  small_disk disk("full", "size=24m");
  if (!disk.mounted) return;
  const auto& folder = disk.folder;
  {
    lmdb_shard one(small(folder.path));
    REQUIRE(one.propose(one_row("a", "1")).ok());
    {
      std::ofstream ballast(folder.path / "ballast", std::ios::binary);
      ballast << std::string(8 << 20, 'x');
    }
    int acknowledged = 0;
    result<log_index> last = log_index{0};
    for (int i = 0; i < 1000 && last; ++i) {
      last = one.propose(one_row("n" + std::to_string(i), large('x')));
      if (last) ++acknowledged;
    }
    REQUIRE_FALSE(last.ok());
    CHECK(last.failure().code == error_code::storage_full);
    CHECK(one.shard->is_leader());
    CHECK(acknowledged > 10);
    CHECK(one.table("a") == "1");

    fs::remove(folder.path / "ballast");
    bool healed = false;
    for (int i = 0; i < 40 && !healed; ++i) {
      ::usleep(50'000); // the room is measured anew every 100 ms
      one.time.advance_ms(200);
      one.shard->tick();
      healed = one.propose(one_row("healed", "yes")).ok();
    }
    CHECK(healed);
    CHECK(one.apply_now().ok());
    for (int i = 0; i < acknowledged; ++i) CHECK(one.table("n" + std::to_string(i)) == large('x'));
    CHECK(one.table("healed") == "yes");
  }
}

TEST_CASE("what was accepted reaches the tables even when others have filled the disk to the last block") {
  small_disk disk("accepted", "size=32m");
  if (!disk.mounted) return;
  auto where = small(disk.folder.path);
  where.disk_reserve_bytes = 4 << 20;
  lmdb_shard one(where, 1'000);
  // Rows all over the table, large and small: nearly all of the second round is pages that are written anew.
  const auto put_round = [&](char fill) {
    for (int i = 0; i < 60; ++i) {
      std::string body;
      for (int k = 0; k < 20; ++k)
        put_row(body, table_key(std::to_string(k * 100 + i)), std::string(300, fill));
      put_row(body, table_key("large" + std::to_string(i % 20)), large(fill));
      REQUIRE(one.propose(body).ok());
    }
  };
  put_round('a');
  REQUIRE(one.apply_now().ok());
  put_round('b');
  REQUIRE(one.shard->stats().pending_entries == 60);
  disk.fill();
  CHECK(one.apply_now().ok());
  CHECK(one.table("759") == std::string(300, 'b'));
  CHECK(one.table("large19") == large('b'));
  one.time.advance_ms(1'000);
  one.shard->tick();
  CHECK(one.shard->is_leader());

  // What is accepted from now on fits into what was kept; then nothing more is, and whoever asks for the
  // tables has them.
  int accepted = 0;
  const auto next = [&] {
    std::optional<result<log_index>> outcome;
    one.shard->propose(one_row("c" + std::to_string(accepted), large('c')),
                       [&](result<log_index> got) { outcome = std::move(got); });
    REQUIRE(outcome.has_value());
    return *outcome;
  };
  auto last = next();
  for (; last && accepted < 1'000; last = next()) ++accepted;
  REQUIRE_FALSE(last.ok());
  CHECK(last.failure().code == error_code::storage_full);
  CHECK(one.apply_now().ok());
  CHECK_FALSE(one.shard->stats().apply_blocked);
  CHECK(one.shard->stats().reloads == 0);
  fs::remove(disk.folder.path / "ballast");
  CHECK(next().ok());
  CHECK(one.apply_now().ok());
  for (int i = 0; i <= accepted; ++i) CHECK(one.table("c" + std::to_string(i)) == large('c'));
  one.shard.reset();
  one.environment.reset();
  CHECK(check(disk.folder.path).problems.empty());
}

TEST_CASE("entries that wait for the tables make room before a new one is refused") {
  small_disk disk("first", "size=32m");
  if (!disk.mounted) return;
  lmdb_shard one(small(disk.folder.path), 1'000);
  int accepted = 0;
  // The same rows again and again: the tables stay small, only what waits in the log grows.
  for (; accepted < 400; ++accepted)
    if (!one.propose(one_row("n" + std::to_string(accepted % 3), large('x')))) break;
  CHECK(accepted == 400);
  CHECK(one.shard->stats().applies > 1);
}

TEST_CASE("the map grows for what was accepted beyond the reserve and its maximum, which only has_room_for "
          "guards") {
  temporary_folder folder("beyond");
  const auto write = [](stable_storage& to, std::size_t bytes) {
    return to.update(bytes, [&](stable_writer& out) -> result<void> {
      for (std::size_t i = 0; i * 50'000 < bytes; ++i)
        if (auto put = out.put("k" + std::to_string(i), std::string(50'000, 'v')); !put) return put;
      return {};
    });
  };
  auto reserved = small(folder.path);
  reserved.disk_reserve_share = 1.0; // no disk has more than all of itself free
  {
    std::shared_ptr<storage::environment> environment = std::move(*storage::environment::open(reserved));
    const auto storage = make_lmdb_storage(environment);
    CHECK_FALSE(storage->has_room_for(1, 1));
    CHECK(write(*storage, 3'000'000).ok());
    CHECK(environment->stats().map_bytes > 3'000'000);
  }
  auto bounded = small(folder.path);
  bounded.map_bytes_max = 8 << 20;
  std::shared_ptr<storage::environment> environment = std::move(*storage::environment::open(bounded));
  const auto storage = make_lmdb_storage(environment);
  CHECK(storage->has_room_for(1'000'000, 2'000'000));
  CHECK_FALSE(storage->has_room_for(1'000'000, 9'000'000));
  CHECK(write(*storage, 12'000'000).ok());
  CHECK_FALSE(storage->has_room_for(1, 6'000'000));
  // Pages that became free count.
  REQUIRE(storage
              ->update(1,
                       [&](stable_writer& out) -> result<void> {
                         for (int i = 0; i < 100; ++i)
                           if (auto removed = out.remove("k" + std::to_string(i)); !removed) return removed;
                         return {};
                       })
              .ok());
  CHECK(storage->has_room_for(1, 6'000'000));
}

TEST_CASE("a write that asks for more than was guessed grows the map until it fits") {
  temporary_folder folder("guess");
  std::shared_ptr<storage::environment> environment =
      std::move(*storage::environment::open(small(folder.path)));
  const auto storage = make_lmdb_storage(environment);
  int runs = 0;
  const auto done = storage->update(10, [&](stable_writer& out) -> result<void> {
    ++runs;
    for (int i = 0; i < 800; ++i)
      if (auto put = out.put("k" + std::to_string(i), std::string(60'000, 'v')); !put) return put;
    return {};
  });
  CHECK(done.ok());
  CHECK(runs > 1);
  CHECK(storage->get("k799").value()->size() == 60'000);
}

TEST_CASE("a reload waits until nobody holds the old environment") {
  temporary_folder folder("reload");
  std::shared_ptr<storage::environment> current;
  auto opener = make_lmdb_opener(small(folder.path), [&](const auto& opened) { current = opened; });
  auto first = opener();
  REQUIRE(first.ok());
  auto reader = current;
  first->reset();
  CHECK(opener().failure().code == error_code::unavailable);
  CHECK_FALSE(current); // the host let go
  reader.reset();
  CHECK(opener().ok());
  CHECK(current);
}

TEST_CASE("an environment that does not open is the opener's failure") {
  CHECK_FALSE(make_lmdb_opener(small("/nowhere/at/all"))().ok());
}

TEST_CASE("verification names each kind of damage") {
  temporary_folder folder("check");
  CHECK_FALSE(check([&] {
                auto made = storage::environment::open(small(folder.path));
                REQUIRE(made.ok());
                return folder.path;
              }())
                  .present);
  log_index last = 0;
  {
    lmdb_shard one(small(folder.path));
    for (int i = 0; i < 3; ++i) REQUIRE(one.propose(one_row("k", std::to_string(i))).ok());
    last = one.shard->last_index();
  }
  const auto well = check(folder.path);
  CHECK(well.problems.empty());
  CHECK(well.last == last);
  CHECK(well.first == 2);
  CHECK(well.term == 1);
  CHECK(well.self == 1);
  CHECK(well.bytes > 0);

  const auto after = [&](auto damage) {
    temporary_folder other("damaged");
    fs::copy_file(folder.path / "data.mdb", other.path / "data.mdb");
    {
      auto environment = storage::environment::open(small(other.path));
      REQUIRE(environment.ok());
      auto writing = (*environment)->begin_write();
      REQUIRE(writing.ok());
      damage(*writing);
      REQUIRE(writing->commit().ok());
    }
    std::string all;
    for (const auto& problem : check(other.path).problems) all += problem + "\n";
    return all;
  };
  using transaction = storage::write_transaction;
  const auto has = [](const std::string& all, const char* part) {
    return all.find(part) != std::string::npos;
  };
  const auto flip = [](transaction& to, std::string_view key) {
    std::string value(*to.get(key));
    value.back() = static_cast<char>(value.back() ^ 1);
    REQUIRE(to.put(key, value).ok());
  };
  CHECK(has(after([&](transaction& to) { flip(to, log_key(4).view()); }),
            "log entry 4: checksum does not match"));
  CHECK(has(after([&](transaction& to) { flip(to, log_key(4).view()); }),
            "log entry 5: the hash chain is broken"));
  CHECK(has(after([&](transaction& to) { flip(to, applied_key); }), "applied index: checksum"));
  CHECK(has(after([&](transaction& to) { flip(to, hard_state_key); }), "term and vote: checksum"));
  CHECK(has(after([&](transaction& to) { flip(to, identity_key); }), "identity: checksum"));
  CHECK(has(after([&](transaction& to) { REQUIRE(to.remove(identity_key).ok()); }),
            "identity: the row is missing"));
  CHECK(has(after([&](transaction& to) { REQUIRE(to.remove(log_key(3).view()).ok()); }),
            "entry 3 was expected, entry 4"));
  CHECK(has(after([&](transaction& to) { REQUIRE(to.put("\x0f", "x").ok()); }), "wrong length"));
  CHECK(has(after([&](transaction& to) {
              REQUIRE(to.put(applied_key, encode_applied({9, 1, 2, 0})).ok());
            }),
            "log: ends at 5, but 9 was applied"));
  CHECK(has(after([&](transaction& to) {
              REQUIRE(to.put(applied_key, encode_applied({3, 2, 2, 0})).ok());
            }),
            "log entry 3: term 1, but it was applied as of term 2"));
  CHECK(has(after([&](transaction& to) {
              REQUIRE(to.put(hard_state_key, encode_hard_state({1, 9})).ok());
            }),
            "vote: node 9 is no member"));
  const auto entry = [](log_term term, const std::string& body) {
    std::string row;
    encode_log_entry(row, 5, {term, entry_type::command, 0, body});
    return row;
  };
  CHECK(has(after([&](transaction& to) { REQUIRE(to.put(log_key(5).view(), entry(1, "junk")).ok()); }),
            "log entry 5: its body does not decode"));
  CHECK(has(after([&](transaction& to) { REQUIRE(to.put(log_key(5).view(), entry(9, "")).ok()); }),
            "log entry 5: term 9 is beyond the stored term 1"));
  CHECK(has(after([&](transaction& to) { REQUIRE(to.put(log_key(5).view(), entry(0, "")).ok()); }),
            "log entry 5: term 0 after term 1"));
}

TEST_CASE("the product's entries are write batches, one after the other") {
  storage::write_batch batch = *storage::write_batch::encode("tenant", {sync::delete_feed_row{7}});
  batch.append(*storage::write_batch::encode("tenant", {sync::put_swept_position{3}}));
  std::vector<row> rows;
  REQUIRE(read_entry_rows(batch.bytes(), rows));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].removed);
  CHECK(rows[0].value.empty());
  CHECK_FALSE(rows[1].removed);
  CHECK_FALSE(rows[1].value.empty());
  CHECK(static_cast<unsigned char>(rows[1].key[0]) == table_tag_first);
  CHECK_FALSE(read_entry_rows(batch.bytes().substr(1), rows));
}
