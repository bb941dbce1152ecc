#include "storage/write_batch.hpp"

#include <map>

#include "storage/codec.hpp"
#include "storage/tenant_store.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

using rows = std::map<std::string, std::string, std::less<>>;

rows rows_of(const environment& env_) {
  auto& env = const_cast<environment&>(env_);
  rows all;
  const auto snapshot = good(env.begin_read());
  snapshot.scan("", [&](auto key, auto value) {
    all.emplace(key, value);
    return true;
  });
  return all;
}

std::vector<std::pair<std::string, std::optional<std::string>>> listed(std::string_view entry) {
  std::vector<std::pair<std::string, std::optional<std::string>>> all;
  entry_reader reader(entry);
  while (const auto row = reader.next())
    all.emplace_back(row->key, row->value ? std::optional<std::string>(*row->value) : std::nullopt);
  CHECK(!reader.failed());
  return all;
}

void apply_all(environment& env, std::vector<std::string_view> entries) {
  auto transaction = good(env.begin_write());
  batch_applier applier;
  good(applier.apply(transaction, entries));
  good(transaction.commit());
}

sync::write_list random_writes(random_rows& random) {
  sync::write_list writes;
  for (auto n = random.below(30); n > 0; --n) {
    // Few identities, so that puts and deletions meet.
    switch (random.below(19)) {
    case 0: writes.emplace_back(random.counters()); break;
    case 1: {
      auto is = random.entity();
      is.in = sync::domain::task;
      is.owner = 0;
      is.id = std::to_string(random.below(8));
      writes.emplace_back(is);
      break;
    }
    case 2:
      writes.emplace_back(sync::delete_entity{sync::domain::task, 0, std::to_string(random.below(8))});
      break;
    case 3: {
      auto is = random.conflict();
      is.first_at = random.below(8);
      is.id = "c" + std::to_string(is.first_at);
      writes.emplace_back(is);
      break;
    }
    case 4: writes.emplace_back(sync::delete_conflict{random.below(8)}); break;
    case 5: {
      auto is = random.device();
      is.number = static_cast<std::uint32_t>(random.below(4));
      writes.emplace_back(is);
      break;
    }
    case 6: writes.emplace_back(random.user()); break;
    case 7: writes.emplace_back(random.policy()); break;
    case 8: {
      auto is = random.idempotency();
      is.user = is.device = 1;
      is.key = std::to_string(random.below(8));
      writes.emplace_back(is);
      break;
    }
    case 9: writes.emplace_back(sync::delete_idempotency{1, 1, std::to_string(random.below(8))}); break;
    case 10: writes.emplace_back(random.operation()); break;
    case 11: writes.emplace_back(sync::delete_operation{1, 1, "o"}); break;
    case 12: {
      auto is = random.feed_row();
      is.key = random.below(8);
      writes.emplace_back(is);
      break;
    }
    case 13: writes.emplace_back(sync::delete_feed_row{random.below(8)}); break;
    case 14: {
      auto is = random.notification();
      is.at = random.below(8);
      is.id = "n" + std::to_string(is.at);
      writes.emplace_back(is);
      break;
    }
    case 15: writes.emplace_back(sync::delete_notification{random.below(8)}); break;
    case 16: {
      auto is = random.analytics();
      is.hour = static_cast<std::int64_t>(random.below(8));
      writes.emplace_back(is);
      break;
    }
    case 17: writes.emplace_back(sync::delete_analytics{static_cast<std::int64_t>(random.below(8))}); break;
    default: writes.emplace_back(sync::put_swept_position{random.u64()}); break;
    }
  }
  return writes;
}

} // namespace

TEST_CASE("a write becomes the rows of its tables") {
  const auto keys_of = [&](sync::write what, numbering before = {}) {
    std::vector<std::string> keys;
    for (const auto& [key, value] :
         listed(good(write_batch::encode("acme", {std::move(what)}, before)).bytes()))
      keys.push_back((value ? "+" : "-") + std::string(to_string(parse_key(key)->in)));
    return keys;
  };
  using names = std::vector<std::string>;
  CHECK(keys_of(sync::tenant_counters{}) == names{"+counters"});
  CHECK(keys_of(sync::entity{}) == names{"+entity"});
  CHECK(keys_of(sync::user{.id = "u", .number = 1}) == names{"+user", "+user by name"});
  CHECK(keys_of(sync::policy{}) == names{"+policy"});
  CHECK(keys_of(sync::idempotency_record{}) == names{"+idempotency"});
  CHECK(keys_of(sync::operation_record{}) == names{"+operation"});
  CHECK(keys_of(sync::feed_row{}) == names{"+feed"});
  CHECK(keys_of(sync::put_swept_position{}) == names{"+swept position"});
  CHECK(keys_of(sync::delete_entity{}) == names{"-entity"});
  CHECK(keys_of(sync::delete_feed_row{}) == names{"-feed"});
  CHECK(keys_of(sync::delete_idempotency{}) == names{"-idempotency"});
  CHECK(keys_of(sync::delete_operation{}) == names{"-operation"});

  sync::conflict conflict;
  conflict.first_at = 5;
  conflict.id = "c5";
  CHECK(keys_of(conflict) == names{"+conflict", "+open conflict"});
  conflict.status = sync::conflict_status::resolved;
  CHECK(keys_of(conflict) == names{"+conflict", "-open conflict"});
  CHECK(keys_of(sync::delete_conflict{5}) == names{"-conflict", "-open conflict"});
  sync::notification told;
  told.at = 5;
  told.id = "n5";
  CHECK(keys_of(told) == names{"+notification"});
  CHECK(keys_of(sync::delete_notification{5}) == names{"-notification"});
  CHECK(keys_of(sync::analytics_hour{}) == names{"+analytics"});
  CHECK(keys_of(sync::delete_analytics{5}) == names{"-analytics"});

  sync::device device;
  device.id = "d";
  device.number = 3;
  device.owner = 1;
  CHECK(keys_of(device) == names{"+device", "+device by name", "+device by owner"});
  CHECK(keys_of(device, {.last_device = 2}) == names{"+device", "+device by name", "+device by owner"});
  CHECK(keys_of(device, {.last_device = 3}) == names{"+device"}); // known before: its index rows are there
}

TEST_CASE("no writes are a batch of no rows") {
  const auto batch = good(write_batch::encode("acme", {}));
  CHECK(listed(batch.bytes()).empty());
  CHECK(validate_entry(batch.bytes()).ok());
  CHECK(validate_entry("").ok());
  CHECK(write_batch{}.empty());
}

TEST_CASE("joined batches are an entry with the rows of both, in order") {
  random_rows random(21);
  const auto first = random_writes(random), second = random_writes(random);
  auto joined = good(write_batch::encode("acme", first));
  const auto later = good(write_batch::encode("other", second));
  auto expected = listed(joined.bytes());
  for (auto& row : listed(later.bytes())) expected.push_back(std::move(row));
  auto encoded_in_place = joined;
  joined.append(later);
  CHECK(listed(joined.bytes()) == expected);
  good(encoded_in_place.append(hash_tenant("other"), second));
  CHECK(encoded_in_place.bytes() == joined.bytes());
  CHECK(validate_entry(joined.bytes()).ok());
  const std::string copy(joined.bytes());
  CHECK(joined.take() == copy);
  joined.clear();
  CHECK(joined.empty());
}

TEST_CASE("a value longer than 64 KiB is a row like any other") {
  sync::idempotency_record large;
  large.key = "k";
  sync::write_list writes;
  for (const std::size_t size : {65'000u, 65'535u, 65'536u, 70'000u, 5'000'000u}) {
    large.key = std::to_string(size);
    large.answer = std::string(size, 'a');
    writes.emplace_back(large);
  }
  const auto batch = good(write_batch::encode("acme", writes));
  CHECK(validate_entry(batch.bytes()).ok());
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  apply_all(*env, {batch.bytes()});
  const auto snapshot = good(env->begin_read());
  tenant_store store(snapshot, "acme");
  CHECK(store.find_idempotency(0, 0, "5000000")->answer.size() == 5'000'000);
  CHECK(store.find_idempotency(0, 0, "65536")->answer.size() == 65'536);
}

TEST_CASE("an id that no key can hold is refused, and leaves the batch as it was") {
  auto batch = good(write_batch::encode("acme", {sync::user{.id = "ann", .number = 1}}));
  const std::string before(batch.bytes());
  const auto refused = batch.append(
      hash_tenant("acme"), {sync::tenant_counters{}, sync::user{.id = std::string(600, 'x'), .number = 2}});
  REQUIRE(!refused);
  CHECK(refused.failure().code == error_code::bad_user_input);
  CHECK(batch.bytes() == before);
  CHECK(!write_batch::encode("acme", {sync::delete_entity{sync::domain::task, 0, std::string(600, 'x')}}));
}

TEST_CASE("applying is last writer wins, whether entry by entry, all at once, or twice") {
  random_rows random(22);
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> entries;
    for (int i = 0; i < 6; ++i) {
      auto batch = good(write_batch::encode("acme", random_writes(random)));
      if (random.coin()) batch.append(good(write_batch::encode("acme", random_writes(random))));
      entries.push_back(batch.take());
    }
    const std::vector<std::string_view> views(entries.begin(), entries.end());

    rows model;
    for (const auto& entry : entries)
      for (const auto& [key, value] : listed(entry)) {
        if (value)
          model[key] = *value;
        else
          model.erase(key);
      }
    scratch_folder one, all;
    const auto one_by_one = open_environment(one.path());
    for (const auto entry : views) apply_all(*one_by_one, {entry});
    CHECK(rows_of(*one_by_one) == model);
    const auto at_once = open_environment(all.path());
    apply_all(*at_once, {views[0], views[1], views[2]});
    apply_all(*at_once, views); // a crash after applying and before noting it
    CHECK(rows_of(*at_once) == model);
  }
}

TEST_CASE("the counts say what was written") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  const auto batch =
      good(write_batch::encode("acme", {sync::put_swept_position{1}, sync::put_swept_position{2},
                                        sync::delete_feed_row{1}, sync::tenant_counters{.tenant = "acme"}}));
  const std::string_view entries[] = {batch.bytes()};
  auto transaction = good(env->begin_write());
  batch_applier applier;
  auto counts = good(applier.apply(transaction, entries));
  CHECK(counts.rows == 4);
  CHECK(counts.written == 2);
  CHECK(counts.removed == 0);
  good(transaction.commit());
}

TEST_CASE("what is no entry is refused before anything is written") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  const auto healthy = good(write_batch::encode("acme", {sync::put_swept_position{1}}));
  const std::string good_bytes(healthy.bytes());
  const auto refused = [&](std::string_view bad) {
    auto transaction = good(env->begin_write());
    batch_applier applier;
    const std::string_view entries[] = {good_bytes, bad};
    const auto outcome = applier.apply(transaction, entries);
    bool untouched = true;
    transaction.scan("", [&](auto, auto) { return untouched = false; });
    return !outcome && outcome.failure().code == error_code::internal && untouched && !validate_entry(bad);
  };
  for (std::size_t size = 1; size < good_bytes.size(); ++size) CHECK(refused(good_bytes.substr(0, size)));
  CHECK(refused(good_bytes + "x"));
  CHECK(refused("\xc0"));
  // Rows of the log, and no row at all.
  CHECK(refused(std::string("\xdd\x00\x00\x00\x01\x92\xc4\x01\x0f\xc0", 10)));
  CHECK(refused(std::string("\xdd\x00\x00\x00\x01\x92\xc4\x00\xc0", 9)));
  CHECK(refused(std::string("\xdd\x00\x00\x00\x01\x93\xc4\x01\x10\xc0", 10)));
  CHECK(refused(std::string("\x91\x92\xc5\x02\x00", 5) + std::string(512, '\x10') + '\xc0'));
}

TEST_CASE("a batch whose value was damaged on its way is found out") {
  random_rows random(23);
  auto writes = random_writes(random);
  writes.emplace_back(random.policy());
  const auto entry = good(write_batch::encode("acme", writes)).take();
  REQUIRE(validate_entry(entry).ok());
  int found = 0, harmless = 0;
  for (std::size_t bit = 0; bit < entry.size() * 8; ++bit) {
    auto damaged = entry;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    // Only the key of a deletion, and a deletion's nil, are outside every value's checksum.
    validate_entry(damaged) ? ++harmless : ++found;
  }
  CHECK(found > harmless);
  const auto only_puts = good(write_batch::encode("acme", {random.policy(), random.counters()})).take();
  for (std::size_t bit = 40; bit < only_puts.size() * 8; ++bit) {
    auto damaged = only_puts;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    CHECK(!validate_entry(damaged).ok());
  }
}
