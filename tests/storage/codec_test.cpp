#include "storage/codec.hpp"

#include <functional>

#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

struct row {
  std::string key, value;
};

template<class Encode> row encoded(const row_key& key, Encode&& encode) {
  row made;
  made.key = key.view();
  packer out(made.value);
  encode(out, made.key);
  out.finish();
  return made;
}

constexpr tenant_hash tenant = 42;

// One row of each table, with random content.
std::vector<row> one_of_each(random_rows& random) {
  std::vector<row> rows;
  const auto add = [&](const row_key& key, auto&& encode) { rows.push_back(encoded(key, encode)); };
  const auto counters = random.counters();
  add(keys::counters(tenant), [&](auto& out, auto key) { encode_counters(out, key, counters); });
  add(keys::swept(tenant), [&](auto& out, auto key) { encode_swept(out, key, random.u64()); });
  const auto policy = random.policy();
  add(keys::policy(tenant, policy.in), [&](auto& out, auto key) { encode_policy(out, key, policy); });
  const auto user = random.user();
  add(keys::user(tenant, user.number), [&](auto& out, auto key) { encode_user(out, key, user); });
  add(keys::user_by_name(tenant, user.id),
      [&](auto& out, auto key) { encode_user_by_name(out, key, user.number); });
  const auto device = random.device();
  add(keys::device(tenant, device.number), [&](auto& out, auto key) { encode_device(out, key, device); });
  add(keys::device_by_name(tenant, device.id),
      [&](auto& out, auto key) { encode_device_by_name(out, key, device.number); });
  add(keys::device_by_owner(tenant, device.owner, device.number),
      [&](auto& out, auto key) { encode_device_by_owner(out, key); });
  add(keys::open_conflict(tenant, random.u64()), [&](auto& out, auto key) {
    encode_open_conflict(out, key, random.one_of(sync::domain::work_order), random.u32());
  });
  const auto conflict = random.conflict();
  add(keys::conflict(tenant, conflict.first_at),
      [&](auto& out, auto key) { encode_conflict(out, key, conflict); });
  const auto told = random.notification();
  add(keys::notification(tenant, told.at), [&](auto& out, auto key) { encode_notification(out, key, told); });
  const auto hour = random.analytics();
  add(keys::analytics(tenant, hour.hour), [&](auto& out, auto key) { encode_analytics(out, key, hour); });
  const auto feed = random.feed_row();
  add(keys::feed(tenant, feed.key), [&](auto& out, auto key) { encode_feed_row(out, key, feed); });
  const auto remembered = random.idempotency();
  add(keys::idempotency(tenant, remembered.user, remembered.device, remembered.key),
      [&](auto& out, auto key) { encode_idempotency(out, key, remembered); });
  const auto operation = random.operation();
  add(keys::operation(tenant, operation.user, operation.device, operation.operation_id),
      [&](auto& out, auto key) { encode_operation(out, key, operation); });
  const auto entity = random.entity();
  add(keys::entity(tenant, entity.in, entity.owner, entity.id),
      [&](auto& out, auto key) { encode_entity(out, key, entity); });
  return rows;
}

std::string with_checksum(std::string_view key, std::string covered) {
  const auto crc = crc32c(covered, crc32c(key));
  for (int shift = 0; shift < 32; shift += 8) covered.push_back(static_cast<char>(crc >> shift));
  return covered;
}

} // namespace

TEST_CASE("every struct comes back as it was stored") {
  random_rows random(11);
  for (int i = 0; i < 2000; ++i) {
    {
      const auto is = random.counters();
      const auto at =
          encoded(keys::counters(tenant), [&](auto& out, auto key) { encode_counters(out, key, is); });
      CHECK(good(decode_counters(at.key, at.value)) == is);
    }
    {
      const auto is = random.u64();
      const auto at = encoded(keys::swept(tenant), [&](auto& out, auto key) { encode_swept(out, key, is); });
      CHECK(good(decode_swept(at.key, at.value)) == is);
    }
    {
      const auto is = random.policy();
      const auto at =
          encoded(keys::policy(tenant, is.in), [&](auto& out, auto key) { encode_policy(out, key, is); });
      CHECK(good(decode_policy(at.key, at.value)) == is);
    }
    {
      const auto is = random.user();
      const auto at =
          encoded(keys::user(tenant, is.number), [&](auto& out, auto key) { encode_user(out, key, is); });
      CHECK(good(decode_user(at.key, at.value)) == is);
      CHECK(good(decode_user_id(at.key, at.value)) == is.id);
      const auto by_name = encoded(keys::user_by_name(tenant, is.id),
                                   [&](auto& out, auto key) { encode_user_by_name(out, key, is.number); });
      CHECK(good(decode_user_by_name(by_name.key, by_name.value)) == is.number);
    }
    {
      const auto is = random.device();
      const auto at =
          encoded(keys::device(tenant, is.number), [&](auto& out, auto key) { encode_device(out, key, is); });
      CHECK(good(decode_device(at.key, at.value)) == is);
      CHECK(good(decode_device_id(at.key, at.value)) == is.id);
    }
    {
      const auto is = random.conflict();
      const auto at = encoded(keys::conflict(tenant, is.first_at),
                              [&](auto& out, auto key) { encode_conflict(out, key, is); });
      CHECK(good(decode_conflict(at.key, at.value)) == is);
    }
    {
      const auto is = random.notification();
      const auto at = encoded(keys::notification(tenant, is.at),
                              [&](auto& out, auto key) { encode_notification(out, key, is); });
      CHECK(good(decode_notification(at.key, at.value)) == is);
    }
    {
      const auto is = random.analytics();
      const auto at = encoded(keys::analytics(tenant, is.hour),
                              [&](auto& out, auto key) { encode_analytics(out, key, is); });
      CHECK(good(decode_analytics(at.key, at.value)) == is);
    }
    {
      const auto is = random.feed_row();
      const auto at =
          encoded(keys::feed(tenant, is.key), [&](auto& out, auto key) { encode_feed_row(out, key, is); });
      CHECK(good(decode_feed_row(at.key, at.value)) == is);
    }
    {
      const auto is = random.idempotency();
      const auto at = encoded(keys::idempotency(tenant, is.user, is.device, is.key),
                              [&](auto& out, auto key) { encode_idempotency(out, key, is); });
      CHECK(good(decode_idempotency(at.key, at.value)) == is);
      CHECK(good(decode_committed_at(at.key, at.value)) == is.committed_at);
    }
    {
      const auto is = random.operation();
      const auto at = encoded(keys::operation(tenant, is.user, is.device, is.operation_id),
                              [&](auto& out, auto key) { encode_operation(out, key, is); });
      CHECK(good(decode_operation(at.key, at.value)) == is);
      CHECK(good(decode_committed_at(at.key, at.value)) == is.committed_at);
    }
    {
      const auto is = random.entity();
      const auto at = encoded(keys::entity(tenant, is.in, is.owner, is.id),
                              [&](auto& out, auto key) { encode_entity(out, key, is); });
      CHECK(good(decode_entity(at.key, at.value)) == is);
      const auto view = good(decode_entity_view(at.key, at.value));
      CHECK(view.in == is.in);
      CHECK(view.owner == is.owner);
      CHECK(view.id == is.id);
      CHECK(view.version == is.version);
      CHECK(view.deleted == is.deleted);
      CHECK(view.data == is.data.bytes);
      CHECK(view.modified_at == is.modified_at);
      CHECK(view.updated_at == is.updated_at);
      CHECK(view.device == is.device);
      CHECK(view.user == is.user);
      CHECK(view.at == is.at);
    }
  }
}

TEST_CASE("a document of 100 kB is stored as it is") {
  sync::entity is;
  is.id = "large";
  document_writer out;
  out.begin_object(1);
  out.key("text");
  out.string(std::string(100'000, 'x'));
  is.data = out.take();
  const auto at = encoded(keys::entity(tenant, is.in, is.owner, is.id),
                          [&](auto& to, auto key) { encode_entity(to, key, is); });
  CHECK(good(decode_entity(at.key, at.value)) == is);
}

TEST_CASE("every flipped bit of a value, and of its key, is found out") {
  random_rows random(12);
  for (int round = 0; round < 12; ++round) {
    for (const auto& at : one_of_each(random)) {
      REQUIRE(check_row(at.key, at.value).ok());
      bool all_found = true;
      for (std::size_t bit = 0; bit < at.value.size() * 8; ++bit) {
        auto damaged = at.value;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
        all_found = all_found && !check_row(at.key, damaged).ok();
      }
      CHECK(all_found);
      for (std::size_t bit = 0; bit < at.key.size() * 8; ++bit) {
        auto damaged = at.key;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
        all_found = all_found && !check_row(damaged, at.value).ok();
      }
      CHECK(all_found);
    }
  }
}

TEST_CASE("a value that was cut off or grew is found out, also with a right checksum") {
  random_rows random(13);
  for (const auto& at : one_of_each(random)) {
    for (std::size_t size = 0; size < at.value.size(); ++size) {
      CHECK(!check_row(at.key, at.value.substr(0, size)).ok());
      CHECK(!check_row(at.key, with_checksum(at.key, at.value.substr(0, std::min(size, at.value.size() - 5))))
                 .ok());
    }
    const auto covered = at.value.substr(0, at.value.size() - 4);
    CHECK(check_row(at.key, with_checksum(at.key, covered)).ok());
    CHECK(!check_row(at.key, with_checksum(at.key, covered + '\0')).ok());
  }
}

TEST_CASE("random bytes under a right checksum never leave their bounds") {
  random_rows random(14);
  for (int round = 0; round < 300; ++round) {
    for (const auto& at : one_of_each(random)) {
      auto covered = at.value.substr(0, at.value.size() - 4);
      for (auto n = 1 + random.below(3); n > 0 && covered.size() > 1; --n)
        covered[1 + random.below(covered.size() - 1)] = static_cast<char>(random.below(256));
      const auto value = with_checksum(at.key, covered);
      // Either it is refused, or it reads as a row of that shape; the sanitizers watch the rest.
      if (const auto read = check_row(at.key, value); !read)
        CHECK(read.failure().code == error_code::internal);
    }
  }
}

TEST_CASE("a row of a newer version says so, damage does not claim to be one") {
  random_rows random(15);
  const auto is = random.entity();
  const auto at = encoded(keys::entity(tenant, is.in, is.owner, is.id),
                          [&](auto& out, auto key) { encode_entity(out, key, is); });
  auto covered = at.value.substr(0, at.value.size() - 4);
  covered[0] = record_version(table::entity) + 1;
  const auto newer = decode_entity(at.key, with_checksum(at.key, covered));
  REQUIRE(!newer);
  CHECK(newer.failure().message.find("newer version of mooring") != std::string::npos);
  CHECK(newer.failure().message.find(to_hex(at.key)) != std::string::npos);
  auto damaged = at.value;
  damaged[0] = record_version(table::entity) + 1;
  CHECK(decode_entity(at.key, damaged).failure().message.find("checksum") != std::string::npos);
  covered[0] = 0;
  CHECK(!decode_entity(at.key, with_checksum(at.key, covered)));
}

TEST_CASE("a device row of an earlier format is read, and has none of what came later") {
  random_rows random(18);
  for (int i = 0; i < 200; ++i) {
    auto is = random.device();
    is.push.clear();
    is.domains.clear();
    is.acknowledged.begun = 0;
    const auto now =
        encoded(keys::device(tenant, is.number), [&](auto& out, auto key) { encode_device(out, key, is); });
    // Format 2 ended with the domains, format 1 with the acknowledged position: here two empty arrays and a zero fewer.
    const auto covered = now.value.substr(0, now.value.size() - 4);
    REQUIRE(covered.substr(0, 4) == std::string("\x03\xdc\x00\x12", 4));
    REQUIRE(covered.ends_with(std::string("\x90\x90\x00", 3)));
    const auto rest = covered.substr(4, covered.size() - 4);
    const auto format_1 = "\x9f" + rest.substr(0, rest.size() - 3);
    const auto format_2 = std::string("\xdc\x00\x11", 3) + rest.substr(0, rest.size() - 1);
    for (const auto& before : {"\x01" + format_1, "\x02" + format_2}) {
      const auto value = with_checksum(now.key, before);
      CHECK(good(decode_device(now.key, value)) == is);
      CHECK(good(decode_device_id(now.key, value)) == is.id);
      CHECK(check_row(now.key, value).ok());
    }
    // The shapes are not taken for one another.
    for (const auto& wrong : {"\x02" + format_1, "\x03" + format_1, "\x01" + format_2, "\x03" + format_2,
                              "\x01" + covered.substr(1), "\x02" + covered.substr(1)})
      CHECK(!decode_device(now.key, with_checksum(now.key, wrong)));
  }
}

TEST_CASE("a row does not decode under another table's key") {
  random_rows random(16);
  const auto rows = one_of_each(random);
  for (const auto& at : rows) {
    const auto parts = parse_key(at.key);
    if (parts->in != table::entity) {
      CHECK(!decode_entity(at.key, at.value));
      CHECK(!decode_entity_view(at.key, at.value));
    }
    if (parts->in != table::feed) CHECK(!decode_feed_row(at.key, at.value));
    if (parts->in != table::device_by_owner) CHECK(!decode_device_by_owner(at.key, at.value));
  }
  CHECK(!check_row("\x10nonsense", rows.front().value).ok());
}

TEST_CASE("values that no enumerator has, and documents that are none, are refused") {
  const auto policy_key = keys::policy(tenant, sync::domain::task);
  const auto policy = [&](std::string body) {
    return check_row(policy_key.view(),
                     with_checksum(policy_key.view(), std::string(1, record_version(table::policy)) + body))
        .ok();
  };
  CHECK(policy("\x93\x06\xc3\xc2"));
  CHECK(!policy("\x93\x07\xc3\xc2"));     // a strategy that is none
  CHECK(!policy("\x93\x06\xc3\x01"));     // a number for a boolean
  CHECK(!policy("\x92\x06\xc3"));         // an element short
  CHECK(!policy("\x93\x06\xc3\xc2\xc0")); // one too many behind

  const auto entity_key = keys::entity(tenant, sync::domain::task, 0, "e");
  const auto entity = [&](std::string_view data) {
    std::string body(1, record_version(table::entity));
    body.append("\x99\x01\xc2\xc4", 4).push_back(static_cast<char>(data.size()));
    body.append(data).append("\x0a\x00\x01\x01\x01\x05", 6);
    return check_row(entity_key.view(), with_checksum(entity_key.view(), body)).ok();
  };
  CHECK(entity("\x80"));
  CHECK(entity(""));
  CHECK(!entity("\x81"));
  CHECK(!entity("\x80\x80"));
  CHECK(!entity("\xc1"));

  const auto feed_key = keys::feed(tenant, 9);
  const auto feed = [&](std::string_view kind) {
    std::string body(1, record_version(table::feed));
    body.append("\x97\x00\x00", 3).append(kind).append("\x00\xa1x\x01\x00", 5);
    return check_row(feed_key.view(), with_checksum(feed_key.view(), body)).ok();
  };
  CHECK(feed(std::string_view("\x00", 1)));
  CHECK(!feed("\x03"));                              // a kind of slot that is none
  CHECK(!feed("\x24"));                              // domain 9
  CHECK(!feed(std::string_view("\xcd\x03\x00", 3))); // priority 3
  CHECK(!feed(std::string_view("\xcd\x08\x00", 3))); // a bit that has no meaning
}

TEST_CASE("push settings that nobody can have made are refused") {
  random_rows random(19);
  auto is = random.device();
  is.push = {{sync::domain::voice, true, false, sync::priority::normal}};
  is.domains.clear();
  const auto at =
      encoded(keys::device(tenant, is.number), [&](auto& out, auto key) { encode_device(out, key, is); });
  const auto with = [&](char setting) {
    auto covered = at.value.substr(0, at.value.size() - 4);
    covered[covered.size() - 3] = setting;
    return check_row(at.key, with_checksum(at.key, covered)).ok();
  };
  CHECK(with('\x11'));
  CHECK(with('\x70'));
  CHECK(with('\x19'));  // WORK_ORDER
  CHECK(!with('\x1a')); // domain 9
  CHECK(!with('\xc0')); // not a number
}

TEST_CASE("numbers of every width are read back") {
  std::string bytes;
  std::vector<std::int64_t> values;
  for (int bit = 0; bit < 64; ++bit)
    for (const int around : {-1, 0, 1}) {
      const auto value =
          static_cast<std::int64_t>((std::uint64_t{1} << bit) + static_cast<std::uint64_t>(around));
      values.push_back(value);
      values.push_back(static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(value)));
    }
  {
    packer out(bytes);
    for (const auto value : values) {
      out.room(18);
      out.integer(value);
      out.number(static_cast<std::uint64_t>(value));
    }
  }
  unpacker from(bytes);
  for (const auto value : values) {
    CHECK(from.integer() == value);
    CHECK(from.number() == static_cast<std::uint64_t>(value));
  }
  CHECK(from.whole());
  CHECK(from.number() == 0);
  CHECK(!from.ok());
}

TEST_CASE("what passes as a whole document can be walked, and every document passes") {
  random_rows random(17);
  for (int i = 0; i < 2000; ++i) {
    const auto document = random.object(4).bytes;
    CHECK(is_whole_document(document));
    CHECK(!is_whole_document(document + '\xc0'));
    CHECK(!is_whole_document(std::string_view(document).substr(0, random.below(document.size()))));
    auto damaged = document;
    damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    if (is_valid_document(damaged)) CHECK(is_whole_document(damaged));
    if (is_whole_document(damaged)) { // the sanitizers watch this walk
      std::string json;
      append_json(json, damaged);
      CHECK(!json.empty());
    }
  }
  CHECK(!is_whole_document(""));
  CHECK(!is_whole_document("\xc1"));
  CHECK(!is_whole_document("\x81\xc0\xc0"));          // a key that is no string
  CHECK(!is_whole_document(std::string(70, '\x91'))); // cut off, and too deep
  CHECK(!is_whole_document(std::string(70, '\x91') + '\xc0'));
  CHECK(is_whole_document(std::string(33, '\x91') + '\xc0'));
  CHECK(!is_whole_document("\xdf\xff\xff\xff\xff"));
  CHECK(!is_whole_document("\xdb\xff\xff\xff\xff"));
}
