// docs/data_file.md is the contract of the files; its example is checked against the code, both ways.

#include <fstream>
#include <sstream>

#include "storage/codec.hpp"
#include "storage/write_batch.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

// The text of the page's fenced block with this label.
std::string block(std::string_view label) {
  std::ifstream page(std::string(MOORING_SOURCE_DIR) + "/docs/data_file.md");
  REQUIRE(page);
  std::stringstream text;
  text << page.rdbuf();
  const auto all = text.str();
  const auto fence = "```" + std::string(label) + "\n";
  const auto begin = all.find(fence);
  REQUIRE(begin != std::string::npos);
  const auto end = all.find("```", begin + fence.size());
  REQUIRE(end != std::string::npos);
  return all.substr(begin + fence.size(), end - begin - fence.size());
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    REQUIRE(digit >= 0);
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high << 4 | digit));
      high = -1;
    }
  }
  REQUIRE(high < 0);
  return bytes;
}

struct documented_row {
  std::string key;
  std::optional<std::string> value;
};

std::vector<documented_row> documented_rows() {
  std::vector<documented_row> rows;
  std::istringstream lines(block("rows"));
  std::string value;
  const auto finish = [&] {
    if (!value.empty()) rows.back().value = from_hex(value);
    value.clear();
  };
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("key")) {
      finish();
      rows.push_back({from_hex(line.substr(3)), std::nullopt});
    } else if (line.starts_with("value")) {
      value = line.substr(5);
    } else if (line.starts_with(" ")) {
      value += line;
    } else {
      CHECK((line.empty() || line == "removed"));
    }
  }
  finish();
  return rows;
}

sync::entity example_entity() {
  sync::entity made;
  made.in = sync::domain::task;
  made.owner = 0;
  made.id = "t1";
  made.version = 2;
  made.data = good(document_from_json(R"({"title":"Fix"})"));
  made.modified_at = {1'759'060'800'000};
  made.updated_at = {1'759'060'800'005};
  made.device = 1;
  made.user = 1;
  made.run_start = 2;
  made.at = 7;
  made.first_device = 3;
  made.first_modified_at = {1'759'060'700'000};
  made.fields = {{"title", 2, {1'759'060'800'000}, 1, {{1, 0x1122334455667788}}}};
  return made;
}

sync::device example_device() {
  sync::device made;
  made.id = "phone";
  made.number = 1;
  made.owner = 1;
  made.type = sync::device_type::phone;
  made.registered_at = {1'759'060'700'000};
  made.last_sync_at = instant{1'759'060'800'005};
  made.sync_count = 1;
  made.acknowledged = 6;
  made.push = {{{}, true, true, sync::priority::normal},
               {sync::domain::ticket, false, false, sync::priority::normal}};
  made.domains = {{sync::domain::task, 2, {1'759'060'800'005}, 1}};
  return made;
}

sync::notification example_notification() {
  sync::notification made;
  made.id = "n8";
  made.owner = 1;
  made.only_device = 1;
  made.text = "Hello";
  made.data = good(document_from_json("{}"));
  made.created_at = {1'759'060'800'005};
  made.at = 8;
  return made;
}

sync::feed_row example_feed_row() {
  sync::feed_slot slot;
  slot.at = 7;
  slot.in = sync::domain::task;
  slot.id = "t1";
  slot.device = 1;
  slot.what = sync::operation::update;
  slot.urgency = sync::priority::high;
  slot.decided_at = {1'759'060'800'005};
  sync::feed_slot told;
  told.at = 8;
  told.kind = sync::slot_kind::notification;
  told.owner = 1;
  told.id = "n8";
  told.what = sync::operation::create;
  told.expires = true;
  told.decided_at = slot.decided_at;
  return {8, {slot, told}};
}

const sync::tenant_counters example_counters{"acme", 1, 3, 8};

} // namespace

TEST_CASE("the page's example is what the code writes") {
  const auto batch =
      good(write_batch::encode("acme",
                               {example_counters, example_device(), example_notification(), example_entity(),
                                example_feed_row(), sync::delete_feed_row{4}},
                               {.last_device = 3}));
  CHECK(to_hex(batch.bytes()) == to_hex(from_hex(block("batch"))));
  const auto rows = documented_rows();
  REQUIRE(rows.size() == 6);
  entry_reader reader(batch.bytes());
  for (const auto& documented : rows) {
    const auto row = reader.next();
    REQUIRE(row);
    CHECK(to_hex(row->key) == to_hex(documented.key));
    CHECK(to_hex(row->value.value_or("")) == to_hex(documented.value.value_or("")));
    CHECK(row->value.has_value() == documented.value.has_value());
  }
  CHECK(!reader.next());
  CHECK(!reader.failed());
}

TEST_CASE("the page's example is what the code reads") {
  const auto rows = documented_rows();
  REQUIRE(rows.size() == 6);
  CHECK(good(decode_counters(rows[0].key, *rows[0].value)) == example_counters);
  CHECK(good(decode_device(rows[1].key, *rows[1].value)) == example_device());
  CHECK(good(decode_notification(rows[2].key, *rows[2].value)) == example_notification());
  CHECK(good(decode_entity(rows[3].key, *rows[3].value)) == example_entity());
  CHECK(good(decode_feed_row(rows[4].key, *rows[4].value)) == example_feed_row());
  CHECK(!rows[5].value);
  CHECK(validate_entry(from_hex(block("batch"))).ok());
}

TEST_CASE("enumerators have the numbers that the page gives them") {
  CHECK(static_cast<int>(sync::domain::work_order) == 8);
  CHECK(static_cast<int>(sync::domain::journal) == 4);
  CHECK(static_cast<int>(sync::operation::remove) == 2);
  CHECK(static_cast<int>(sync::strategy::manual) == 6);
  CHECK(static_cast<int>(sync::strategy::merge) == 4);
  CHECK(static_cast<int>(sync::device_type::other) == 4);
  CHECK(static_cast<int>(sync::priority::critical) == 2);
  CHECK(static_cast<int>(sync::conflict_side::merged) == 3);
  CHECK(static_cast<int>(sync::slot_kind::notification) == 2);
  CHECK(static_cast<int>(sync::notification_kind::message) == 1);
  // Tenants are found by this hash: a library that computed another would lose them all.
  CHECK(hash_tenant("acme") == 0x44ad98655d8858e1);
  CHECK(shard_of_tenant("acme", 8) == hash64("acme", 3) % 8);
}
