#include "storage/check.hpp"

#include <algorithm>

#include "storage/codec.hpp"
#include "storage/files.hpp"
#include "tests/storage/sample.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

// A healthy shard of two tenants, to be damaged.
struct shard {
  scratch_folder folder;
  std::unique_ptr<environment> env = open_environment(folder.path());
  tenant_hash tenant = hash_tenant("acme");

  shard() {
    store_writes(*env, "acme", sample_tenant("acme"));
    store_writes(*env, "other", sample_tenant("other"));
  }
  std::vector<std::string> findings(const check_options& options = {}) {
    std::vector<std::string> all;
    const auto summary = good(check_shard(
        *env, [&](const std::string& one) { all.push_back(one); }, options));
    CHECK(summary.findings == all.size());
    return all;
  }
  void remove(const row_key& key) {
    auto transaction = good(env->begin_write());
    CHECK(good(transaction.remove(key.view())));
    good(transaction.commit());
  }
  void write(const sync::write& what) { store_writes(*env, "acme", {what}); }

  // Exactly the findings that have these words, in this order.
  void expect(std::vector<std::string> words) {
    const auto all = findings();
    std::string text;
    for (const auto& one : all) text += one + "\n";
    CAPTURE(text);
    REQUIRE(all.size() == words.size());
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].find(words[i]) != std::string::npos);
  }
};

} // namespace

TEST_CASE("a healthy shard has no findings, and everything is counted") {
  shard is;
  const auto summary = good(check_shard(*is.env, [](const std::string& finding) { FAIL(finding); }));
  CHECK(summary.findings == 0);
  CHECK(summary.tenants == 2);
  CHECK(summary.users == 4);
  CHECK(summary.devices == 6);
  CHECK(summary.entities == 10);
  CHECK(summary.conflicts == 6);
  CHECK(summary.notifications == 2);
  CHECK(summary.slots == 18);
  CHECK(!summary.stopped);
  scratch_folder empty;
  const auto nothing = open_environment(empty.path());
  CHECK(good(check_shard(*nothing, [](const std::string& finding) { FAIL(finding); })).rows == 0);
}

TEST_CASE("the log's rows go to who knows them") {
  shard is;
  put_row(*is.env,
          "\x0f"
          "entry",
          "bytes");
  put_row(*is.env, "\x01", "state");
  int seen = 0;
  check_options options;
  options.other_row = [&](auto key, auto value, const finding_callback& report) {
    ++seen;
    if (value == "bytes") report("the log row " + to_hex(key) + " is wrong");
  };
  const auto found = is.findings(options);
  CHECK(seen == 2);
  REQUIRE(found.size() == 1);
  CHECK(found[0].find("0f656e747279") != std::string::npos);
  CHECK(is.findings().empty());
}

TEST_CASE("a damaged value in any table is one finding, which names the row") {
  // Of the tables whose rows others are compared with, damage shows there only as what it is.
  for (const auto& key : {keys::policy(hash_tenant("acme"), sync::domain::task),
                          keys::idempotency(hash_tenant("acme"), 1, 1, "key-1"),
                          keys::operation(hash_tenant("acme"), 1, 1, "op-1"),
                          keys::swept(hash_tenant("acme")), keys::counters(hash_tenant("acme")),
                          keys::entity(hash_tenant("acme"), sync::domain::task, 0, "t1")}) {
    shard is;
    std::string value;
    {
      const auto snapshot = good(is.env->begin_read());
      value = std::string(*snapshot.get(key.view()));
    }
    value.back() = static_cast<char>(value.back() ^ 1);
    put_row(*is.env, key.view(), value);
    const auto found = is.findings();
    REQUIRE(found.size() == 1);
    CHECK(found[0].find(to_hex(key.view())) != std::string::npos);
    CHECK(found[0].find("checksum") != std::string::npos);
  }
}

TEST_CASE("damage to a row that others name is told with its consequences") {
  shard is;
  const auto key = keys::feed(is.tenant, 8);
  put_row(*is.env, key.view(), "nonsense value");
  // j1, j2 and c7 stood there.
  is.expect({"not in the feed", "checksum", "not in the feed", "not in the feed"});
}

TEST_CASE("rows of no table are told") {
  shard is;
  put_row(*is.env, "\x11something", "x");
  put_row(*is.env, std::string(keys::feed(is.tenant, 8).view()) + "x", "x");
  const auto found = is.findings();
  REQUIRE(found.size() == 2);
  CHECK(found[0].find("not a key of any table") != std::string::npos);
}

TEST_CASE("who asks is told which table is being read") {
  shard is;
  put_row(*is.env, "\x01log", "x");
  std::vector<std::string> tables;
  check_options options;
  options.reading = [&](std::string_view table) { tables.emplace_back(table); };
  is.findings(options);
  REQUIRE(tables.size() > 20); // of two tenants
  CHECK(tables.front() == "log");
  CHECK(tables[1] == "counters");
  CHECK(tables.back() == "entity");
  CHECK(std::adjacent_find(tables.begin(), tables.end()) == tables.end());
}

TEST_CASE("rows out of order are told, and nothing behind them is read") {
  scratch_folder folder;
  for (const auto* key : {"\x01row-1", "\x01row-2", "\x01row-3", "\x01row-4"})
    put_row(*open_environment(folder.path()), key, "x");
  const auto file = folder.path() / "data.mdb";
  auto bytes = good(read_file(file, 1 << 20));
  for (auto at = bytes.find("row-3"); at != std::string::npos; at = bytes.find("row-3", at + 1))
    bytes[at + 4] = '0';
  good(write_file(file, bytes, 0600));
  const auto env = open_environment(folder.path());
  std::vector<std::string> all;
  const auto summary = good(check_shard(*env, [&](const std::string& one) { all.push_back(one); }));
  CHECK(summary.rows == 3);
  REQUIRE(all.size() == 1);
  CHECK(all[0].find("the tree is damaged") != std::string::npos);
}

TEST_CASE("an entity that left the feed is told") {
  shard is;
  auto t1 = sample_entity(sync::domain::task, 0, "t1", 4); // says 4, stands at 3
  is.write(t1);
  is.expect({"names an entity that stands at position 4", "not in the feed at its position 4"});
}

TEST_CASE("an entity of nobody's feed is told") {
  shard is;
  is.write(sample_entity(sync::domain::ticket, 0, "new", 8));
  is.expect({"not in the feed at its position 8"});
}

TEST_CASE("a slot without its entity is told") {
  shard is;
  is.remove(keys::entity(is.tenant, sync::domain::task, 0, "t1"));
  is.expect({"position 3 names an entity that is not there"});
}

TEST_CASE("an entity that stands in the feed twice is told") {
  shard is;
  auto row = sync::feed_row{4,
                            {slot_of(sample_entity(sync::domain::voice, 1, "v1", 2)),
                             slot_of(sample_entity(sync::domain::task, 0, "t1", 3)),
                             slot_of(sample_entity(sync::domain::task, 0, "t1", 4))}};
  is.write(row);
  is.expect({"position 4 names an entity that stands at position 3"});
}

TEST_CASE("entities that contradict themselves are told") {
  shard is;
  auto v1 = sample_entity(sync::domain::voice, 1, "v1", 2);
  v1.version = 0;
  v1.deleted = true;
  is.write(v1);
  auto t1 = sample_entity(sync::domain::task, 0, "t1", 3);
  t1.user = 9;
  t1.device = 9;
  t1.data = null_document();
  t1.first_device = 8;
  t1.run_start = 3;
  t1.fields = {{"b", 2, sample_time, 7, {{2, 5}}}, {"a", 1, sample_time, 1, {}}};
  is.write(t1);
  auto j1 = sample_entity(sync::domain::journal, 1, "j1", 5);
  j1.data = {};
  is.write(j1);
  is.expect({"tombstone that would never be swept", "its version is 0", "a tombstone has data",
             "it has no data", "its data is no object", "its user is user number 9",
             "its device is device number 9", "the device that made it is device number 8",
             "its device's run begins at version 3", "a field is of version 2, the entity of 1",
             "the device of a field is device number 7", "older values do not descend",
             "fields are out of order", "a field is of version 1, the entity of 1",
             "a field has 0 older values"});
}

TEST_CASE(
    "an entity that would be swept while it lives, and conflicts that contradict themselves, are told") {
  shard is;
  auto t1 = slot_of(sample_entity(sync::domain::task, 0, "t1", 3));
  t1.expires = true;
  is.write(sync::feed_row{4, {slot_of(sample_entity(sync::domain::voice, 1, "v1", 2)), t1}});
  auto c7 = sample_conflict(7, 7, 0, sync::conflict_status::open);
  auto of_c7 = slot_of(c7);
  of_c7.expires = true;
  auto j2 = sample_entity(sync::domain::journal, 2, "j2", 6);
  j2.device = 3;
  is.write(
      sync::feed_row{8, {slot_of(sample_entity(sync::domain::journal, 1, "j1", 5)), slot_of(j2), of_c7}});
  c7.winner = sync::conflict_side::client;
  is.write(c7);
  auto c8 = sample_conflict(8, 10, 1, sync::conflict_status::resolved);
  c8.resolved_at.reset();
  is.write(c8);
  is.expect({"winner and time of resolution do not agree", "not in the feed at its position 7",
             "winner and time of resolution do not agree", "position 3 is an entity that would be swept"});
}

TEST_CASE("an answer that no retry could be given is told") {
  shard is;
  const digest128 digest{1, 2};
  is.write(sync::idempotency_record{1, 1, "key-1", digest, sample_time, "what"});
  is.write(sync::operation_record{1, 1, "op-1", digest, sample_time, sample_answer("key-1")});
  is.expect({"a retry cannot be answered from it", "a retry cannot be answered from it"});
}

TEST_CASE("counters below what was given away are told") {
  shard is;
  is.write(sync::tenant_counters{"acme", 1, 2, 11});
  const auto found = is.findings();
  std::string text;
  for (const auto& one : found) text += one + "\n";
  CAPTURE(text);
  REQUIRE(found.size() == 4); // user 2, device 3, and position 12 of a notification and its slot
  CHECK(found[0].find("user row") != std::string::npos);
  CHECK(found[1].find("device row") != std::string::npos);
  CHECK(found[2].find("notification row") != std::string::npos);
  CHECK(found[3].find("position 12 was never given away: the counter stands at 11") != std::string::npos);
}

TEST_CASE("a tenant without counters, or with another's name, is told") {
  {
    shard is;
    is.remove(keys::counters(is.tenant));
    is.expect({"its tenant has no counters"});
  }
  shard is;
  is.write(sync::tenant_counters{"another", 2, 3, 12});
  is.expect({"name does not have this hash"});
}

TEST_CASE("a tenant of which only a policy was set is healthy") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  store_writes(*env, "acme", {sync::policy{}});
  CHECK(good(check_shard(*env, [](const std::string& finding) { FAIL(finding); })).tenants == 1);
}

TEST_CASE("users and devices whose tables disagree are told") {
  {
    shard is;
    is.remove(keys::user_by_name(is.tenant, "ann"));
    is.expect({"the user is not found by its name"});
  }
  {
    shard is;
    is.remove(keys::device_by_name(is.tenant, "phone-a"));
    is.remove(keys::device_by_owner(is.tenant, 1, 1));
    is.expect({"the device is not found by its name", "the device is not found among its owner's"});
  }
  {
    shard is;
    is.write(sync::user{"carl", 2}); // takes bob's number
    is.expect({"user number 2 is not this user"});
  }
  {
    shard is;
    is.write(sample_device("phone-c", 3, 1)); // takes phone-b's number, and bob's device
    is.expect({"device number 3 is not this device", "the device does not belong to this user"});
  }
  {
    shard is;
    auto phone = sample_device("phone-b", 3, 7);
    phone.acknowledged = 99;
    is.write(phone);
    is.expect({"does not belong to this user", "its owner is user number 7", "the acknowledged position 99"});
  }
  {
    shard is;
    is.remove(keys::device(is.tenant, 2));
    is.expect({"device number 2 is not this device", "the device does not belong to this user"});
  }
  {
    shard is;
    is.remove(keys::user(is.tenant, 2));
    const auto found = is.findings();
    CHECK(found.size() >= 3); // the name leads nowhere; device 3 and what bob owns are nobody's
    CHECK(found[0].find("user number 2 is not this user") != std::string::npos);
  }
}

TEST_CASE("conflicts that contradict their index or the feed are told") {
  {
    shard is;
    is.remove(keys::open_conflict(is.tenant, 7));
    is.expect({"open and not among the open ones"});
  }
  {
    shard is;
    is.remove(keys::conflict(is.tenant, 7));
    is.expect({"the conflict is not there", "position 7 names a conflict that is not there"});
  }
  {
    shard is;
    std::string value;
    const auto key = keys::open_conflict(is.tenant, 8);
    packer out(value);
    encode_open_conflict(out, key.view(), sync::domain::task, 5);
    out.finish();
    put_row(*is.env, key.view(), value);
    is.expect({"the conflict is not open", "of another domain or owner"});
  }
  {
    shard is;
    is.write(sample_conflict(8, 7, 1, sync::conflict_status::resolved));
    is.expect({"it stands before its first position", "not in the feed at its position 7",
               "names a conflict that stands at position 7"});
  }
  {
    shard is;
    auto c7 = sample_conflict(7, 7, 0, sync::conflict_status::open);
    c7.device = 8;
    c7.user = 8;
    is.write(c7);
    is.expect({"its user is user number 8", "its device is device number 8"});
  }
  {
    shard is;
    auto slot = slot_of(sample_conflict(7, 7, 0, sync::conflict_status::open));
    slot.id = "seven";
    is.write(sync::feed_row{8,
                            {slot_of(sample_entity(sync::domain::journal, 1, "j1", 5)),
                             slot_of(sample_entity(sync::domain::journal, 2, "j2", 6)), slot}});
    is.expect({"not in the feed at its position 7", "by no conflict's id"});
  }
}

TEST_CASE("notifications that contradict the feed are told") {
  const auto t2 = slot_of([] {
    auto made = sample_entity(sync::domain::task, 0, "t2", 9);
    made.deleted = true;
    return made;
  }());
  const auto c8 = slot_of(sample_conflict(8, 10, 1, sync::conflict_status::resolved));
  const auto c11 = slot_of(sample_conflict(11, 11, 2, sync::conflict_status::open));
  sync::feed_slot note;
  note.at = 12;
  note.kind = sync::slot_kind::notification;
  note.id = "n12";
  note.expires = true;
  {
    shard is;
    is.remove(keys::notification(is.tenant, 12));
    is.expect({"position 12 names a notification that is not there"});
  }
  {
    shard is;
    is.write(sync::feed_row{12, {t2, c8, c11}});
    is.expect({"not in the feed at its position 12"});
  }
  {
    shard is;
    auto kept = note;
    kept.expires = false;
    is.write(sync::feed_row{12, {t2, c8, c11, kept}});
    is.expect({"position 12 is a notification that would never be swept"});
  }
  {
    shard is;
    auto loud = note;
    loud.urgency = sync::priority::critical;
    is.write(sync::feed_row{12, {t2, c8, c11, loud}});
    is.expect({"not in the feed at its position 12"});
  }
  {
    shard is;
    sync::notification told;
    told.id = "n12";
    told.at = 12;
    told.owner = 9;
    told.only_device = 9;
    is.write(told);
    is.expect({"its owner is user number 9", "its device is device number 9",
               "not in the feed at its position 12"});
  }
}

TEST_CASE("feed rows that are out of order, empty or overdue are told") {
  {
    shard is;
    is.write(sync::feed_row{12, {}});
    const auto found = is.findings();
    REQUIRE(found.size() == 5); // c8, c11, the notification, the row, t2
    CHECK(found[3].find("it holds nothing") != std::string::npos);
  }
  {
    shard is;
    const auto v1 = slot_of(sample_entity(sync::domain::voice, 1, "v1", 2)),
               t1 = slot_of(sample_entity(sync::domain::task, 0, "t1", 3));
    is.write(sync::feed_row{4, {t1, v1}});
    is.expect({"position 2 comes after position 3"});
  }
  {
    shard is;
    auto above = slot_of(sample_entity(sync::domain::task, 0, "t1", 3));
    is.write(sync::feed_row{2, {slot_of(sample_entity(sync::domain::voice, 1, "v1", 2)), above}});
    is.write(sync::delete_feed_row{4});
    is.expect({"position 3 is above the row's key", "not in the feed at its position 3"});
  }
  {
    shard is;
    is.write(sync::put_swept_position{9});
    is.expect({"position 9 expires and should have been swept"});
  }
  {
    shard is;
    is.write(sync::put_swept_position{99});
    const auto found = is.findings();
    REQUIRE(!found.empty());
    CHECK(found[0].find("position 99 was never given away") != std::string::npos);
  }
  {
    shard is;
    auto v1 = slot_of(sample_entity(sync::domain::voice, 1, "v1", 2));
    v1.device = 77;
    auto t1 = slot_of(sample_entity(sync::domain::task, 0, "t1", 3));
    is.write(sync::feed_row{4, {v1, t1}});
    is.expect({"the device at position 2 is device number 77"});
  }
}

TEST_CASE("remembered requests of unknown users or devices are told") {
  shard is;
  is.write(sync::idempotency_record{9, 1, "k", {}, sample_time, sample_answer("k")});
  is.write(sync::operation_record{1, 9, "o", {}, sample_time, sync::pack_item({})});
  is.expect({"its user is user number 9", "its device is device number 9"});
}

TEST_CASE("a tenant in another's shard is told") {
  shard is;
  for (unsigned n = 0; n < 4; ++n) {
    check_options options;
    options.shard = n;
    options.shards = 4;
    const auto strangers = (shard_of_tenant("acme", 4) != n) + (shard_of_tenant("other", 4) != n);
    const auto found = is.findings(options);
    CHECK(found.size() == static_cast<std::size_t>(strangers));
    if (!found.empty()) CHECK(found[0].find("the tenant belongs to shard") != std::string::npos);
  }
}

TEST_CASE("a file beyond help is not read to its end") {
  shard is;
  for (int i = 0; i < 20; ++i) put_row(*is.env, "\x11" + std::to_string(i), "x");
  std::size_t told = 0;
  const auto summary = good(check_shard(*is.env, [&](const std::string&) { ++told; },
                                        {.other_row = {}, .shard = 0, .shards = 0, .findings_max = 5}));
  CHECK(told == 5);
  CHECK(summary.findings == 5);
  CHECK(summary.stopped);
}

TEST_CASE("a file that was cut off is told by the check") {
  scratch_folder folder;
  {
    const auto env = open_environment(folder.path());
    sync::write_list writes{sync::tenant_counters{"acme", 3000, 0, 0}};
    for (sync::user_number n = 1; n <= 3000; ++n)
      writes.emplace_back(sync::user{"user " + std::to_string(n), n});
    store_writes(*env, "acme", writes);
  }
  const auto data = folder.path() / "data.mdb";
  std::filesystem::resize_file(data, std::filesystem::file_size(data) / 4);
  const auto env = open_environment(folder.path());
  std::vector<std::string> found;
  good(check_shard(*env, [&](const std::string& one) { found.push_back(one); }));
  REQUIRE(!found.empty());
  CHECK(found.back().find("cannot be read") != std::string::npos);
}

TEST_CASE("what the log will write is checked as if it had been written") {
  shard is;
  const auto before = good(is.env->begin_read());
  // An apply that was interrupted has removed the counters; the log brings them back.
  const auto key = keys::counters(is.tenant);
  const std::string value(*before.get(key.view()));
  is.remove(key);
  CHECK_FALSE(is.findings().empty());
  check_options options;
  const std::vector<overlaid_row> back{{key.view(), value, false}};
  options.unapplied = back;
  CHECK(is.findings(options).empty());
}

TEST_CASE("an overlaid snapshot reads like the tables after the rows were written") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  const auto write = [&](const std::vector<overlaid_row>& rows) {
    auto transaction = good(env->begin_write());
    for (const auto& one : rows) {
      if (one.removed)
        good(transaction.remove(one.key));
      else
        good(transaction.put(one.key, one.value));
    }
    good(transaction.commit());
  };
  write({{"b", "1"}, {"d", "2"}, {"f", "3"}});
  const std::vector<overlaid_row> over{{"a", "x"}, {"b", "", true}, {"c", "y"},
                                       {"d", "z"}, {"e", "", true}, {"g", "w"}};
  const auto seen = [](const auto& in, std::string_view from, std::size_t most) {
    std::string out;
    in.scan(from, [&](std::string_view key, std::string_view value) {
      out += std::string(key) + "=" + std::string(value) + " ";
      return --most > 0;
    });
    for (const std::string_view key : {"a", "b", "c", "d", "e", "f", "g"}) out += in.get(key).value_or("-");
    return out;
  };
  std::vector<std::string> before, after;
  {
    const auto snapshot = good(env->begin_read());
    const overlaid_snapshot overlaid(snapshot, over);
    for (const std::string_view from : {"", "a", "b", "bb", "d", "e", "g", "h"})
      for (std::size_t most = 1; most < 6; ++most) before.push_back(seen(overlaid, from, most));
  }
  write(over);
  const auto snapshot = good(env->begin_read());
  for (const std::string_view from : {"", "a", "b", "bb", "d", "e", "g", "h"})
    for (std::size_t most = 1; most < 6; ++most) after.push_back(seen(snapshot, from, most));
  CHECK(before == after);
  CHECK(after[4] == "a=x c=y d=z f=3 g=w x-yz-3w");
}
