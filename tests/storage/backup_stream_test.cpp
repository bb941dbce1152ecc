#include "storage/backup_stream.hpp"

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "storage/check.hpp"
#include "storage/data_folder.hpp"
#include "storage/files.hpp"
#include "tests/no_thread_left.hpp"
#include "tests/storage/sample.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;
namespace fs = std::filesystem;

namespace {

// A node's folder of two shards that are open, as in a running node.
struct node {
  scratch_folder scratch;
  fs::path data = scratch.path() / "data";
  fs::path out = scratch.path() / "backup";
  std::vector<std::shared_ptr<environment>> shards;
  std::atomic<bool> current{true};

  explicit node(std::size_t filler_rows = 0) {
    const auto folder = good(data_folder::open({.folder = data, .shards = 2}));
    good(folder.secret());
    for (unsigned n = 0; n < 2; ++n) shards.push_back(open_environment(folder.shard_folder(n)));
    store_writes(*shards[0], "acme", sample_tenant("acme"));
    store_writes(*shards[1], "other", sample_tenant("other"));
    if (filler_rows == 0) return;
    auto transaction = good(shards[1]->begin_write());
    const std::string value(3000, 'x');
    for (std::size_t i = 0; i < filler_rows; ++i) good(transaction.put("\x01" + std::to_string(i), value));
    good(transaction.commit());
  }
  backup_writer writer() {
    return {data, 2, sample_time, [this](unsigned n) -> result<open_shard> {
              return open_shard{shards.at(n), [this] { return current.load(); }};
            }};
  }
  std::string stream() {
    auto from = writer();
    std::string all;
    for (;;) {
      const auto piece = good(from.next());
      CHECK(piece.size() <= (256 << 10) + 5);
      if (piece.empty()) return all;
      all += piece;
    }
  }
};

// Takes the stream in pieces of random sizes.
result<backup_manifest> receive(const fs::path& out, std::string_view stream, unsigned seed = 1) {
  auto to = backup_receiver::begin(out);
  if (!to) return to.failure();
  std::mt19937 random(seed);
  while (!stream.empty()) {
    const auto size =
        std::min<std::size_t>(stream.size(), random() % 5 == 0 ? 1 + random() % 8 : 1 + random() % 100'000);
    if (auto taken = (*to)->take(stream.substr(0, size)); !taken) return taken.failure();
    stream.remove_prefix(size);
  }
  return (*to)->finish();
}

bool nothing_is_left(const node& is) {
  return !fs::exists(is.out) && !fs::exists(is.scratch.path() / "backup.receiving");
}

} // namespace

TEST_CASE("what a running node streams is received as a backup that restores") {
  node is;
  const auto stream = is.stream();
  const auto manifest = good(receive(is.out, stream));
  CHECK(manifest.shards == 2);
  CHECK(manifest.created_at == sample_time);
  REQUIRE(manifest.files.size() == 3);
  CHECK(good(verify_backup(is.out)) == manifest);
  CHECK(!fs::exists(is.scratch.path() / "backup.receiving"));
  for (const auto& file : manifest.files)
    CHECK((fs::status(is.out / file.path).permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));

  const auto restored = is.scratch.path() / "restored";
  good(restore_backup(is.out, restored));
  const auto folder = good(data_folder::open({.folder = restored, .create = false}));
  CHECK(good(folder.secret()) == good(read_file(secret_file_of(is.data), 100)));
  for (unsigned n = 0; n < 2; ++n) {
    const auto env = open_environment(folder.shard_folder(n));
    const auto summary = good(check_shard(*env, [](const std::string& finding) { FAIL(finding); }));
    CHECK(summary.tenants == 1);
    CHECK(summary.rows > 10);
  }
  CHECK(receive(is.out, stream).failure().code == error_code::bad_user_input); // it exists
}

TEST_CASE("the size of the pieces that come makes no difference") {
  node is(200);
  const auto stream = is.stream();
  for (unsigned seed = 0; seed < 8; ++seed) {
    const auto out = is.scratch.path() / std::to_string(seed);
    good(receive(out, stream, seed));
  }
}

TEST_CASE("a stream that is cut anywhere leaves nothing behind") {
  node is;
  const auto stream = is.stream();
  std::mt19937 random(7);
  std::vector<std::size_t> cuts = {0, 1, 23, 24, 25, stream.size() - 1, stream.size() - 2};
  for (int i = 0; i < 20; ++i) cuts.push_back(random() % stream.size());
  for (const auto cut : cuts) {
    INFO(cut);
    const auto received = receive(is.out, std::string_view(stream).substr(0, cut));
    REQUIRE(!received);
    CHECK(received.failure().code == error_code::unavailable);
    CHECK(nothing_is_left(is));
  }
}

TEST_CASE("a stream with any byte changed is refused, and leaves nothing behind") {
  node is;
  const auto stream = is.stream();
  std::mt19937 random(11);
  for (int i = 0; i < 120; ++i) {
    auto changed = stream;
    const auto at = i < 40   ? static_cast<std::size_t>(i)
                    : i < 80 ? stream.size() - static_cast<std::size_t>(i - 39)
                             : random() % stream.size();
    changed[at] = static_cast<char>(changed[at] ^ (1 << (random() % 8)));
    INFO(at);
    CHECK(!receive(is.out, changed));
    CHECK(nothing_is_left(is));
  }
  CHECK(!receive(is.out, stream + "x"));
  CHECK(!receive(is.out, "HTTP/1.1 200 OK\r\n\r\n"));
  CHECK(nothing_is_left(is));
}

TEST_CASE("a stream cannot write outside of its folder") {
  node is;
  const auto file = [](const std::string& path) {
    return std::string("mooring backup stream 1\nF") + std::string{0, 0, 0, static_cast<char>(path.size())} +
           path;
  };
  for (const auto* path : {"../evil", "/etc/passwd", "shards/0/../../x", "shards/64/data.mdb", "manifest",
                           "shards/0/lock.mdb", "jwt.secret\n"}) {
    INFO(path);
    const auto received = receive(is.out, file(path));
    REQUIRE(!received);
    CHECK(received.failure().code == error_code::internal);
    CHECK(nothing_is_left(is));
  }
}

TEST_CASE("a writer that is cancelled or given up in the middle lets the shard go at once") {
  node is(10'000); // 40 MB: far more than the pipe holds
  const auto into_the_second_shard = [&](backup_writer& from) {
    std::size_t bytes = 0;
    while (bytes < (2 << 20)) bytes += good(from.next()).size();
  };
  const auto expect_free = [&] {
    // Only the test's own reference is left: the copy has ended.
    for (int i = 0; i < 200 && is.shards[1].use_count() > 1; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(is.shards[1].use_count() == 1);
    CHECK(is.shards[1]->stats().readers == 0);
  };
  {
    auto from = is.writer();
    into_the_second_shard(from);
    CHECK(is.shards[1].use_count() > 1);
  }
  expect_free();
  auto from = is.writer();
  into_the_second_shard(from);
  from.cancel();
  CHECK(!from.next());
  CHECK(!from.next());
  expect_free();

  auto other = is.writer();
  into_the_second_shard(other);
  is.current = false; // the shard is loaded anew
  const auto failed = other.next();
  REQUIRE(!failed);
  CHECK(failed.failure().code == error_code::unavailable);
  expect_free();
}

TEST_CASE("a shard that cannot be opened ends the stream with why") {
  node is;
  backup_writer from(is.data, 2, sample_time, [&](unsigned n) -> result<open_shard> {
    if (n == 1) return error{error_code::unavailable, "shard 1 is being loaded"};
    return open_shard{is.shards[0], [] { return true; }};
  });
  result<std::string> piece = std::string("x");
  while (piece && !piece->empty()) piece = from.next();
  REQUIRE(!piece);
  CHECK(piece.failure().message == "shard 1 is being loaded");
}

TEST_CASE("without a thread for a shard's copy the stream ends with why") {
  node running;
  auto from = running.writer();
  {
    const mooring::testing::no_thread_left none;
    const auto piece = from.next();
    REQUIRE(!piece);
    CHECK(piece.failure().code == error_code::unavailable);
  }
  CHECK(!from.next());
  CHECK(running.shards[0].use_count() == 1);
  CHECK(receive(running.out, running.stream()).ok());
}

TEST_CASE("what is written while a stream is read is no part of it, and the writer is not held up") {
  node is(2'000);
  auto from = is.writer();
  std::string stream;
  int written = 0;
  for (;;) {
    const auto piece = good(from.next());
    if (piece.empty()) break;
    stream += piece;
    put_row(*is.shards[1], "\x01later" + std::to_string(written++), std::string(2000, 'y'));
  }
  CHECK(written > 5);
  good(receive(is.out, stream));
  const auto env = open_environment(is.out / "shards" / "1");
  CHECK(good(check_shard(*env, [](const std::string& finding) { FAIL(finding); })).rows >= 2'000);
}
