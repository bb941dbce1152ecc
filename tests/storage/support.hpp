// Scratch folders, environments and random rows for the tests of storage/.
#pragma once

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>

#include <stdlib.h>

#include <doctest/doctest.h>

#include "base/document.hpp"
#include "storage/environment.hpp"
#include "storage/write_batch.hpp"
#include "sync/store.hpp"

namespace mooring::storage::test {

// A folder that goes with the test.
class scratch_folder {
 public:
  scratch_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "mooring-storage-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

template<class T> T good(result<T>&& outcome) {
  if (!outcome) FAIL(outcome.failure().message);
  if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}

// The machine's disk may be fuller than a node would like; tests of the reserve set their own.
inline environment_options options_for(const std::filesystem::path& folder) {
  environment_options options;
  options.folder = folder;
  options.disk_reserve_bytes = 0;
  options.disk_reserve_share = 0;
  return options;
}
inline std::unique_ptr<environment> open_environment(const std::filesystem::path& folder) {
  return good(environment::open(options_for(folder)));
}

inline void put_row(environment& env, std::string_view key, std::string_view value) {
  auto transaction = good(env.begin_write());
  good(transaction.put(key, value));
  good(transaction.commit());
}

// Makes writes durable the way a shard does: encoded as a batch, applied in one transaction.
inline void store_writes(environment& env, std::string_view tenant, const sync::write_list& writes) {
  const auto batch = good(write_batch::encode(tenant, writes));
  auto transaction = good(env.begin_write());
  batch_applier applier;
  const std::string_view entries[] = {batch.bytes()};
  good(applier.apply(transaction, entries));
  good(transaction.commit());
}

// Random rows: small numbers, extreme numbers, empty and long texts.
class random_rows {
 public:
  explicit random_rows(std::uint64_t seed)
      : engine_(seed) {}

  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool coin() { return below(2) == 0; }
  std::uint64_t u64() {
    switch (below(5)) {
    case 0: return below(128);
    case 1: return below(70'000);
    case 2: return UINT64_MAX - below(3);
    case 3: return std::uint64_t{1} << below(64);
    default: return engine_();
    }
  }
  std::uint32_t u32() { return static_cast<std::uint32_t>(u64()); }
  std::int32_t i32() { return static_cast<std::int32_t>(u64()); }
  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  instant time() {
    return coin() ? instant{1'700'000'000'000 + static_cast<std::int64_t>(below(1'000'000))} : instant{i64()};
  }
  template<class Enum> Enum one_of(Enum last) {
    return static_cast<Enum>(below(static_cast<std::uint64_t>(last) + 1));
  }
  std::string text(std::size_t most) {
    std::string out(below(4) == 0 ? below(most + 1) : below(std::min<std::size_t>(most, 20) + 1), '\0');
    for (auto& c : out) c = static_cast<char>(' ' + below(95));
    return out;
  }
  std::optional<std::string> maybe_text() {
    if (coin()) return std::nullopt;
    return text(300);
  }
  document object(int depth = 2) {
    document_writer out;
    const auto members = below(6);
    out.begin_object(members);
    for (std::uint64_t i = 0; i < members; ++i) {
      out.key("f" + std::to_string(i));
      switch (below(depth > 0 ? 6 : 5)) {
      case 0: out.null(); break;
      case 1: out.boolean(coin()); break;
      case 2: out.integer(i64()); break;
      case 3: out.number(static_cast<double>(i32()) / 7); break;
      case 4: out.string(text(400)); break;
      default: out.value(object(depth - 1).bytes);
      }
    }
    return out.take();
  }
  document maybe_object() { return coin() ? object() : document{}; }
  digest128 digest() { return {u64(), u64()}; }
  std::string bytes(std::size_t most) {
    std::string out(below(most + 1), '\0');
    for (auto& c : out) c = static_cast<char>(below(256));
    return out;
  }

  sync::tenant_counters counters() { return {text(128), u32(), u32(), u64()}; }
  sync::entity entity() {
    sync::entity made;
    made.in = one_of(sync::domain::work_order);
    made.owner = u32();
    made.id = text(128);
    made.version = i32();
    made.deleted = coin();
    made.data = maybe_object();
    made.modified_at = time();
    made.updated_at = time();
    made.device = u32();
    made.user = u32();
    made.run_start = i32();
    made.at = u64();
    if (coin()) {
      made.first_device = u32();
      made.first_modified_at = time();
      for (auto n = below(5); n > 0; --n) {
        sync::field_stamp field{text(100), i32(), time(), u32(), {}};
        for (auto h = below(sync::field_history_max + 1); h > 0; --h)
          field.history.emplace_back(i32(), u64());
        made.fields.push_back(std::move(field));
      }
    }
    return made;
  }
  sync::conflict conflict() {
    sync::conflict made;
    made.first_at = u64();
    made.id = "c" + std::to_string(made.first_at);
    made.in = one_of(sync::domain::work_order);
    made.owner = u32();
    made.entity_id = text(128);
    made.server_version = i32();
    made.client_version = i32();
    for (auto n = below(20); n > 0; --n) made.fields.push_back(text(60));
    made.by = one_of(sync::strategy::manual);
    made.status = one_of(sync::conflict_status::resolved);
    made.winner = one_of(sync::conflict_side::merged);
    made.server_data = maybe_object();
    made.client_data = maybe_object();
    made.client_operation = one_of(sync::operation::sync);
    made.client_modified_at = time();
    made.client_priority = one_of(sync::priority::critical);
    made.device_id = text(128);
    made.device = u32();
    made.user = u32();
    made.server_device_id = text(128);
    made.created_at = time();
    if (coin()) made.resolved_at = time();
    made.resolved_by = text(128);
    made.notes = text(2000);
    made.resolved_version = i32();
    made.at = u64();
    return made;
  }
  sync::device device() {
    sync::device made;
    made.id = text(128);
    made.number = u32();
    made.owner = u32();
    made.type = one_of(sync::device_type::other);
    made.name = maybe_text();
    made.os_type = maybe_text();
    made.os_version = maybe_text();
    made.app_version = maybe_text();
    if (coin()) made.priority_override = i32();
    made.active = coin();
    made.registered_at = time();
    if (coin()) made.last_sync_at = time();
    made.sync_count = i64();
    made.failed_sync_count = i64();
    made.conflict_count = i64();
    made.acknowledged = {u64(), coin() ? u64() : 0};
    if (coin())
      for (auto n = below(11); n > 0; --n) {
        sync::push_setting setting{{}, coin(), coin(), one_of(sync::priority::critical)};
        if (coin()) setting.in = one_of(sync::domain::work_order);
        made.push.push_back(setting);
      }
    if (coin())
      for (auto n = below(10); n > 0; --n)
        made.domains.push_back({one_of(sync::domain::work_order), i32(), time(), i64()});
    return made;
  }
  sync::analytics_hour analytics() {
    sync::analytics_hour made;
    made.hour = u32();
    made.requests = i64();
    made.succeeded = i64();
    made.replayed = i64();
    made.conflicts_by_policy = i64();
    made.conflicts_opened = i64();
    made.bytes = i64();
    made.duration_sum_us = i64();
    for (auto& one : made.durations)
      if (coin()) one = i64();
    for (auto& one : made.domains)
      if (coin()) one = {i64(), i64(), i64(), i64()};
    for (auto n = below(coin() ? 10 : 2000); n > 0; --n) made.devices.add(text(20));
    return made;
  }
  sync::notification notification() {
    sync::notification made;
    made.at = u64();
    made.id = "n" + std::to_string(made.at);
    made.kind = one_of(sync::notification_kind::message);
    made.owner = u32();
    made.only_device = u32();
    made.domains = static_cast<sync::domain_set>(below(sync::all_domains + 1u));
    made.text = text(4096);
    made.data = maybe_object();
    made.urgency = one_of(sync::priority::critical);
    made.created_at = time();
    return made;
  }
  sync::user user() { return {text(128), u32()}; }
  sync::policy policy() {
    return {one_of(sync::domain::work_order), one_of(sync::strategy::manual), coin(), coin()};
  }
  sync::idempotency_record idempotency() { return {u32(), u32(), text(255), digest(), time(), bytes(600)}; }
  sync::operation_record operation() { return {u32(), u32(), text(128), digest(), time(), bytes(600)}; }
  sync::feed_row feed_row() {
    sync::feed_row made;
    made.key = u64();
    for (auto n = below(70); n > 0; --n)
      made.slots.push_back({u64(), one_of(sync::slot_kind::notification), one_of(sync::domain::work_order),
                            u32(), text(128), u32(), one_of(sync::operation::sync),
                            one_of(sync::priority::critical), coin(), time()});
    return made;
  }

 private:
  std::mt19937_64 engine_;
};

} // namespace mooring::storage::test
