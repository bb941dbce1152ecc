#include "storage/data_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "storage/files.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;
namespace fs = std::filesystem;

namespace {

data_folder_options at(const fs::path& folder, unsigned shards = 2) {
  return {.folder = folder, .shards = shards};
}

mode_t mode_of(const fs::path& path) {
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 07777;
}

std::string content_of(const fs::path& path) {
  return good(read_file(path, 1 << 20));
}

error failure_of(const data_folder_options& options) {
  const auto opened = data_folder::open(options);
  REQUIRE(!opened);
  return opened.failure();
}

} // namespace

TEST_CASE("a first start makes the folder for its owner alone") {
  scratch_folder scratch;
  const auto path = scratch.path() / "data";
  const auto folder = good(data_folder::open(at(path, 3)));
  CHECK(folder.shards() == 3);
  CHECK(folder.path() == path);
  CHECK(mode_of(path) == 0700);
  CHECK(content_of(path / "format") == "mooring data folder\nformat 1\nshards 3\n");
  for (unsigned n = 0; n < 3; ++n) {
    CHECK(folder.shard_folder(n) == path / "shards" / std::to_string(n));
    CHECK(mode_of(folder.shard_folder(n)) == 0700);
    CHECK(fs::exists(folder.shard_folder(n) / "data.mdb"));
  }
  CHECK(!fs::exists(path / "shards" / "3"));
}

TEST_CASE("the number of shards is that of the first start") {
  scratch_folder scratch;
  { CHECK(good(data_folder::open(at(scratch.path(), 3))).shards() == 3); }
  CHECK(good(data_folder::open(at(scratch.path(), 8))).shards() == 3);
  CHECK(failure_of(at(scratch.path(), 0)).code == error_code::bad_user_input);
  CHECK(failure_of(at(scratch.path(), shards_max + 1)).code == error_code::bad_user_input);
}

TEST_CASE("a folder is used by one at a time") {
  scratch_folder scratch;
  auto first = good(data_folder::open(at(scratch.path())));
  const auto refused = failure_of(at(scratch.path()));
  CHECK(refused.code == error_code::unavailable);
  CHECK(refused.message.find("in use by another mooring process (process " + std::to_string(::getpid()) +
                             ")") != std::string::npos);
  auto second = std::move(first);
  CHECK(failure_of(at(scratch.path())).code == error_code::unavailable);
  { const auto gone = std::move(second); }
  good(data_folder::open(at(scratch.path())));
}

TEST_CASE("the secret is made once, random, and for its owner alone") {
  scratch_folder scratch, other;
  const auto folder = good(data_folder::open(at(scratch.path())));
  const auto secret = good(folder.secret());
  CHECK(secret.size() == 32);
  CHECK(mode_of(scratch.path() / "jwt.secret") == 0600);
  CHECK(good(folder.secret()) == secret);
  CHECK(good(good(data_folder::open(at(other.path()))).secret()) != secret);

  ::chmod((scratch.path() / "jwt.secret").c_str(), 0640);
  const auto open_to_others = folder.secret();
  REQUIRE(!open_to_others);
  CHECK(open_to_others.failure().code == error_code::forbidden);
  CHECK(open_to_others.failure().message.find("chmod 600") != std::string::npos);
  good(write_file(scratch.path() / "jwt.secret", "short", 0600));
  CHECK(folder.secret().failure().message.find("damaged") != std::string::npos);
}

TEST_CASE("a folder of a newer format is left alone") {
  scratch_folder scratch;
  { good(data_folder::open(at(scratch.path()))); }
  good(
      write_file(scratch.path() / "format", "mooring data folder\nformat 2\nwhatever that will say\n", 0600));
  const auto refused = failure_of(at(scratch.path()));
  CHECK(refused.message.find("newer version of mooring") != std::string::npos);
  for (const auto* damaged :
       {"", "mooring data folder\n", "mooring data folder\nformat x\nshards 2\n",
        "mooring data folder\nformat 0\nshards 2\n", "mooring data folder\nformat 1\nshards 0\n",
        "mooring data folder\nformat 1\nshards 65\n", "mooring data folder\nformat 1\nshards 2",
        "mooring data folder\nformat 1\nshards 2\nmore\n", "another folder\nformat 1\nshards 2\n"}) {
    good(write_file(scratch.path() / "format", damaged, 0600));
    CHECK(failure_of(at(scratch.path())).message.find("is damaged") != std::string::npos);
  }
  good(write_file(scratch.path() / "format", std::string(5000, 'x'), 0600));
  CHECK(failure_of(at(scratch.path())).code == error_code::payload_too_large);
}

TEST_CASE("somebody else's folder is not touched") {
  scratch_folder scratch;
  std::ofstream(scratch.path() / "thesis.txt") << "years of work";
  CHECK(failure_of(at(scratch.path())).code == error_code::bad_user_input);
  CHECK(!fs::exists(scratch.path() / "lock"));
  CHECK(failure_of(at(scratch.path() / "thesis.txt")).code == error_code::bad_user_input);
}

TEST_CASE("without leave to create, what is not there is not made") {
  scratch_folder scratch;
  auto options = at(scratch.path() / "data");
  options.create = false;
  CHECK(failure_of(options).code == error_code::not_found);
  CHECK(!fs::exists(options.folder));
  options.folder = scratch.path();
  CHECK(failure_of(options).code == error_code::not_found);
  CHECK(read_folder_description(scratch.path()).failure().code == error_code::not_found);
  options.folder = scratch.path() / "no" / "such" / "place";
  options.create = true;
  CHECK(failure_of(options).code == error_code::not_found);
}

TEST_CASE("a first start that was interrupted is finished by the next") {
  scratch_folder scratch;
  { good(data_folder::open(at(scratch.path()))); }
  fs::remove(scratch.path() / "format");
  fs::remove_all(scratch.path() / "shards" / "1");
  std::ofstream(scratch.path() / "format.new") << "moor";
  CHECK(good(data_folder::open(at(scratch.path(), 4))).shards() == 4);
}

TEST_CASE("data without its format file is not taken for an interrupted first start") {
  scratch_folder scratch;
  { good(data_folder::open(at(scratch.path()))); }
  put_row(*open_environment(scratch.path() / "shards" / "1"), "key", "value");
  fs::remove(scratch.path() / "format");
  CHECK(failure_of(at(scratch.path())).code == error_code::bad_user_input);
}

TEST_CASE("a shard that is lost is told, not made anew") {
  scratch_folder scratch;
  { good(data_folder::open(at(scratch.path()))); }
  fs::remove_all(scratch.path() / "shards" / "1");
  const auto refused = failure_of(at(scratch.path()));
  CHECK(refused.code == error_code::internal);
  CHECK(refused.message.find("shards/1/data.mdb is missing") != std::string::npos);
}

TEST_CASE("files are replaced as one step") {
  scratch_folder scratch;
  const auto file = scratch.path() / "file";
  good(write_file(file, "one", 0600));
  good(write_file(file, "two", 0640));
  CHECK(content_of(file) == "two");
  CHECK(mode_of(file) == 0640);
  CHECK(!fs::exists(scratch.path() / "file.new"));
  CHECK(write_file(scratch.path() / "no" / "file", "x", 0600).failure().code == error_code::not_found);
  CHECK(!write_file(scratch.path(), "x", 0600)); // a folder is in the way
  CHECK(read_file(scratch.path() / "none", 10).failure().code == error_code::not_found);
  CHECK(!read_file(scratch.path(), 10));
  CHECK(!flush_folder(scratch.path() / "none"));
  good(make_folder(scratch.path() / "folder", 0700));
  good(make_folder(scratch.path() / "folder", 0700));
  CHECK(!make_folder(file, 0700));
  CHECK(!make_folder(scratch.path() / "no" / "folder", 0700));
  CHECK(parent_of("a") == ".");
  CHECK(parent_of("a/b") == "a");
  CHECK(parent_of("a/b/") == "a");
}
