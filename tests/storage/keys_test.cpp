#include "storage/keys.hpp"

#include <algorithm>

#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {
std::string text(const row_key& key) {
  return std::string(key.view());
}
constexpr tenant_hash tenant = 0x0102030405060708;
} // namespace

TEST_CASE("a key is tag, tenant, table and what the table adds, big-endian") {
  CHECK(to_hex(keys::counters(tenant).view()) == "10010203040506070801");
  CHECK(to_hex(keys::swept(tenant).view()) == "10010203040506070802");
  CHECK(to_hex(keys::policy(tenant, sync::domain::task).view()) == "1001020304050607080306");
  CHECK(to_hex(keys::user_by_name(tenant, "ann").view()) == "10010203040506070804616e6e");
  CHECK(to_hex(keys::user(tenant, 7).view()) == "1001020304050607080500000007");
  CHECK(to_hex(keys::device_by_name(tenant, "p").view()) == "1001020304050607080670");
  CHECK(to_hex(keys::device_by_owner(tenant, 7, 258).view()) == "100102030405060708070000000700000102");
  CHECK(to_hex(keys::device(tenant, 258).view()) == "1001020304050607080800000102");
  CHECK(to_hex(keys::open_conflict(tenant, 1).view()) == "100102030405060708090000000000000001");
  CHECK(to_hex(keys::conflict(tenant, 1).view()) == "1001020304050607080a0000000000000001");
  CHECK(to_hex(keys::notification(tenant, 1).view()) == "1001020304050607080b0000000000000001");
  CHECK(to_hex(keys::analytics(tenant, 488'627).view()) == "1001020304050607080c000774b3");
  CHECK(to_hex(keys::feed(tenant, 0x1122334455667788).view()) == "100102030405060708101122334455667788");
  CHECK(to_hex(keys::idempotency(tenant, 1, 2, "k").view()) == "1001020304050607081100000001000000026b");
  CHECK(to_hex(keys::operation(tenant, 1, 2, "k").view()) == "1001020304050607081200000001000000026b");
  CHECK(to_hex(keys::entity(tenant, sync::domain::ticket, 3, "e").view()) == "100102030405060708200700000003"
                                                                             "65");
}

TEST_CASE("every key parses back to its parts") {
  random_rows random(1);
  for (int i = 0; i < 500; ++i) {
    const auto hash = random.u64();
    const auto user = random.u32(), device = random.u32();
    const auto at = random.u64();
    const auto id = random.text(255);
    const auto in = random.one_of(sync::domain::work_order);
    const auto parsed = [](const row_key& key) {
      auto parts = parse_key(key.view());
      REQUIRE(parts);
      return *parts;
    };
    CHECK(parsed(keys::counters(hash)).tenant == hash);
    CHECK(parsed(keys::counters(hash)).in == table::counters);
    CHECK(parsed(keys::swept(hash)).in == table::swept);
    CHECK(parsed(keys::policy(hash, in)).domain == in);
    CHECK(parsed(keys::user(hash, user)).user == user);
    CHECK(parsed(keys::device(hash, device)).device == device);
    CHECK(parsed(keys::analytics(hash, user)).hour == user);
    CHECK(parsed(keys::device_by_owner(hash, user, device)).user == user);
    CHECK(parsed(keys::device_by_owner(hash, user, device)).device == device);
    for (const auto& key : {keys::open_conflict(hash, at), keys::conflict(hash, at),
                            keys::notification(hash, at), keys::feed(hash, at)})
      CHECK(parsed(key).at == at);
    const auto by_user = keys::user_by_name(hash, id), by_device = keys::device_by_name(hash, id);
    CHECK(parsed(by_user).id == id);
    CHECK(parsed(by_device).id == id);
    const auto entity = keys::entity(hash, in, user, id);
    CHECK(parsed(entity).id == id);
    CHECK(parsed(entity).user == user);
    CHECK(parsed(entity).domain == in);
    for (const auto& key :
         {keys::idempotency(hash, user, device, id), keys::operation(hash, user, device, id)}) {
      CHECK(parsed(key).user == user);
      CHECK(parsed(key).device == device);
      CHECK(parsed(key).id == id);
      CHECK(parsed(key).tenant == hash);
    }
  }
}

TEST_CASE("what is no key of a table does not parse") {
  const std::string good_key = text(keys::feed(tenant, 9));
  CHECK(!parse_key(""));
  CHECK(!parse_key("\x0f"));
  CHECK(!parse_key(good_key.substr(0, 9)));
  CHECK(!parse_key(good_key.substr(0, 10)));
  CHECK(!parse_key(good_key.substr(0, 17)));
  CHECK(!parse_key(good_key + "x"));
  CHECK(!parse_key(text(keys::counters(tenant)) + "x"));
  auto other_tag = good_key;
  other_tag[0] = 0x11;
  CHECK(!parse_key(other_tag));
  auto other_table = good_key;
  other_table[9] = 0x7f;
  CHECK(!parse_key(other_table));
  auto other_domain = text(keys::entity(tenant, sync::domain::task, 1, "e"));
  other_domain[10] = sync::domain_count;
  CHECK(!parse_key(other_domain));
}

TEST_CASE("rows of one tenant, and in a table of one user and device, are neighbours in numeric order") {
  std::vector<std::string> ordered = {
      text(keys::counters(1)),
      text(keys::device(1, 2)),
      text(keys::device(1, 255)),
      text(keys::device(1, 256)),
      text(keys::feed(1, 9)),
      text(keys::feed(1, 10)),
      text(keys::feed(1, 1ull << 40)),
      text(keys::idempotency(1, 1, 1, "z")),
      text(keys::idempotency(1, 1, 2, "a")),
      text(keys::idempotency(1, 2, 1, "a")),
      text(keys::operation(1, 1, 1, "a")),
      text(keys::entity(1, sync::domain::journal, 1, "z")),
      text(keys::entity(1, sync::domain::journal, 2, "a")),
      text(keys::entity(1, sync::domain::task, 0, "a")),
      text(keys::entity(1, sync::domain::task, 0, "aa")),
      text(keys::counters(2)),
      text(keys::counters(1ull << 63)),
  };
  CHECK(std::is_sorted(ordered.begin(), ordered.end()));
  CHECK(ordered.front().front() == tenant_rows_tag);
}

TEST_CASE("an id that is longer than a key makes the key unfit") {
  CHECK(keys::idempotency(tenant, 1, 1, std::string(255, 'k')).fits());
  CHECK(keys::user_by_name(tenant, std::string(501, 'u')).fits());
  CHECK(keys::user_by_name(tenant, std::string(501, 'u')).view().size() == key_bytes_max);
  CHECK(!keys::user_by_name(tenant, std::string(502, 'u')).fits());
}

TEST_CASE("every table has a name") {
  for (const auto in :
       {table::counters, table::swept, table::policy, table::user_by_name, table::user, table::device_by_name,
        table::device_by_owner, table::device, table::open_conflict, table::conflict, table::notification,
        table::analytics, table::feed, table::idempotency, table::operation, table::entity})
    CHECK(to_string(in) != "unknown");
  CHECK(to_string(static_cast<table>(0)) == "unknown");
}
