#include "storage/tenant_store.hpp"

#include <map>

#include "storage/directory.hpp"
#include "storage/tenants.hpp"
#include "tests/storage/sample.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

struct sample {
  scratch_folder folder;
  std::unique_ptr<environment> env = open_environment(folder.path());
  read_transaction snapshot;

  sample() {
    store_writes(*env, "acme", sample_tenant("acme"));
    store_writes(*env, "other", sample_tenant("other"));
    snapshot = good(env->begin_read());
  }
};

std::vector<sync::position> positions(tenant_store& store, sync::position after, std::size_t most = 100) {
  std::vector<sync::position> all;
  store.scan_feed(after, [&](const feed_slot_view& slot) {
    all.push_back(slot.at);
    return all.size() < most;
  });
  return all;
}

std::vector<std::string> conflicts(tenant_store& store, const conflict_filter& filter,
                                   std::size_t most = 100) {
  std::vector<std::string> all;
  store.scan_conflicts(filter, [&](sync::conflict&& one) {
    all.push_back(one.id);
    return all.size() < most;
  });
  return all;
}

using at = std::vector<sync::position>;
using ids = std::vector<std::string>;

} // namespace

TEST_CASE("what was written is found by its identity") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  CHECK(store.tenant() == "acme");
  CHECK(store.hash() == hash_tenant("acme"));
  CHECK(store.counters() == sync::tenant_counters{"acme", 2, 3, 12});
  CHECK(store.swept() == 1);
  CHECK(store.find_user("ann")->number == 1);
  CHECK(store.find_user(2)->id == "bob");
  CHECK(store.find_device("tablet-a")->number == 2);
  CHECK(store.find_device(3)->id == "phone-b");
  CHECK(store.find_device(3)->owner == 2);
  CHECK(store.find_policy(sync::domain::task)->resolution == sync::strategy::manual);
  CHECK(store.find_entity(sync::domain::task, 0, "t1")->fields.size() == 1);
  CHECK(store.find_entity(sync::domain::task, 0, "t2")->deleted);
  CHECK(store.find_conflict(8)->at == 10);
  CHECK(store.find_idempotency(1, 1, "key-2")->answer == sample_answer("key-2"));
  CHECK(store.find_operation(1, 1, "op-1")->outcome == sync::pack_item({}));
  CHECK(store.find_feed_row(1)->key == 4);
  CHECK(store.find_feed_row(4)->key == 4);
  CHECK(store.find_feed_row(5)->key == 8);
  CHECK(store.find_feed_row(8)->slots.size() == 3);
  CHECK(!store.failure());
}

TEST_CASE("what was not written is absent") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  CHECK(!store.find_user("ann2"));
  CHECK(!store.find_user(9));
  CHECK(!store.find_device("phone-c"));
  CHECK(!store.find_device(9));
  CHECK(!store.find_policy(sync::domain::ticket));
  CHECK(!store.find_entity(sync::domain::task, 1, "t1"));
  CHECK(!store.find_entity(sync::domain::ticket, 0, "t1"));
  CHECK(!store.find_entity(sync::domain::task, 0, std::string(600, 'x')));
  CHECK(!store.find_conflict(9));
  CHECK(!store.find_idempotency(1, 2, "key-1"));
  CHECK(!store.find_operation(1, 1, "op-2"));
  CHECK(!store.find_feed_row(13)); // the next row is another tenant's or another table's
  CHECK(!store.device_id(9));
  CHECK(!store.user_id(9));
  CHECK(!store.failure());

  tenant_store nobody(with.snapshot, "nobody");
  CHECK(nobody.counters() == sync::tenant_counters{"nobody", 0, 0, 0});
  CHECK(nobody.swept() == 0);
  CHECK(positions(nobody, 0).empty());
  CHECK(nobody.policies().empty());
  CHECK(!nobody.failure());
}

TEST_CASE("the feed is paged by position") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  CHECK(positions(store, 0) == at{2, 3, 5, 6, 7, 9, 10, 11, 12});
  CHECK(positions(store, 2) == at{3, 5, 6, 7, 9, 10, 11, 12});
  CHECK(positions(store, 5, 3) == at{6, 7, 9});
  CHECK(positions(store, 7) == at{9, 10, 11, 12});
  CHECK(positions(store, 12).empty());
  CHECK(positions(store, UINT64_MAX).empty());
}

TEST_CASE("a slot leads to its entity") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  std::vector<std::string> seen;
  store.scan_feed(0, [&](const feed_slot_view& slot) {
    const auto entity = store.view_entity(slot);
    CHECK(entity.has_value() == (slot.kind == sync::slot_kind::entity));
    if (!entity) return true;
    CHECK(entity->at == slot.at);
    CHECK(entity->in == slot.in);
    CHECK(entity->owner == slot.owner);
    const auto stored = store.find_entity(slot.in, slot.owner, slot.id);
    CHECK(stored->data.bytes == entity->data);
    CHECK(stored->updated_at == entity->updated_at);
    seen.emplace_back(entity->id);
    return true;
  });
  CHECK(seen == ids{"v1", "t1", "j1", "j2", "t2"});
  CHECK(!store.view_entity(sync::domain::task, 0, "t9"));
}

TEST_CASE("a scan of the feed may start another one") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  std::size_t inner = 0;
  store.scan_feed(0, [&](const feed_slot_view& slot) {
    inner += positions(store, slot.at).size();
    return true;
  });
  CHECK(inner == 8 + 7 + 6 + 5 + 4 + 3 + 2 + 1);
}

TEST_CASE("conflicts are listed by status, domain and who may see them") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  CHECK(conflicts(store, {.viewer = 1}) == ids{"c7"});
  CHECK(conflicts(store, {.viewer = 2}) == ids{"c7", "c11"});
  CHECK(conflicts(store, {.viewer = 2}, 1) == ids{"c7"});
  CHECK(conflicts(store, {.viewer = 2, .after = 7}) == ids{"c11"});
  CHECK(conflicts(store, {.domains = 1u << static_cast<int>(sync::domain::journal), .viewer = 2}) ==
        ids{"c11"});
  CHECK(conflicts(store, {.status = sync::conflict_status::resolved, .viewer = 1}) == ids{"c8"});
  CHECK(conflicts(store, {.status = sync::conflict_status::resolved, .viewer = 2}).empty());
  CHECK(conflicts(store, {.status = std::nullopt, .viewer = 1}) == ids{"c7", "c8"});
  CHECK(conflicts(store, {.status = std::nullopt, .viewer = 1, .after = 7}) == ids{"c8"});
  CHECK(conflicts(store, {.status = std::nullopt, .domains = 0, .viewer = 1}).empty());
  CHECK(conflicts(store, {.viewer = 2, .after = UINT64_MAX}).empty());
}

TEST_CASE("devices, policies and names are listed") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  const auto devices = store.devices_of(1);
  REQUIRE(devices.size() == 2);
  CHECK(devices[0].id == "phone-a");
  CHECK(devices[1].id == "tablet-a");
  CHECK(store.devices_of(2).size() == 1);
  CHECK(store.devices_of(3).empty());
  const auto policies = store.policies();
  REQUIRE(policies.size() == 2);
  CHECK(policies[0].in == sync::domain::journal);
  CHECK(policies[1].in == sync::domain::task);

  directory names;
  CHECK(*names.device(store, 3) == "phone-b");
  CHECK(*names.user(store, 2) == "bob");
  CHECK(names.device(store, 3) == names.device(store, 3)); // one string for all
  CHECK(names.device(store, 0) == nullptr);
  CHECK(names.user(store, 77) == nullptr);
}

TEST_CASE("a directory that is full forgets and goes on") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  sync::write_list writes{sync::tenant_counters{"acme", 5000, 0, 0}};
  for (sync::user_number n = 1; n <= 5000; ++n)
    writes.emplace_back(sync::user{"user " + std::to_string(n), n});
  store_writes(*env, "acme", writes);
  const auto snapshot = good(env->begin_read());
  tenant_store store(snapshot, "acme");
  directory names;
  bool all = true;
  for (int round = 0; round < 2; ++round)
    for (sync::user_number n = 1; n <= 5000; ++n)
      all = all && *names.user(store, n) == "user " + std::to_string(n);
  CHECK(all);
}

TEST_CASE("pending slots are counted without one's own, up to a bound") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  CHECK(store.count_pending(0, {.viewer = 1}, 100) == 7); // not bob's journal and conflict
  // The entities are its own work; that two of its edits met others is not.
  CHECK(store.count_pending(0, {.viewer = 1, .except = 1}, 100) == 3);
  CHECK(store.count_pending(0, {.viewer = 2, .except = 1}, 100) == 4);
  CHECK(store.count_pending(9, {.viewer = 1}, 100) == 2);
  CHECK(store.count_pending(0, {.viewer = 1}, 3) == 3);
  CHECK(store.count_pending(0, {.viewer = 1}, 0) == 0);
  CHECK(store.count_pending(0, {.domains = 1u << static_cast<int>(sync::domain::task), .viewer = 1}, 100) ==
        3);
  // What is told to one device waits for nobody else.
  sync::notification told;
  told.id = "n13";
  told.at = 13;
  told.only_device = 2;
  sync::feed_slot slot;
  slot.at = 13;
  slot.kind = sync::slot_kind::notification;
  slot.id = told.id;
  slot.expires = true;
  store_writes(*with.env, "acme", {told, sync::feed_row{13, {slot}}});
  good(with.snapshot.renew());
  CHECK(store.count_pending(12, {.viewer = 1, .except = 2}, 100) == 1);
  CHECK(store.count_pending(12, {.viewer = 1, .except = 1}, 100) == 0);
  CHECK(store.find_notification(13) == told);
  CHECK(!store.find_notification(14));
  CHECK(!store.failure());
}

TEST_CASE("active devices are counted, of one user or of the tenant") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  CHECK(store.count_devices(std::nullopt) == 3);
  CHECK(store.count_devices(1) == 2);
  CHECK(store.count_devices(2) == 1);
  CHECK(store.count_devices(7) == 0);
  auto lost = sample_device("tablet-a", 2, 1);
  lost.active = false;
  store_writes(*with.env, "acme", {lost});
  good(with.snapshot.renew());
  CHECK(store.count_devices(std::nullopt) == 2);
  CHECK(store.count_devices(1) == 1);
}

TEST_CASE("what expired is collected a few rows at a time") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  std::string resume;
  sync::write_list gone;
  store.collect_expired(sample_time + 1500, 100, resume, gone);
  CHECK(resume.empty());
  REQUIRE(gone.size() == 3);
  CHECK(std::get<sync::delete_idempotency>(gone[0]).key == "key-1");
  CHECK(std::get<sync::delete_idempotency>(gone[1]).key == "key-2");
  CHECK(std::get<sync::delete_operation>(gone[2]).operation_id == "op-1");

  sync::write_list stepwise;
  int steps = 0;
  do {
    store.collect_expired(sample_time + 1500, 1, resume, stepwise);
    ++steps;
  } while (!resume.empty());
  CHECK(stepwise.size() == 3);
  CHECK(steps == 4);

  gone.clear();
  store.collect_expired(sample_time, 100, resume, gone);
  CHECK(gone.empty());
  with.snapshot.park();
  sync::write_list all;
  good(with.snapshot.renew());
  store.collect_expired(sample_time + 10'000, 100, resume, all);
  with.snapshot.park();
  store_writes(*with.env, "acme", all);
  good(with.snapshot.renew());
  CHECK(!store.find_idempotency(2, 3, "key-1"));
  CHECK(!store.find_operation(1, 1, "op-1"));
  tenant_store other(with.snapshot, "other");
  CHECK(other.find_operation(1, 1, "op-1"));
}

TEST_CASE("hours of analytics are found, listed, and collected when they are old") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  const auto hour = sync::hour_of(sample_time);
  REQUIRE(store.find_analytics(hour));
  CHECK(store.find_analytics(hour)->requests == 3);
  CHECK(!store.find_analytics(hour - 1));
  CHECK(store.analytics(0, hour, 10).empty());
  CHECK(store.analytics(0, hour + 1, 10).size() == 1);
  CHECK(store.analytics(hour + 1, hour + 9, 10).empty());
  sync::write_list gone;
  store.collect_old_analytics(hour, 10, gone);
  CHECK(gone.empty());
  store.collect_old_analytics(hour + 1, 0, gone);
  CHECK(gone.empty());
  store.collect_old_analytics(hour + 1, 10, gone);
  REQUIRE(gone.size() == 1);
  CHECK(std::get<sync::delete_analytics>(gone[0]).hour == hour);
  store_writes(*with.env, "acme", gone);
  good(with.snapshot.renew());
  CHECK(!store.find_analytics(hour));
  CHECK(!store.failure());
}

TEST_CASE("the store follows its snapshot when that is renewed") {
  sample with;
  tenant_store store(with.snapshot, "acme");
  CHECK(store.counters().last_position == 12);
  store_writes(*with.env, "acme", {sync::tenant_counters{"acme", 2, 3, 13}});
  CHECK(store.counters().last_position == 12);
  good(with.snapshot.renew());
  CHECK(store.counters().last_position == 13);
}

TEST_CASE("a damaged row reads as absent and says so") {
  sample with;
  const auto damage = [&](const row_key& key) {
    std::string value(*with.snapshot.get(key.view()));
    value[value.size() / 2] = static_cast<char>(value[value.size() / 2] ^ 4);
    with.snapshot.park();
    put_row(*with.env, key.view(), value);
    good(with.snapshot.renew());
  };
  const auto tenant = hash_tenant("acme");
  tenant_store store(with.snapshot, "acme");
  const auto noticed = [&](auto&& read) {
    store.clear_failure();
    read();
    return store.failure() && store.failure()->code == error_code::internal;
  };
  damage(keys::entity(tenant, sync::domain::task, 0, "t1"));
  CHECK(noticed([&] { CHECK(!store.find_entity(sync::domain::task, 0, "t1")); }));
  CHECK(noticed([&] { CHECK(!store.view_entity(sync::domain::task, 0, "t1")); }));
  CHECK(!noticed([&] { CHECK(store.find_entity(sync::domain::voice, 1, "v1")); }));
  damage(keys::device(tenant, 2));
  CHECK(noticed([&] { CHECK(!store.find_device("tablet-a")); }));
  CHECK(noticed([&] { CHECK(store.devices_of(1).size() == 1); }));
  CHECK(noticed([&] { CHECK(!store.device_id(2)); }));
  damage(keys::device_by_name(tenant, "phone-b"));
  CHECK(noticed([&] { CHECK(!store.find_device("phone-b")); }));
  damage(keys::user_by_name(tenant, "ann"));
  CHECK(noticed([&] { CHECK(!store.find_user("ann")); }));
  damage(keys::user(tenant, 2));
  CHECK(noticed([&] { CHECK(!store.user_id(2)); }));
  damage(keys::feed(tenant, 8));
  CHECK(noticed([&] { CHECK(positions(store, 0) == at{2, 3}); }));
  CHECK(noticed([&] { CHECK(!store.find_feed_row(5)); }));
  damage(keys::open_conflict(tenant, 7));
  CHECK(noticed([&] { CHECK(conflicts(store, {.viewer = 1}).empty()); }));
  damage(keys::conflict(tenant, 7));
  CHECK(noticed([&] { CHECK(conflicts(store, {.status = std::nullopt, .viewer = 1}).empty()); }));
  damage(keys::policy(tenant, sync::domain::journal));
  CHECK(noticed([&] { CHECK(store.policies().empty()); }));
  damage(keys::idempotency(tenant, 1, 1, "key-1"));
  sync::write_list gone;
  std::string resume;
  CHECK(noticed([&] { store.collect_expired(sample_time + 5, 100, resume, gone); }));
  CHECK(gone.size() == 1); // the rest of the sweep goes on
  damage(keys::counters(tenant));
  tenant_store fresh(with.snapshot, "acme");
  CHECK(!fresh.find_user(1));
  CHECK(fresh.failure());
}

TEST_CASE("an index row that leads nowhere is a failure, not an absence") {
  sample with;
  const auto tenant = hash_tenant("acme");
  with.snapshot.park();
  {
    auto transaction = good(with.env->begin_write());
    good(transaction.remove(keys::device(tenant, 2).view()));
    good(transaction.remove(keys::conflict(tenant, 7).view()));
    good(transaction.commit());
  }
  good(with.snapshot.renew());
  tenant_store store(with.snapshot, "acme");
  CHECK(!store.find_device("tablet-a"));
  CHECK(store.failure());
  store.clear_failure();
  CHECK(store.devices_of(1).size() == 1);
  CHECK(store.failure());
  store.clear_failure();
  CHECK(conflicts(store, {.viewer = 1}).empty());
  CHECK(store.failure());
}

TEST_CASE("a tenant whose name has another's hash is refused everything") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  auto writes = sample_tenant("somebody else"); // as if its hash were acme's
  store_writes(*env, "acme", writes);
  const auto snapshot = good(env->begin_read());
  tenant_store store(snapshot, "acme");
  CHECK(store.counters() == sync::tenant_counters{"acme", 0, 0, 0});
  CHECK(!store.find_user("ann"));
  CHECK(positions(store, 0).empty());
  REQUIRE(store.failure());
  CHECK(store.failure()->message.find("hash") != std::string::npos);
}

TEST_CASE("random histories read like a map of structs") {
  scratch_folder folder;
  const auto env = open_environment(folder.path());
  std::map<std::pair<int, std::string>, sync::entity> entities;
  std::map<sync::position, sync::feed_row> feed;
  std::map<sync::device_number, sync::device> devices;
  random_rows random(31);
  store_writes(*env, "acme", {sync::tenant_counters{"acme", 1, 50, UINT64_MAX}});
  auto snapshot = good(env->begin_read());
  tenant_store store(snapshot, "acme");
  for (int round = 0; round < 60; ++round) {
    sync::write_list writes;
    for (auto n = random.below(20); n > 0; --n) {
      auto entity = random.entity();
      entity.in = random.coin() ? sync::domain::task : sync::domain::voice;
      entity.owner = 0;
      entity.id = std::to_string(random.below(30));
      const auto id = std::pair(static_cast<int>(entity.in), entity.id);
      if (random.below(4) == 0) {
        writes.emplace_back(sync::delete_entity{entity.in, 0, entity.id});
        entities.erase(id);
      } else {
        writes.emplace_back(entity);
        entities[id] = entity;
      }
      auto row = random.feed_row();
      row.key = random.below(40);
      if (random.below(4) == 0) {
        writes.emplace_back(sync::delete_feed_row{row.key});
        feed.erase(row.key);
      } else {
        writes.emplace_back(row);
        feed[row.key] = row;
      }
      auto device = random.device();
      device.number = static_cast<sync::device_number>(random.below(20) + 1);
      device.id = "device " + std::to_string(device.number); // names and owners never change
      device.owner = device.number % 3;
      writes.emplace_back(device);
      devices[device.number] = device;
    }
    store_writes(*env, "acme", writes);
    good(snapshot.renew());
    for (int i = 0; i < 30; ++i)
      for (const auto in : {sync::domain::task, sync::domain::voice}) {
        const auto expected = entities.find({static_cast<int>(in), std::to_string(i)});
        const auto found = store.find_entity(in, 0, std::to_string(i));
        CHECK(found.has_value() == (expected != entities.end()));
        if (found && expected != entities.end()) CHECK(*found == expected->second);
      }
    for (sync::position from = 0; from < 41; ++from) {
      const auto expected = feed.lower_bound(from);
      const auto found = store.find_feed_row(from);
      CHECK(found.has_value() == (expected != feed.end()));
      if (found && expected != feed.end()) CHECK(*found == expected->second);
    }
    std::map<sync::user_number, std::size_t> owned;
    for (const auto& [number, device] : devices) {
      CHECK(store.find_device(number) == device);
      CHECK(store.find_device(device.id) == device);
      ++owned[device.owner];
    }
    for (sync::user_number owner = 0; owner < 3; ++owner)
      CHECK(store.devices_of(owner).size() == owned[owner]);
  }
  CHECK(!store.failure());
}

TEST_CASE("the tenants of a shard are visited in the order of their hashes") {
  sample with;
  std::vector<std::string> names;
  tenant_hash from = 0;
  while (const auto tenant = next_tenant(with.snapshot, from)) {
    CHECK(tenant->hash == hash_tenant(tenant->name));
    names.push_back(tenant->name);
    from = tenant->hash + 1;
  }
  const bool acme_first = hash_tenant("acme") < hash_tenant("other");
  CHECK(names == (acme_first ? ids{"acme", "other"} : ids{"other", "acme"}));
}
