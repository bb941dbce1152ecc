// A store in memory, in the simplest form that can be right: ordered maps, and writes applied one by one. The
// tests compare with it.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "sync/store.hpp"

namespace mooring::sync::testing {

class memory_store final : public store {
 public:
  using entity_id = std::tuple<domain, user_number, std::string>;
  using record_id = std::tuple<user_number, device_number, std::string>;

  tenant_counters counts;
  std::map<entity_id, entity> entities;
  std::map<position, conflict> conflicts;
  std::map<std::string, device> devices;
  std::map<std::string, user> users;
  std::map<domain, policy> policies;
  std::map<record_id, idempotency_record> idempotency;
  std::map<record_id, operation_record> operations;
  std::map<position, feed_row> feed;
  std::map<position, notification> notifications;
  std::map<std::int64_t, analytics_hour> hours;
  position swept = 0;

  bool operator==(const memory_store& other) const {
    return counts == other.counts && entities == other.entities && conflicts == other.conflicts &&
           devices == other.devices && users == other.users && policies == other.policies &&
           idempotency == other.idempotency && operations == other.operations && feed == other.feed &&
           notifications == other.notifications && hours == other.hours && swept == other.swept;
  }

  void apply(const write_list& writes) {
    for (const auto& w : writes) std::visit([this](const auto& row) { put(row); }, w);
  }

  void put(const tenant_counters& row) { counts = row; }
  void put(const entity& row) { entities[{row.in, row.owner, row.id}] = row; }
  void put(const conflict& row) { conflicts[row.first_at] = row; }
  void put(const device& row) { devices[row.id] = row; }
  void put(const user& row) { users[row.id] = row; }
  void put(const policy& row) { policies[row.in] = row; }
  void put(const idempotency_record& row) { idempotency[{row.user, row.device, row.key}] = row; }
  void put(const operation_record& row) { operations[{row.user, row.device, row.operation_id}] = row; }
  void put(const feed_row& row) { feed[row.key] = row; }
  void put(const notification& row) { notifications[row.at] = row; }
  void put(const delete_notification& row) { notifications.erase(row.at); }
  void put(const analytics_hour& row) { hours[row.hour] = row; }
  void put(const delete_analytics& row) { hours.erase(row.hour); }
  void put(const delete_entity& row) { entities.erase({row.in, row.owner, row.id}); }
  void put(const delete_feed_row& row) { feed.erase(row.key); }
  void put(const delete_conflict& row) { conflicts.erase(row.first_at); }
  void put(const delete_idempotency& row) { idempotency.erase({row.user, row.device, row.key}); }
  void put(const delete_operation& row) { operations.erase({row.user, row.device, row.operation_id}); }
  void put(const put_swept_position& row) { swept = row.upto; }

  tenant_counters counters() override { return counts; }
  std::optional<entity> find_entity(domain in, user_number owner, std::string_view id) override {
    return get(entities, entity_id{in, owner, std::string(id)});
  }
  std::optional<conflict> find_conflict(position first_at) override { return get(conflicts, first_at); }
  std::optional<device> find_device(std::string_view id) override { return get(devices, std::string(id)); }
  std::optional<device> find_device(device_number number) override {
    for (const auto& [id, row] : devices)
      if (row.number == number) return row;
    return std::nullopt;
  }
  std::optional<user> find_user(std::string_view id) override { return get(users, std::string(id)); }
  std::optional<user> find_user(user_number number) override {
    for (const auto& [id, row] : users)
      if (row.number == number) return row;
    return std::nullopt;
  }
  std::optional<policy> find_policy(domain in) override { return get(policies, in); }
  std::optional<idempotency_record> find_idempotency(user_number by, device_number with,
                                                     std::string_view key) override {
    return get(idempotency, record_id{by, with, std::string(key)});
  }
  std::optional<operation_record> find_operation(user_number by, device_number with,
                                                 std::string_view id) override {
    return get(operations, record_id{by, with, std::string(id)});
  }
  std::optional<feed_row> find_feed_row(position at) override {
    const auto row = feed.lower_bound(at);
    if (row == feed.end()) return std::nullopt;
    return row->second;
  }

 private:
  template<class Map, class Key>
  static std::optional<typename Map::mapped_type> get(const Map& in, const Key& key) {
    const auto found = in.find(key);
    if (found == in.end()) return std::nullopt;
    return found->second;
  }
};

} // namespace mooring::sync::testing
