#include "storage/tenant_store.hpp"

#include <algorithm>
#include <utility>

#include "sync/audience.hpp"

namespace mooring::storage {

namespace {

constexpr std::size_t table_prefix_bytes = 1 + 8 + 1; // tag, tenant, table

} // namespace

tenant_store::tenant_store(const read_transaction& snapshot, std::string tenant)
    : snapshot_(snapshot)
    , tenant_(std::move(tenant))
    , hash_(hash_tenant(tenant_)) {}

std::optional<error> tenant_store::failure() const {
  if (failure_) return failure_;
  return snapshot_.failure();
}

bool tenant_store::known() {
  if (known_) return true;
  const auto key = keys::counters(hash_);
  const auto value = snapshot_.get(key.view());
  if (!value) return true; // nothing is stored yet, so nothing can be another's
  const auto counters = keep(decode_counters(key.view(), *value));
  if (!counters) return false;
  if (counters->tenant != tenant_) {
    fail({error_code::internal, "the names of two tenants have the same hash; the second cannot be served"});
    return false;
  }
  return known_ = true;
}

std::optional<std::string_view> tenant_store::row(const row_key& key) {
  if (!key.fits() || !known()) return std::nullopt;
  return snapshot_.get(key.view());
}

void tenant_store::scan_rows(std::string_view prefix, std::string_view from,
                             const std::function<bool(std::string_view, std::string_view)>& each) {
  if (!known()) return;
  snapshot_.scan(from, [&](std::string_view key, std::string_view value) {
    return key.starts_with(prefix) && each(key, value);
  });
}

// ── sync::store ──

sync::tenant_counters tenant_store::counters() {
  const auto key = keys::counters(hash_);
  if (const auto value = row(key))
    if (auto counters = keep(decode_counters(key.view(), *value))) return *counters;
  return {.tenant = tenant_};
}

std::optional<sync::entity> tenant_store::find_entity(sync::domain in, sync::user_number owner,
                                                      std::string_view id) {
  const auto key = keys::entity(hash_, in, owner, id);
  const auto value = row(key);
  return value ? keep(decode_entity(key.view(), *value)) : std::nullopt;
}

std::optional<sync::conflict> tenant_store::find_conflict(sync::position first_at) {
  const auto key = keys::conflict(hash_, first_at);
  const auto value = row(key);
  return value ? keep(decode_conflict(key.view(), *value)) : std::nullopt;
}

std::optional<sync::device> tenant_store::find_device(sync::device_number number) {
  const auto key = keys::device(hash_, number);
  const auto value = row(key);
  return value ? keep(decode_device(key.view(), *value)) : std::nullopt;
}

std::optional<sync::device> tenant_store::find_device(std::string_view id) {
  const auto key = keys::device_by_name(hash_, id);
  const auto value = row(key);
  if (!value) return std::nullopt;
  const auto number = keep(decode_device_by_name(key.view(), *value));
  if (!number) return std::nullopt;
  auto found = find_device(*number);
  if (!found) fail({error_code::internal, "row " + to_hex(key.view()) + " names a device that is not there"});
  return found;
}

std::optional<sync::notification> tenant_store::find_notification(sync::position at) {
  const auto key = keys::notification(hash_, at);
  const auto value = row(key);
  return value ? keep(decode_notification(key.view(), *value)) : std::nullopt;
}

std::optional<sync::user> tenant_store::find_user(sync::user_number number) {
  const auto key = keys::user(hash_, number);
  const auto value = row(key);
  return value ? keep(decode_user(key.view(), *value)) : std::nullopt;
}

std::optional<sync::user> tenant_store::find_user(std::string_view id) {
  if (const auto known = user_numbers_.find(id); known != user_numbers_.end())
    return sync::user{known->first, known->second};
  const auto key = keys::user_by_name(hash_, id);
  const auto value = row(key);
  if (!value) return std::nullopt;
  const auto number = keep(decode_user_by_name(key.view(), *value));
  if (!number) return std::nullopt;
  if (user_numbers_.size() >= known_users_max) user_numbers_.clear();
  user_numbers_.emplace(id, *number);
  return sync::user{.id = std::string(id), .number = *number};
}

std::optional<sync::policy> tenant_store::find_policy(sync::domain in) {
  const auto key = keys::policy(hash_, in);
  const auto value = row(key);
  return value ? keep(decode_policy(key.view(), *value)) : std::nullopt;
}

std::optional<sync::idempotency_record>
tenant_store::find_idempotency(sync::user_number user, sync::device_number device, std::string_view id) {
  const auto key = keys::idempotency(hash_, user, device, id);
  const auto value = row(key);
  return value ? keep(decode_idempotency(key.view(), *value)) : std::nullopt;
}

std::optional<sync::operation_record> tenant_store::find_operation(sync::user_number user,
                                                                   sync::device_number device,
                                                                   std::string_view operation_id) {
  const auto key = keys::operation(hash_, user, device, operation_id);
  const auto value = row(key);
  return value ? keep(decode_operation(key.view(), *value)) : std::nullopt;
}

std::optional<sync::feed_row> tenant_store::find_feed_row(sync::position at) {
  const auto from = keys::feed(hash_, at);
  std::optional<sync::feed_row> found;
  scan_rows(from.view().substr(0, table_prefix_bytes), from.view(),
            [&](std::string_view key, std::string_view value) {
              found = keep(decode_feed_row(key, value));
              return false;
            });
  return found;
}

// ── queries ──

sync::position tenant_store::swept() {
  const auto key = keys::swept(hash_);
  const auto value = row(key);
  return value ? keep(decode_swept(key.view(), *value)).value_or(0) : 0;
}

void tenant_store::scan_feed(sync::position after, const std::function<bool(const feed_slot_view&)>& each) {
  if (after == UINT64_MAX) return;
  const auto from = keys::feed(hash_, after + 1);
  auto slots = std::move(slots_); // a callback may start another scan
  scan_rows(from.view().substr(0, table_prefix_bytes), from.view(),
            [&](std::string_view key, std::string_view value) {
              if (auto read = decode_feed_slots(key, value, slots); !read) {
                fail(read.failure());
                return false;
              }
              for (const auto& slot : slots)
                if (slot.at > after && !each(slot)) return false;
              return true;
            });
  slots_ = std::move(slots);
}

std::optional<entity_view> tenant_store::view_entity(sync::domain in, sync::user_number owner,
                                                     std::string_view id) {
  const auto key = keys::entity(hash_, in, owner, id);
  // Ids that were made one after the other are often neighbours.
  const auto value = key.fits() && known() ? snapshot_.get_near(key.view()) : std::nullopt;
  if (!value) return std::nullopt;
  auto view = keep(decode_entity_view(key.view(), *value));
  if (view) view->id = id; // not the key on this stack
  return view;
}

void tenant_store::scan_conflicts(const conflict_filter& filter,
                                  const std::function<bool(sync::conflict&&)>& each) {
  if (filter.after == UINT64_MAX) return;
  if (filter.status == sync::conflict_status::open) {
    const auto from = keys::open_conflict(hash_, filter.after + 1);
    scan_rows(from.view().substr(0, table_prefix_bytes), from.view(),
              [&](std::string_view key, std::string_view value) {
                const auto open = keep(decode_open_conflict(key, value));
                if (!open) return false;
                if (!sync::may_see(filter.viewer, open->owner) || !holds(filter.domains, open->in))
                  return true;
                auto conflict = find_conflict(parse_key(key)->at);
                if (conflict) return each(std::move(*conflict));
                fail({error_code::internal, "row " + to_hex(key) + " names a conflict that is not there"});
                return false;
              });
    return;
  }
  const auto from = keys::conflict(hash_, filter.after + 1);
  scan_rows(from.view().substr(0, table_prefix_bytes), from.view(),
            [&](std::string_view key, std::string_view value) {
              auto conflict = keep(decode_conflict(key, value));
              if (!conflict) return false;
              if (filter.status && conflict->status != *filter.status) return true;
              if (!sync::may_see(filter.viewer, conflict->owner) || !holds(filter.domains, conflict->in))
                return true;
              return each(std::move(*conflict));
            });
}

std::vector<sync::device> tenant_store::devices_of(sync::user_number owner) {
  std::vector<sync::device> devices;
  const auto from = keys::device_by_owner(hash_, owner, 0);
  scan_rows(from.view().substr(0, table_prefix_bytes + 4), from.view(),
            [&](std::string_view key, std::string_view) {
              const auto parts = parse_key(key);
              auto device = parts ? find_device(parts->device) : std::nullopt;
              if (!device) {
                fail({error_code::internal, "row " + to_hex(key) + " names a device that is not there"});
                return false;
              }
              devices.push_back(std::move(*device));
              return true;
            });
  return devices;
}

std::optional<sync::analytics_hour> tenant_store::find_analytics(std::int64_t hour) {
  const auto key = keys::analytics(hash_, hour);
  const auto value = row(key);
  return value ? keep(decode_analytics(key.view(), *value)) : std::nullopt;
}

std::vector<sync::analytics_hour> tenant_store::analytics(std::int64_t from, std::int64_t upto,
                                                          std::size_t most) {
  std::vector<sync::analytics_hour> out;
  const auto first = keys::analytics(hash_, from);
  scan_rows(first.view().substr(0, table_prefix_bytes), first.view(),
            [&](std::string_view key, std::string_view value) {
              if (out.size() == most || parse_key(key)->hour >= upto) return false;
              auto one = keep(decode_analytics(key, value));
              if (one) out.push_back(std::move(*one));
              return one.has_value();
            });
  return out;
}

void tenant_store::collect_old_analytics(std::int64_t hour, std::size_t rows_most, sync::write_list& out) {
  const auto first = keys::analytics(hash_, 0);
  std::size_t seen = 0;
  scan_rows(first.view().substr(0, table_prefix_bytes), first.view(),
            [&](std::string_view key, std::string_view) {
              const auto parts = parse_key(key);
              if (!parts || parts->hour >= hour || seen++ == rows_most) return false;
              out.emplace_back(sync::delete_analytics{parts->hour});
              return true;
            });
}

std::int64_t tenant_store::count_devices(std::optional<sync::user_number> owner) {
  if (owner) {
    const auto all = devices_of(*owner);
    return std::count_if(all.begin(), all.end(), [](const sync::device& one) { return one.active; });
  }
  std::int64_t active = 0;
  const auto from = keys::device(hash_, 0);
  scan_rows(from.view().substr(0, table_prefix_bytes), from.view(),
            [&](std::string_view key, std::string_view value) {
              const auto device = keep(decode_device(key, value));
              if (device && device->active) ++active;
              return device.has_value();
            });
  return active;
}

std::vector<sync::policy> tenant_store::policies() {
  std::vector<sync::policy> set;
  const auto from = keys::policy(hash_, sync::domain::voice);
  scan_rows(from.view().substr(0, table_prefix_bytes), from.view(),
            [&](std::string_view key, std::string_view value) {
              const auto policy = keep(decode_policy(key, value));
              if (policy) set.push_back(*policy);
              return policy.has_value();
            });
  return set;
}

std::optional<std::string_view> tenant_store::device_id(sync::device_number number) {
  const auto key = keys::device(hash_, number);
  const auto value = row(key);
  return value ? keep(decode_device_id(key.view(), *value)) : std::nullopt;
}

std::optional<std::string_view> tenant_store::user_id(sync::user_number number) {
  const auto key = keys::user(hash_, number);
  const auto value = row(key);
  return value ? keep(decode_user_id(key.view(), *value)) : std::nullopt;
}

std::int64_t tenant_store::count_pending(sync::position after, const pending_filter& filter,
                                         std::int64_t most) {
  std::int64_t count = 0;
  if (most <= 0) return 0;
  scan_feed(after, [&](const feed_slot_view& slot) {
    if (sync::is_meant_for(slot, filter.viewer, filter.except)) {
      if (slot.kind != sync::slot_kind::notification) {
        count += holds(filter.domains, slot.in) ? 1 : 0;
      } else if (filter.domains != every_domain) {
        // is of no domain
      } else if (filter.except == 0) {
        ++count;
      } else if (const auto told = find_notification(slot.at)) {
        count += sync::is_meant_for(*told, filter.except) ? 1 : 0;
      }
    }
    return count < most;
  });
  return count;
}

// ── sweeping ──

void tenant_store::collect_expired(instant before, std::size_t rows_most, std::string& resume,
                                   sync::write_list& out) {
  // Both tables are neighbours: one walk.
  static_assert(static_cast<int>(table::operation) == static_cast<int>(table::idempotency) + 1);
  const auto first = keys::idempotency(hash_, 0, 0, {});
  const auto tenant = first.view().substr(0, table_prefix_bytes - 1);
  const std::string from = resume.empty() ? std::string(first.view()) : std::exchange(resume, {});
  resume.clear();
  std::size_t seen = 0;
  scan_rows(tenant, from, [&](std::string_view key, std::string_view value) {
    const auto parts = parse_key(key);
    if (!parts || (parts->in != table::idempotency && parts->in != table::operation)) return false;
    if (seen++ == rows_most) {
      resume = key;
      return false;
    }
    const auto at = keep(decode_committed_at(key, value));
    if (!at || *at >= before) return true;
    if (parts->in == table::idempotency)
      out.emplace_back(sync::delete_idempotency{parts->user, parts->device, std::string(parts->id)});
    else
      out.emplace_back(sync::delete_operation{parts->user, parts->device, std::string(parts->id)});
    return true;
  });
}

} // namespace mooring::storage
