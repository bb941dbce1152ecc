// The packed answers of idempotency and operation records.
#include "sync/answer_codec.hpp"

#include <random>

#include "sync/packing.hpp"
#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

conflict full_conflict() {
  conflict c;
  c.id = "c77";
  c.in = domain::ticket;
  c.owner = 4'000'000'000u;
  c.entity_id = std::string(128, 'e');
  c.server_version = 300;
  c.client_version = 2;
  c.fields = {"a", "b"};
  c.by = strategy::merge;
  c.status = conflict_status::resolved;
  c.winner = conflict_side::merged;
  c.server_data = json(R"({"a":[1,2,{"x":null}]})");
  c.client_operation = operation::remove;
  c.client_modified_at = {-5};
  c.client_priority = priority::critical;
  c.device_id = "phone";
  c.device = 7;
  c.user = 8;
  c.server_device_id = "tablet";
  c.created_at = {1'759'060'800'000};
  c.resolved_at = instant{1'759'060'800'001};
  c.resolved_by = "policy";
  c.notes = std::string(300, 'n');
  c.resolved_version = 301;
  c.first_at = 77;
  c.at = ~position{0};
  return c;
}

upload_answer full_answer() {
  upload_answer a;
  section_answer s;
  s.synced_items = 2;
  s.failed_items = 1;
  s.items = {{"v1", {}, true, {}, true, false, {}, {}},
             {"t1", "op", true, 9, false, true, "c77", {}},
             {std::string(40, 'i'),
              {},
              false,
              {},
              false,
              false,
              {},
              item_error{error_code::not_found, "no", "entityId", "i", json(R"({"x":1})")}}};
  s.conflicts = {full_conflict()};
  s.errors = {*s.items[2].failure, {error_code::payload_too_large, "m", {}, {}, {}}};
  s.metrics = {3, 2, 1, 1, 1.5, 99, 0.25};
  a.voice = section_answer{};
  a.metrics = s;
  a.operations = s;
  a.overall = {6, 4, 2, 2, 0, 5'000'000'000, {}};
  a.warnings = {"w1", ""};
  a.server_timestamp = {1'759'060'800'000};
  a.idempotency_key = "key";
  a.replayed = true;
  return a;
}

} // namespace

TEST_CASE("an answer reads back as it was, marked as a replay") {
  auto answer = full_answer();
  auto back = unpack_answer(pack_answer(answer));
  REQUIRE(back.ok());
  CHECK(*back == answer);
  answer = {};
  back = unpack_answer(pack_answer(answer));
  REQUIRE(back.ok());
  CHECK(back->replayed);
  answer.replayed = true;
  CHECK(*back == answer);
}

TEST_CASE("an outcome reads back as it was") {
  const auto answer = full_answer();
  for (const auto& item : answer.operations->items) {
    const auto back = unpack_item(pack_item(item));
    REQUIRE(back.ok());
    CHECK(*back == item);
  }
}

TEST_CASE("an outcome byte for byte") {
  item_result item;
  item.item_id = "t1";
  item.version = 2;
  CHECK(pack_item(item) == "\x92\x01\x93\x11\xa2t1\x02");
}

TEST_CASE("bytes that are cut off, longer or of another version are refused") {
  const auto good = pack_answer(full_answer());
  for (std::size_t n = 0; n < good.size(); ++n)
    REQUIRE_FALSE(unpack_answer(std::string_view(good).substr(0, n)).ok());
  CHECK_FALSE(unpack_answer(good + '\0').ok());
  auto other = good;
  other[1] = 2;
  CHECK_FALSE(unpack_answer(other).ok());
  CHECK(unpack_answer(other).failure().code == error_code::internal);
  const auto item = pack_item(full_answer().operations->items[1]);
  for (std::size_t n = 0; n < item.size(); ++n)
    CHECK_FALSE(unpack_item(std::string_view(item).substr(0, n)).ok());
  CHECK_FALSE(unpack_item(item + "x").ok());
}

TEST_CASE("damaged bytes never do more than fail, and a document that is read is a valid one") {
  std::random_device seeds;
  const auto seed = seeds();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  const auto good = pack_answer(full_answer());
  for (int run = 0; run < 20'000; ++run) {
    auto bad = good;
    for (auto n = random() % 4 + 1; n > 0; --n) bad[random() % bad.size()] = static_cast<char>(random());
    const auto back = unpack_answer(bad);
    if (!back.ok() || !back->operations) continue;
    for (const auto& c : back->operations->conflicts)
      REQUIRE((c.server_data.absent() || is_valid_document(c.server_data.bytes)));
  }
}

TEST_CASE("a count beyond the bytes that are there is refused at once") {
  CHECK_FALSE(unpack_answer(std::string("\xdd\xff\xff\xff\xff\x01", 6)).ok());
}

TEST_CASE("numbers of every width read back") {
  const std::int64_t numbers[] = {0,   1,         127,       128,       -1,        -32,
                                  -33, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1ll << 40};
  std::string text;
  packer out(text);
  for (const auto n : numbers) out.integer(n);
  out.unsigned_integer(~std::uint64_t{0});
  out.unsigned_integer(5);
  out.text(std::string(200, 'a'));
  out.text(std::string(70'000, 'b'));
  out.array(16);
  out.boolean(true);
  out.boolean(false);
  for (int i = 0; i < 14; ++i) out.nil();
  unpacker in(text);
  for (const auto n : numbers) CHECK(in.integer() == n);
  CHECK(in.unsigned_integer() == ~std::uint64_t{0});
  CHECK(in.unsigned_integer() == 5);
  CHECK(in.text().size() == 200);
  CHECK(in.text().size() == 70'000);
  CHECK(in.array() == 16);
  CHECK(in.boolean());
  CHECK_FALSE(in.boolean());
  for (int i = 0; i < 14; ++i) CHECK(in.take_nil());
  CHECK(in.at_end());
  CHECK_FALSE(in.failed());
  CHECK(in.integer() == 0);
  CHECK(in.failed());
}

TEST_CASE("reading another shape than what is there fails") {
  const auto fails = [](std::string_view bytes, auto read) {
    unpacker in(bytes);
    read(in);
    CHECK(in.failed());
  };
  fails("\xc3", [](unpacker& in) { in.integer(); });
  fails("\x01", [](unpacker& in) { in.boolean(); });
  fails("\x01", [](unpacker& in) { in.text(); });
  fails("\x01", [](unpacker& in) { in.bytes(); });
  fails("\x01", [](unpacker& in) { in.number(); });
  fails("\x01", [](unpacker& in) { in.array(); });
  fails("\xff", [](unpacker& in) { in.unsigned_integer(); });
  fails("\x05", [](unpacker& in) { in.enumerator(priority::critical); });
  fails("\xff", [](unpacker& in) { in.enumerator(priority::critical); });
  fails("\x92\x01\x01", [](unpacker& in) { in.array_of(3); });
  fails(std::string_view("\xd3\x7f\x00\x00\x00\x00\x00\x00\x00", 9), [](unpacker& in) { in.integer32(); });
  fails("\xa5xx", [](unpacker& in) { in.text(); });
  fails("\xd9", [](unpacker& in) { in.text(); });
}
