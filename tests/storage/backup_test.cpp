#include "storage/backup.hpp"

#include <atomic>
#include <fstream>
#include <thread>

#include "storage/check.hpp"
#include "storage/data_folder.hpp"
#include "storage/files.hpp"
#include "storage/tenant_store.hpp"
#include "tests/storage/sample.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;
namespace fs = std::filesystem;

namespace {

// A stopped node's folder of two shards, with a tenant in each.
struct node {
  scratch_folder scratch;
  fs::path data = scratch.path() / "data";
  fs::path out = scratch.path() / "backup";
  std::string secret;

  node() {
    const auto folder = good(data_folder::open({.folder = data, .shards = 2}));
    secret = good(folder.secret());
    store_writes(*open_environment(folder.shard_folder(0)), "acme", sample_tenant("acme"));
    store_writes(*open_environment(folder.shard_folder(1)), "other", sample_tenant("other"));
  }
  backup_manifest back_up() { return good(back_up_folder(data, out, sample_time)); }
};

void expect_sample(const fs::path& shard, const std::string& tenant) {
  const auto env = open_environment(shard);
  good(check_shard(*env, [](const std::string& finding) { FAIL(finding); }));
  const auto snapshot = good(env->begin_read());
  tenant_store store(snapshot, tenant);
  CHECK(store.counters().last_position == 12);
  CHECK(store.find_entity(sync::domain::task, 0, "t1"));
}

void replace(const fs::path& file, const std::string& what, const std::string& with) {
  auto text = good(read_file(file, 1 << 20));
  const auto found = text.find(what);
  REQUIRE(found != std::string::npos);
  text.replace(found, what.size(), with);
  good(write_file(file, text, 0600));
}

} // namespace

TEST_CASE("a backup restores to a folder that a node starts on") {
  node is;
  const auto manifest = is.back_up();
  CHECK(manifest.shards == 2);
  CHECK(manifest.created_at == sample_time);
  REQUIRE(manifest.files.size() == 3);
  CHECK(manifest.files[0].path == "jwt.secret");
  CHECK(manifest.files[1].path == "shards/0/data.mdb");
  CHECK(good(verify_backup(is.out)) == manifest);

  const auto restored = is.scratch.path() / "restored";
  CHECK(good(restore_backup(is.out, restored)) == manifest);
  const auto folder = good(data_folder::open({.folder = restored, .create = false}));
  CHECK(folder.shards() == 2);
  CHECK(good(folder.secret()) == is.secret);
  expect_sample(folder.shard_folder(0), "acme");
  expect_sample(folder.shard_folder(1), "other");
  CHECK(!fs::exists(is.scratch.path() / "restored.restoring"));
}

TEST_CASE("a node that runs is backed up by itself or from outside") {
  node is;
  const auto folder = good(data_folder::open({.folder = is.data}));
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  const auto first = open_environment(folder.shard_folder(0)),
             second = open_environment(folder.shard_folder(1));
  std::thread writer([&] {
    for (std::uint32_t n = 1; !stop; ++n, ++written)
      store_writes(*first, "acme",
                   {sync::device{sample_device("phone-a", 1, 1)}, sync::put_swept_position{n % 2}});
  });
  while (written == 0) std::this_thread::yield();
  good(prepare_backup(is.out));
  good(back_up_shard(*first, 0, is.out));
  good(back_up_shard(*second, 1, is.out));
  const auto manifest = good(finish_backup(is.data, is.out, sample_time));
  stop = true;
  writer.join();
  CHECK(good(verify_backup(is.out)) == manifest);
  good(restore_backup(is.out, is.scratch.path() / "restored"));
  expect_sample(shard_folder_of(is.scratch.path() / "restored", 0), "acme");
}

TEST_CASE("a node without a secret has a backup without one") {
  node is;
  fs::remove(is.data / "jwt.secret");
  CHECK(is.back_up().files.size() == 2);
  good(restore_backup(is.out, is.scratch.path() / "restored"));
  CHECK(!fs::exists(is.scratch.path() / "restored" / "jwt.secret"));
}

TEST_CASE("nothing that exists is overwritten") {
  node is;
  is.back_up();
  CHECK(back_up_folder(is.data, is.out, sample_time).failure().code == error_code::bad_user_input);
  CHECK(restore_backup(is.out, is.data).failure().code == error_code::bad_user_input);
  const auto empty = is.scratch.path() / "empty";
  fs::create_directory(empty);
  good(restore_backup(is.out, empty / "")); // an empty folder is filled
  expect_sample(shard_folder_of(empty, 0), "acme");
}

TEST_CASE("what an interrupted restore left is cleared away") {
  node is;
  is.back_up();
  fs::create_directories(is.scratch.path() / "restored.restoring" / "shards" / "0");
  std::ofstream(is.scratch.path() / "restored.restoring" / "shards" / "0" / "data.mdb") << "half";
  good(restore_backup(is.out, is.scratch.path() / "restored"));
  expect_sample(shard_folder_of(is.scratch.path() / "restored", 0), "acme");
}

TEST_CASE("a backup that is damaged anywhere is refused, by name") {
  node is;
  is.back_up();
  const auto restored = is.scratch.path() / "restored";
  const auto refused = [&](const std::string& words) {
    const auto verified = verify_backup(is.out);
    const auto outcome = restore_backup(is.out, restored);
    if (verified || outcome || fs::exists(restored)) return false;
    CAPTURE(outcome.failure().message);
    return outcome.failure().message.find(words) != std::string::npos;
  };
  const auto data = is.out / "shards" / "1" / "data.mdb";
  const auto whole = good(read_file(data, 1 << 24));
  auto bytes = whole;
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  good(write_file(data, bytes, 0600));
  CHECK(refused("shards/1/data.mdb is damaged"));
  good(write_file(data, whole.substr(0, whole.size() - 4096), 0600));
  CHECK(refused("shards/1/data.mdb is damaged"));
  fs::remove(data);
  CHECK(refused("shards/1/data.mdb"));
  good(write_file(data, whole, 0600));
  CHECK(verify_backup(is.out).ok());

  const auto manifest = is.out / "manifest";
  const auto text = good(read_file(manifest, 1 << 20));
  const auto with = [&](const std::string& what, const std::string& instead) {
    good(write_file(manifest, text, 0600));
    replace(manifest, what, instead);
  };
  with("shards 2", "shards 3");
  CHECK(refused("manifest is damaged"));
  with("shards 2", "shards 0");
  CHECK(refused("manifest is damaged"));
  with("mooring backup", "mooring backups");
  CHECK(refused("manifest is damaged"));
  with("format 1", "format 2");
  CHECK(refused("newer version of mooring"));
  with("format 1", "format");
  CHECK(refused("manifest is damaged"));
  with("created 2", "created x");
  CHECK(refused("manifest is damaged"));
  with("created ", "made ");
  CHECK(refused("manifest is damaged"));
  with("shards/0/data.mdb", "../../../etc/passwd");
  CHECK(refused("manifest is damaged"));
  with("shards/0/data.mdb", "shards/1/data.mdb");
  CHECK(refused("manifest is damaged"));
  with("file ", "file x");
  CHECK(refused("manifest is damaged"));
  with("checksum ", "checksum 1");
  CHECK(refused("manifest is damaged"));
  with("created 2025", "created 2024");
  CHECK(refused("manifest is damaged"));
  fs::remove(manifest);
  CHECK(refused("not a mooring backup"));
  CHECK(verify_backup(is.scratch.path() / "none").failure().code == error_code::not_found);
}

TEST_CASE("what is no data folder is not backed up") {
  scratch_folder scratch;
  CHECK(back_up_folder(scratch.path(), scratch.path() / "out", sample_time).failure().code ==
        error_code::not_found);
  CHECK(finish_backup(scratch.path(), scratch.path(), sample_time).failure().code == error_code::not_found);
  node is;
  good(prepare_backup(is.out));
  CHECK(!finish_backup(is.data, is.out, sample_time)); // a shard was not copied
  fs::remove_all(is.data / "shards" / "1");
  CHECK(!back_up_folder(is.data, is.scratch.path() / "other", sample_time));
}
