#include "storage/environment.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> keys_from(const read_transaction& snapshot, std::string_view from) {
  std::vector<std::string> keys;
  snapshot.scan(from, [&](auto key, auto) {
    keys.emplace_back(key);
    return true;
  });
  return keys;
}

std::vector<std::string> keys_before(const read_transaction& snapshot, std::string_view before) {
  std::vector<std::string> keys;
  snapshot.scan_backwards(before, [&](auto key, auto) {
    keys.emplace_back(key);
    return true;
  });
  return keys;
}

using names = std::vector<std::string>;

} // namespace

TEST_CASE("rows are read back, in the order of their keys, in both directions") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  auto transaction = good(env->begin_write());
  for (const auto* key : {"b", "d", "a", "c"}) good(transaction.put(key, std::string("value of ") + key));
  CHECK(transaction.get("c") == "value of c");
  CHECK(!transaction.get("x"));
  int seen = 0;
  transaction.scan("b", [&](auto, auto) { return ++seen < 2; });
  CHECK(seen == 2);
  good(transaction.commit());

  const auto snapshot = good(env->begin_read());
  CHECK(snapshot.get("a") == "value of a");
  CHECK(!snapshot.get("aa"));
  for (const auto* key : {"b", "c", "aa", "a", "d"})
    CHECK(snapshot.get_near(key).has_value() == (std::string_view(key) != "aa"));
  CHECK(keys_from(snapshot, "") == names{"a", "b", "c", "d"});
  CHECK(keys_from(snapshot, "bb") == names{"c", "d"});
  CHECK(keys_from(snapshot, "e").empty());
  CHECK(keys_before(snapshot, "c") == names{"b", "a"});
  CHECK(keys_before(snapshot, "zzz") == names{"d", "c", "b", "a"});
  CHECK(keys_before(snapshot, "a").empty());
  CHECK(keys_before(snapshot, "").empty());
  CHECK(!snapshot.failure());
}

TEST_CASE("a scan inside a scan has its own place") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  auto transaction = good(env->begin_write());
  for (const auto* key : {"a", "b", "c"}) good(transaction.put(key, "x"));
  good(transaction.commit());
  const auto snapshot = good(env->begin_read());
  std::string walked;
  snapshot.scan("", [&](auto outer, auto) {
    snapshot.scan("", [&](auto inner, auto) {
      walked.append(outer).append(inner).append(" ");
      return true;
    });
    return true;
  });
  CHECK(walked == "aa ab ac ba bb bc ca cb cc ");
}

TEST_CASE("what is not committed is rolled back, what is committed stays") {
  scratch_folder folder;
  {
    const auto env = open_environment(folder.path());
    put_row(*env, "kept", "1");
    {
      auto transaction = good(env->begin_write());
      good(transaction.put("lost", "1"));
      CHECK(good(transaction.remove("kept")));
      CHECK(!good(transaction.remove("never there")));
      good(transaction.put("lost too", "1"));
    }
  }
  const auto env = open_environment(folder.path());
  const auto snapshot = good(env->begin_read());
  CHECK(keys_from(snapshot, "") == names{"kept"});
}

TEST_CASE("a snapshot does not move until it is renewed") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  put_row(*env, "k", "old");
  auto snapshot = good(env->begin_read());
  CHECK(snapshot.current());
  put_row(*env, "k", "new");
  CHECK(snapshot.get("k") == "old");
  CHECK(snapshot.get_near("k") == "old");
  CHECK(keys_from(snapshot, "") == names{"k"});
  good(snapshot.renew());
  CHECK(snapshot.get("k") == "new");
  CHECK(snapshot.get_near("k") == "new");
  CHECK(keys_from(snapshot, "") == names{"k"}); // the kept cursor moves along
  snapshot.park();
  snapshot.park();
  CHECK(!snapshot.current());
  CHECK(env->stats().readers == 0);
  good(snapshot.renew());
  CHECK(env->stats().readers == 1);
  auto moved = std::move(snapshot);
  CHECK(moved.get("k") == "new");
  read_transaction none;
  CHECK(!none.current());
  CHECK(!none.renew());
  CHECK(!none.failure());
  none = std::move(moved);
  CHECK(none.get("k") == "new");
}

TEST_CASE("values of several megabytes are normal") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  std::string large(5'000'000, 'x');
  large.back() = 'y';
  put_row(*env, "large", large);
  const auto snapshot = good(env->begin_read());
  CHECK(snapshot.get("large") == large);
}

TEST_CASE("a full map says storage_full, and after growing the same writes fit") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.map_bytes_initial = 256 << 10;
  const auto env = good(environment::open(options));
  const auto room = env->map_room();
  CHECK(room > 0);
  CHECK(room < (256 << 10));
  const std::string value(100'000, 'v');
  const auto fill = [&]() -> result<void> {
    auto transaction = good(env->begin_write());
    for (int i = 0; i < 10; ++i)
      if (auto put = transaction.put("key " + std::to_string(i), value); !put) return put;
    return transaction.commit();
  };
  const auto full = fill();
  REQUIRE(!full);
  CHECK(full.failure().code == error_code::storage_full);
  put_row(*env, "small", "still fits");
  good(env->grow(2'000'000));
  CHECK(env->map_room() >= 2'000'000);
  good(fill());
  const auto snapshot = good(env->begin_read());
  CHECK(snapshot.get("key 9") == value);
  CHECK(snapshot.get("small") == "still fits");
}

TEST_CASE("the map never grows beyond its maximum") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.map_bytes_initial = 1 << 20;
  options.map_bytes_max = 3 << 20;
  const auto env = good(environment::open(options));
  good(env->grow(1));
  CHECK(env->stats().map_bytes == 2 << 20);
  good(env->grow(1));
  CHECK(env->stats().map_bytes == 3 << 20);
  const auto full = env->grow(1);
  REQUIRE(!full);
  CHECK(full.failure().code == error_code::storage_full);
}

TEST_CASE("growing waits for readers, who wait for it in turn, and nobody sees a torn map") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.map_bytes_initial = 1 << 20;
  const auto env = good(environment::open(options));
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> rounds{0};
  std::atomic<int> mismatches{0};
  put_row(*env, "a", std::string(1000, '0'));
  put_row(*env, "b", std::string(1000, '0'));
  std::vector<std::thread> readers;
  for (int n = 0; n < 3; ++n)
    readers.emplace_back([&] {
      auto snapshot = good(env->begin_read());
      while (!stop) {
        const auto a = snapshot.get("a"), b = snapshot.get("b");
        if (!a || !b || *a != *b) ++mismatches;
        snapshot.park();
        ++rounds;
        good(snapshot.renew());
      }
    });
  std::uint64_t map = 0;
  for (int n = 1; n <= 8; ++n) {
    good(env->grow(1 << 20));
    CHECK(env->stats().map_bytes > map);
    map = env->stats().map_bytes;
    auto transaction = good(env->begin_write());
    const std::string value(1000, static_cast<char>('0' + n));
    good(transaction.put("a", value));
    good(transaction.put("b", value));
    good(transaction.commit());
  }
  while (rounds < 100) std::this_thread::yield();
  stop = true;
  for (auto& reader : readers) reader.join();
  CHECK(mismatches == 0);
}

TEST_CASE("a reader that overstays delays growth and never deadlocks it") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.grow_wait_ms = 50;
  options.reader_age_max_ms = 20;
  const auto env = good(environment::open(options));
  auto overdue = good(env->begin_read());
  const auto refused = env->grow(1);
  REQUIRE(!refused);
  CHECK(refused.failure().code == error_code::unavailable);
  CHECK(env->stats().readers_overdue == 1);
  // The gate is open again.
  CHECK(good(env->begin_read()).current());
  std::thread leaves([&] {
    std::this_thread::sleep_for(10ms);
    overdue.park();
  });
  const auto grown = env->grow(1);
  leaves.join();
  CHECK(grown.ok());
  CHECK(env->stats().readers_overdue == 0);
}

TEST_CASE(
    "a thread with a snapshot asks for figures while the map wants to grow, and nobody waits for the other") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.grow_wait_ms = 5'000;
  const auto env = good(environment::open(options));
  put_row(*env, "key", "value");
  const auto before = env->stats();
  auto reading = good(env->begin_read());
  std::atomic<bool> grown{false};
  std::thread writer([&] {
    good(env->grow(1));
    grown = true;
  });
  std::this_thread::sleep_for(50ms);
  const auto meanwhile = env->stats();
  CHECK_FALSE(grown);
  CHECK(meanwhile.entries == 1);
  CHECK(meanwhile.map_bytes == before.map_bytes);
  reading.park();
  writer.join();
  CHECK(env->stats().map_bytes > before.map_bytes);
}

TEST_CASE("the disk's reserve is respected") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.disk_reserve_share = 1.0; // no disk has more than all of itself free
  const auto env = good(environment::open(options));
  CHECK(!env->has_room_for(1));
  const auto refused = env->grow(1);
  REQUIRE(!refused);
  CHECK(refused.failure().code == error_code::storage_full);
}

TEST_CASE("room is granted up to what is free, also within the time that the answer is cached") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  const auto free = env->stats().disk_free_bytes;
  REQUIRE(free > 0);
  CHECK(env->has_room_for(1));
  CHECK(env->has_room_for(free / 4));
  CHECK(!env->has_room_for(free * 4));
  CHECK(!env->has_room_for(UINT64_MAX));
  CHECK(env->has_room_for(1)); // a refusal uses nothing up
}

TEST_CASE("a copy is the snapshot of its moment, while writing and growing go on") {
  scratch_folder folder, copies;
  auto options = options_for(folder.path());
  options.map_bytes_initial = 1 << 20;
  const auto env = good(environment::open(options));
  for (int i = 0; i < 50; ++i) put_row(*env, "key " + std::to_string(100 + i), std::string(5000, 'v'));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      if (i % 20 == 0) good(env->grow(1 << 20)); // not held up by the copy
      put_row(*env, "key " + std::to_string(100 + i % 50), std::string(5000, 'w'));
    }
  });
  for (int n = 0; n < 5; ++n) {
    const auto to = copies.path() / std::to_string(n);
    std::filesystem::create_directory(to);
    good(env->copy_to(to / "data.mdb"));
  }
  stop = true;
  writer.join();
  for (int n = 0; n < 5; ++n) {
    const auto copy = open_environment(copies.path() / std::to_string(n));
    const auto snapshot = good(copy->begin_read());
    CHECK(keys_from(snapshot, "").size() == 50);
  }
  const auto again = env->copy_to(copies.path() / "0" / "data.mdb");
  REQUIRE(!again); // never over something that is there
  CHECK(again.failure().message.find("File exists") != std::string::npos);
  CHECK(env->stats().readers == 0);
}

TEST_CASE("an environment is opened once in a process, and again after it was closed") {
  scratch_folder folder;
  {
    const auto env = open_environment(folder.path());
    const auto second = environment::open(options_for(folder.path()));
    REQUIRE(!second);
    CHECK(second.failure().code == error_code::unavailable);
    CHECK(second.failure().message.find("open in this process already") != std::string::npos);
    CHECK(env->folder() == folder.path());
  }
  CHECK(open_environment(folder.path()));
}

TEST_CASE("what cannot be opened says why") {
  scratch_folder folder;
  CHECK(environment::open(options_for(folder.path() / "missing")).failure().code == error_code::not_found);
  std::ofstream(folder.path() / "file") << "x";
  CHECK(environment::open(options_for(folder.path() / "file")).failure().code == error_code::not_found);
  std::filesystem::create_directory(folder.path() / "garbage");
  std::ofstream(folder.path() / "garbage" / "data.mdb") << std::string(10'000, 'x');
  const auto garbage = environment::open(options_for(folder.path() / "garbage"));
  REQUIRE(!garbage);
  CHECK(garbage.failure().code == error_code::internal);
  auto options = options_for(folder.path() / "garbage");
  std::filesystem::remove(folder.path() / "garbage" / "data.mdb");
  options.read_only = true;
  CHECK(!environment::open(options)); // reading makes nothing
}

TEST_CASE("parked and leftover read transactions survive their environment") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.reader_age_max_ms = 30;
  auto env = good(environment::open(options));
  put_row(*env, "k", "v");
  auto parked = good(env->begin_read());
  CHECK(keys_from(parked, "").size() == 1); // it keeps a cursor
  parked.park();
  auto leftover = good(env->begin_read());
  env.reset(); // waits 30 ms, then leaves the closing to the leftover
  CHECK(leftover.get("k") == "v");
  const auto refused = parked.renew();
  REQUIRE(!refused);
  CHECK(refused.failure().code == error_code::unavailable);
  CHECK(!environment::open(options)); // still open
  { const auto gone = std::move(leftover); }
  CHECK(!environment::open(options)); // the parked one holds a share
  { const auto gone = std::move(parked); }
  env = good(environment::open(options));

  auto other = good(env->begin_read());
  CHECK(keys_from(other, "").size() == 1);
  other.park();
  env.reset(); // nobody reads: closed at once
  env = good(environment::open(options));
  CHECK(!other.renew());
}

TEST_CASE("more readers than slots is an error that passes") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.readers_max = 4;
  const auto env = good(environment::open(options));
  std::vector<read_transaction> readers;
  std::optional<error> refused;
  for (int i = 0; i < 200 && !refused; ++i) {
    auto one = env->begin_read();
    if (one)
      readers.push_back(std::move(*one));
    else
      refused = one.failure();
  }
  REQUIRE(refused);
  CHECK(refused->code == error_code::unavailable);
  readers.clear();
  CHECK(env->begin_read().ok());
}

TEST_CASE("a slot left by a killed process is taken back") {
  scratch_folder folder;
  put_row(*open_environment(folder.path()), "k", "v");
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) { // no environment is open in the parent: this is no fork of one
    auto env = environment::open(options_for(folder.path()));
    auto reader = env ? (*env)->begin_read() : result<read_transaction>(env.failure());
    ::_exit(reader ? 0 : 1); // as dead as by a signal: nothing is cleaned up
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  const auto env = open_environment(folder.path());
  env->check_readers();
  CHECK(env->stats().readers == 0);
  // The dead reader's snapshot does not keep pages: rewriting does not make the file grow without end.
  for (int i = 0; i < 50; ++i) put_row(*env, "k", std::string(50'000, static_cast<char>('a' + i % 26)));
  CHECK(env->stats().file_bytes < 1'000'000);
}

TEST_CASE("stats tell sizes, rows and free pages") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  for (int i = 0; i < 20; ++i) put_row(*env, "key " + std::to_string(i), std::string(10'000, 'v'));
  const auto before = env->stats();
  CHECK(before.entries == 20);
  CHECK(before.map_bytes == 64 << 20);
  CHECK(before.file_bytes > 200'000);
  CHECK(before.page_bytes == 4096);
  auto transaction = good(env->begin_write());
  for (int i = 0; i < 20; ++i) CHECK(good(transaction.remove("key " + std::to_string(i))));
  good(transaction.commit());
  const auto after = env->stats();
  CHECK(after.entries == 0);
  CHECK(after.free_pages >= before.free_pages + 50);
}

TEST_CASE("a file that was cut off is damage that is told, not a crash") {
  scratch_folder folder;
  {
    const auto env = open_environment(folder.path());
    auto transaction = good(env->begin_write());
    for (int i = 0; i < 2000; ++i) good(transaction.put("key " + std::to_string(i), std::string(200, 'v')));
    good(transaction.commit());
  }
  const auto data = folder.path() / "data.mdb";
  std::filesystem::resize_file(data, std::filesystem::file_size(data) / 8);
  const auto env = open_environment(folder.path());
  auto snapshot = good(env->begin_read());
  std::size_t rows = 0;
  snapshot.scan("", [&](auto, auto) { return ++rows > 0; });
  CHECK(rows < 2000);
  bool missing = false;
  for (int i = 0; i < 2000 && !missing; ++i) missing = !snapshot.get("key " + std::to_string(i));
  CHECK(missing);
  REQUIRE(snapshot.failure());
  CHECK(snapshot.failure()->code == error_code::internal);

  auto transaction = good(env->begin_write());
  transaction.scan("", [](auto, auto) { return true; });
  for (int i = 0; i < 2000 && !transaction.failure(); ++i) transaction.get("key " + std::to_string(i));
  REQUIRE(transaction.failure());
  CHECK(!transaction.put("k", "v")); // nothing is built upon damage
  CHECK(!transaction.remove("k"));
  CHECK(!transaction.commit());
}

TEST_CASE("a random run of writes agrees with a map") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.map_bytes_initial = 128 << 10;
  auto env = good(environment::open(options));
  std::map<std::string, std::string> model;
  random_rows random(7);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::pair<std::string, std::optional<std::string>>> changes;
    for (int i = 0; i < 40; ++i) {
      const auto key = "k" + std::to_string(random.below(300));
      if (random.below(3) == 0)
        changes.emplace_back(key, std::nullopt);
      else
        changes.emplace_back(key, random.bytes(random.below(20) == 0 ? 9000 : 300));
    }
    for (;;) { // a full map: roll back, grow, redo
      auto transaction = good(env->begin_write());
      result<void> outcome;
      for (const auto& [key, value] : changes) {
        if (value)
          outcome = transaction.put(key, *value);
        else if (auto removed = transaction.remove(key); !removed)
          outcome = removed.failure();
        if (!outcome) break;
      }
      if (outcome) outcome = transaction.commit();
      if (outcome) break;
      REQUIRE(outcome.failure().code == error_code::storage_full);
      { const auto rolled_back = std::move(transaction); }
      good(env->grow(1));
    }
    for (const auto& [key, value] : changes) {
      if (value)
        model[key] = *value;
      else
        model.erase(key);
    }
    if (round % 20 == 19) {
      env.reset();
      env = good(environment::open(options));
    }
    const auto snapshot = good(env->begin_read());
    auto expected = model.begin();
    bool same = true;
    snapshot.scan("", [&](auto key, auto value) {
      same = same && expected != model.end() && expected->first == key && expected->second == value;
      if (expected != model.end()) ++expected;
      return true;
    });
    CHECK(same);
    CHECK(expected == model.end());
  }
}

TEST_CASE(
    "a commit that the disk refuses fails, and after opening again everything committed before is there") {
  scratch_folder folder;
  auto env = open_environment(folder.path());
  put_row(*env, "kept", std::string(20'000, 'k'));
  // A limit on the file's size stands in for a full disk: the same write(2) fails.
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = env->stats().file_bytes + 16'384;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
  result<void> outcome;
  {
    auto transaction = good(env->begin_write());
    for (int i = 0; i < 50; ++i) good(transaction.put("lost " + std::to_string(i), std::string(20'000, 'l')));
    outcome = transaction.commit();
  }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  REQUIRE(!outcome);
  CHECK(outcome.failure().code == error_code::internal);
  CHECK(good(env->begin_read()).get("kept")->size() == 20'000); // reads go on
  env.reset();
  env = open_environment(folder.path());
  {
    const auto snapshot = good(env->begin_read());
    CHECK(keys_from(snapshot, "") == names{"kept"});
  }
  put_row(*env, "new", "x");
}

TEST_CASE("while a view is held, every snapshot that begins shows it, whatever is committed") {
  scratch_folder folder;
  auto options = options_for(folder.path());
  options.view_readers = 2;
  const auto env = good(environment::open(options));
  const auto put = [&](std::string_view value) {
    auto writing = good(env->begin_write());
    good(writing.put("k", value));
    good(writing.commit());
  };
  const auto values = [](const read_transaction& of) {
    std::string all;
    of.scan({}, [&](std::string_view, std::string_view value) {
      all += value;
      return true;
    });
    return all;
  };
  put("1");
  auto old = good(env->begin_read());
  old.park();
  good(env->hold_view());
  put("2");
  put("3");
  good(old.renew());
  CHECK(old.get("k") == "1");
  auto second = good(env->begin_read());
  CHECK(second.get("k") == "1");
  CHECK(values(second) == "1");

  SUBCASE("those that begin after its release see the newest, also on a cursor that was used before") {
    env->release_view();
    CHECK(second.get("k") == "1"); // a snapshot stays what it is
    good(second.renew());
    good(old.renew());
    for (const auto* one : {&old, &second}) {
      CHECK(one->get("k") == "3");
      CHECK(one->get_near("k") == "3");
      CHECK(values(*one) == "3");
    }
  }
  SUBCASE("the next view is as of its own time, although a reader of the last one overstays") {
    env->release_view();
    good(env->hold_view());
    put("4");
    good(old.renew());
    CHECK(old.get("k") == "3");
    CHECK(second.get("k") == "1");
    second.park(); // its snapshot belongs to no view any more
    good(second.renew());
    CHECK(second.get("k") == "3");
    env->release_view();
    good(second.renew());
    CHECK(second.get("k") == "4");
  }
  SUBCASE("more readers than it has snapshots wait for one") {
    std::thread third([&] {
      auto snapshot = good(env->begin_read());
      CHECK(snapshot.get("k") == "1");
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    second.park();
    third.join();
  }
  SUBCASE("or for its release") {
    std::thread third([&] {
      auto snapshot = good(env->begin_read());
      CHECK(snapshot.get("k") == "3");
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    env->release_view();
    third.join();
  }
  SUBCASE("the map grows under it") {
    old.park();
    second.park();
    const auto before = env->stats().map_bytes;
    good(env->grow(before));
    CHECK(env->stats().map_bytes > before);
    put("5");
    good(old.renew());
    CHECK(old.get("k") == "1");
    CHECK(old.get_near("k") == "1");
  }
  SUBCASE("what was destroyed while it borrowed gives its snapshot back") {
    second = {};
    for (int i = 0; i < 5; ++i) CHECK(good(env->begin_read()).get("k") == "1");
  }
}
