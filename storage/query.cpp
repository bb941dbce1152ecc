#include "storage/query.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "sync/asker.hpp"
#include "sync/audience.hpp"
#include "sync/changes.hpp"
#include "sync/health.hpp"
#include "sync/rules.hpp"

namespace mooring::storage {

namespace {

// Counting what a device has not been sent stops here: beyond, the number only says "very many".
constexpr std::int64_t pending_count_most = 1'000'000;

// What one page may look at.
struct page_bounds {
  std::size_t slots;
  std::size_t old_slots; // that were decided more than old_after_ms ago: their rows may have left all caches
  std::size_t reserved;  // entities, when the page has one
};
constexpr std::int64_t old_after_ms = 60'000;

// The queries that follow the feed.
class answering_feed {
 public:
  answering_feed(feed_source& store, directory& names, const sync::caller& who, const query_setting& setting,
                 page_bounds most)
      : store_(store)
      , names_(names)
      , who_(who)
      , setting_(setting)
      , most_(most) {
    if (const auto user = store.rows().find_user(who.user)) user_ = user->number;
  }

  result<sync::query_answer> operator()(const sync::get_entity& what) {
    const bool shared = setting_.rules->shared[static_cast<std::size_t>(what.in)];
    if (!shared && user_ == 0) return sync::query_answer{std::optional<sync::entity_answer>{}};
    const auto found = store_.view_entity(what.in, shared ? 0 : user_, what.id);
    if (!found) return sync::query_answer{std::optional<sync::entity_answer>{}};
    return sync::query_answer{std::optional{resolve(*found)}};
  }

  result<sync::query_answer> operator()(const sync::get_changes& what) {
    sync::change_page page;
    const auto head = store_.rows().counters().last_position;
    const auto from = start(what.since.value_or(sync::cursor{}), head);
    if (sync::must_resync(from, store_.swept()))
      return error{error_code::bad_user_input,
                   "the cursor is older than what is kept: read again with since null, then go on from there",
                   "since"};
    if (sync::is_ahead(from, head))
      return error{
          error_code::bad_user_input,
          "the cursor is ahead of the feed, which was restored: read again with since null, then go on "
          "from there",
          "since"};
    auto at = from.at;
    const auto wanted = static_cast<std::size_t>(what.first);
    std::size_t looked_at = 0, bytes = 0;
    store_.scan_feed(at, [&](const feed_slot_view& slot) {
      if (goes_too_far_back(slot)) return false;
      if (slot.kind == sync::slot_kind::entity && sync::holds(what.domains, slot.in) &&
          sync::may_see(user_, slot.owner)) {
        if (page.entities.size() == wanted || bytes >= sync::page_bytes_max) {
          page.has_more = true;
          return false;
        }
        if (const auto found = store_.view_entity(slot)) {
          bytes += found->data.size();
          if (page.entities.empty()) page.entities.reserve(std::min<std::size_t>(wanted, most_.reserved));
          page.entities.push_back(resolve(*found));
        }
      }
      at = slot.at;
      if (++looked_at < most_.slots) return true;
      page.has_more = true;
      return false;
    });
    if (!page.has_more) at = std::max(at, head);
    page.upto = {at, from.begun};
    return sync::query_answer{std::move(page)};
  }

  result<sync::query_answer> operator()(const sync::get_feed& what) {
    const auto asker = sync::identify(store_.rows(), who_, what.device_id);
    if (!asker) return asker.failure();
    if (!asker->known_device)
      return error{error_code::not_found, "no such device: register it, or upload something first",
                   "deviceId"};
    const auto& device = *asker->known_device;
    sync::feed_page page;
    page.viewer = device.owner;
    page.device = device.number;
    page.push = device.push;
    const auto head = store_.rows().counters().last_position;
    page.from = start(what.after.value_or(device.acknowledged), head);
    page.upto = page.from.at;
    if (sync::is_ahead(page.from, head) || sync::must_resync(page.from, store_.swept())) {
      page.must_resync = true;
      page.upto = head;
      return sync::query_answer{std::move(page)};
    }
    std::size_t looked_at = 0, bytes = 0;
    store_.scan_feed(page.from.at, [&](const feed_slot_view& slot) {
      if (goes_too_far_back(slot)) return false;
      if (sync::is_meant_for(slot, user_, device.number)) {
        if (page.events.size() == static_cast<std::size_t>(what.first) || bytes >= sync::page_bytes_max) {
          page.has_more = true;
          return false;
        }
        if (auto event = event_of(slot, device.number, bytes)) page.events.push_back(std::move(*event));
      }
      page.upto = slot.at;
      if (++looked_at < most_.slots) return true;
      page.has_more = true;
      return false;
    });
    if (!page.has_more) page.upto = std::max(page.upto, head);
    return sync::query_answer{std::move(page)};
  }

  // The answer is none: it would have had more old slots than it may.
  bool went_too_far_back() const { return old_slots_ > most_.old_slots; }

 protected:
  sync::entity_answer resolve(const entity_view& from) {
    sync::entity_answer out;
    out.in = from.in;
    out.id = from.id;
    out.version = from.version;
    out.deleted = from.deleted;
    out.data.bytes = from.data;
    out.modified_at = from.modified_at;
    out.updated_at = from.updated_at;
    out.device_id = name_or_empty(names_.device(store_, from.device));
    out.user_id = name_or_empty(names_.user(store_, from.user));
    return out;
  }

  static directory::name name_or_empty(directory::name name) {
    static const auto empty = std::make_shared<const std::string>();
    return name ? std::move(name) : empty;
  }

  static std::optional<sync::position> position_of(std::string_view conflict_id) {
    sync::position at = 0;
    if (conflict_id.size() < 2 || conflict_id[0] != 'c' || conflict_id[1] == '0') return std::nullopt;
    const auto* const end = conflict_id.data() + conflict_id.size();
    const auto [parsed, failed] = std::from_chars(conflict_id.data() + 1, end, at);
    if (failed != std::errc{} || parsed != end) return std::nullopt;
    return at;
  }

 private:
  static sync::cursor start(sync::cursor from, sync::position head) {
    return from.at == 0 ? sync::cursor{0, head} : from;
  }

  bool goes_too_far_back(const feed_slot_view& slot) {
    if (setting_.now - slot.decided_at > old_after_ms) ++old_slots_;
    return went_too_far_back();
  }

  // What stands at a place of the feed, for this device; adds its size to `bytes`. Nothing: it is another
  // device's.
  std::optional<sync::feed_event> event_of(const feed_slot_view& slot, sync::device_number device,
                                           std::size_t& bytes) {
    sync::feed_event out{to_slot(slot), {}};
    switch (slot.kind) {
    case sync::slot_kind::entity: {
      const auto found = store_.view_entity(slot);
      if (!found) return std::nullopt;
      bytes += found->data.size();
      out.what = resolve(*found);
      return out;
    }
    case sync::slot_kind::conflict: {
      const auto at = position_of(slot.id);
      auto found = at ? store_.rows().find_conflict(*at) : std::nullopt;
      if (!found) return std::nullopt;
      bytes += found->server_data.bytes.size() + found->client_data.bytes.size();
      out.what = std::move(*found);
      return out;
    }
    case sync::slot_kind::notification: {
      auto found = store_.find_notification(slot.at);
      if (!found || !sync::is_meant_for(*found, device)) return std::nullopt;
      bytes += found->data.bytes.size();
      out.what = std::move(*found);
      return out;
    }
    }
    return std::nullopt;
  }

  feed_source& store_;

 protected:
  directory& names_;
  const sync::caller& who_;
  const query_setting& setting_;
  sync::user_number user_ = 0; // 0: nobody the store knows; sees what is shared

 private:
  page_bounds most_;
  std::size_t old_slots_ = 0;
};

// All of them.
class answering : public answering_feed {
 public:
  answering(tenant_store& store, directory& names, const sync::caller& who, const query_setting& setting)
      : answering_feed(store, names, who, setting,
                       {sync::slots_per_page_max, std::numeric_limits<std::size_t>::max(), 1'000})
      , store_(store) {}

  using answering_feed::operator();

  result<sync::query_answer> operator()(const sync::get_conflict& what) {
    std::optional<sync::conflict> found;
    if (const auto at = position_of(what.id)) found = store_.find_conflict(*at);
    if (found && !sync::may_see(user_, found->owner)) found.reset();
    return sync::query_answer{std::move(found)};
  }

  result<sync::query_answer> operator()(const sync::list_conflicts& what) {
    sync::conflict_page page;
    conflict_filter filter;
    filter.status = what.status;
    filter.domains = what.domains;
    filter.viewer = user_;
    filter.after = what.after.value_or(0);
    store_.scan_conflicts(filter, [&](sync::conflict&& one) {
      if (page.conflicts.size() == static_cast<std::size_t>(what.first)) {
        page.has_more = true;
        return false;
      }
      page.last = one.first_at;
      page.conflicts.push_back(std::move(one));
      return true;
    });
    return sync::query_answer{std::move(page)};
  }

  result<sync::query_answer> operator()(const sync::list_devices&) {
    std::vector<sync::device_answer> out;
    if (user_ != 0)
      for (auto& device : store_.devices_of(user_)) out.push_back(resolve(std::move(device)));
    return sync::query_answer{std::move(out)};
  }

  result<sync::query_answer> operator()(const sync::get_device& what) {
    std::optional<sync::device_answer> out;
    // An admin of the tenant sees every device of it, others their own.
    if (auto found = store_.find_device(what.id); found && (found->owner == user_ || who_.is_admin))
      out = resolve(std::move(*found));
    return sync::query_answer{std::move(out)};
  }

  result<sync::query_answer> operator()(const sync::list_push_subscriptions& what) {
    auto found = inspected_device(what.device_id);
    if (!found) return found.failure();
    return sync::query_answer{sync::push_subscriptions{what.device_id, std::move(found->push)}};
  }

  result<sync::query_answer> operator()(const sync::get_device_sync_state& what) {
    const auto found = inspected_device(what.device_id);
    if (!found) return found.failure();
    std::array<std::int64_t, sync::domain_count> pending{};
    std::size_t looked_at = 0;
    store_.scan_feed(found->acknowledged.at, [&](const feed_slot_view& slot) {
      if (slot.kind != sync::slot_kind::notification && sync::is_meant_for(slot, found->owner, found->number))
        ++pending[static_cast<std::size_t>(slot.in)];
      return ++looked_at < sync::slots_per_page_max;
    });
    sync::device_sync_state out{what.device_id, {}};
    auto known = found->domains.begin();
    for (int i = 0; i < sync::domain_count; ++i) {
      const auto in = static_cast<sync::domain>(i);
      const bool uploaded = known != found->domains.end() && known->in == in;
      const auto waiting = pending[static_cast<std::size_t>(i)];
      if (uploaded)
        out.domains.push_back({*known++, waiting});
      else if (waiting > 0)
        out.domains.push_back({sync::domain_state{in, 0, {}, 0}, waiting});
    }
    return sync::query_answer{std::move(out)};
  }

  result<sync::query_answer> operator()(const sync::count_devices& what) {
    if (!who_.is_admin)
      return error{error_code::forbidden, "only an administrator of the tenant may do this"};
    std::optional<sync::user_number> owner;
    if (what.user_id) {
      const auto user = store_.find_user(*what.user_id);
      if (!user) return sync::query_answer{std::int64_t{0}};
      owner = user->number;
    }
    if (!what.device_id) return sync::query_answer{store_.count_devices(owner)};
    const auto device = store_.find_device(*what.device_id);
    const bool is_meant = device && device->active && (!owner || device->owner == *owner);
    return sync::query_answer{std::int64_t{is_meant ? 1 : 0}};
  }

  result<sync::query_answer> operator()(const sync::get_sync_health&) {
    sync::sync_health out;
    std::vector<sync::device> mine;
    if (user_ != 0) mine = store_.devices_of(user_);
    out.of = sync::health_of(mine);
    for (auto& device : mine)
      if (device.active) out.active_devices.push_back(resolve(std::move(device)));
    sync::analytics_hour lately;
    const auto hour = sync::hour_of(setting_.now);
    for (const auto& one : store_.analytics(hour - 1, hour + 1, 2)) lately.add(one);
    out.average_ms = lately.average_ms();
    out.p95_ms = lately.p95_ms();
    return sync::query_answer{std::move(out)};
  }

  result<sync::query_answer> operator()(const sync::get_queue_status& what) {
    const auto found = inspected_device(what.device_id);
    if (!found) return found.failure();
    sync::queue_status out;
    out.device_id = what.device_id;
    instant urgent_since = setting_.now;
    store_.scan_feed(found->acknowledged.at, [&](const feed_slot_view& slot) {
      if (!is_for(slot, *found)) return true;
      ++out.pending;
      if (slot.urgency != sync::priority::normal) {
        ++out.high_priority;
        urgent_since = std::min(urgent_since, slot.decided_at);
      }
      return out.pending < pending_count_most;
    });
    out.estimated_seconds = static_cast<double>(out.pending) / sync::changes_per_second;
    out.healthy =
        out.pending <= sync::healthy_pending_max && setting_.now - urgent_since <= sync::healthy_wait_ms_max;
    return sync::query_answer{std::move(out)};
  }

  result<sync::query_answer> operator()(const sync::get_sync_advice&) {
    const auto who = hash64(who_.device.value_or(who_.user), static_cast<std::uint64_t>(setting_.now.ms));
    return sync::query_answer{sync::advise(setting_.load, who)};
  }

  result<sync::query_answer> operator()(const sync::get_analytics& what) {
    if (!who_.is_admin && !who_.is_operator)
      return error{error_code::forbidden, "only an administrator of the tenant may do this"};
    const auto from = std::max<std::int64_t>(sync::hour_of(what.from), 0), upto = sync::hour_of(what.to);
    if (upto < from) return error{error_code::bad_user_input, "`to` is before `from`", "to"};
    if (upto - from > sync::analytics_hours_max)
      return error{
          error_code::bad_user_input,
          "at most " + std::to_string(sync::analytics_hours_max) + " hours can be asked for at a time", "to"};
    return sync::query_answer{
        store_.analytics(from, upto, static_cast<std::size_t>(sync::analytics_hours_max))};
  }

  result<sync::query_answer> operator()(const sync::list_policies&) {
    std::vector<sync::policy> out;
    for (int i = 0; i < sync::domain_count; ++i) {
      const auto in = static_cast<sync::domain>(i);
      if (!sync::is_record(in)) out.push_back(sync::effective_policy(store_, in));
    }
    return sync::query_answer{std::move(out)};
  }

 private:
  bool is_for(const feed_slot_view& slot, const sync::device& device) {
    if (!sync::is_meant_for(slot, device.owner, device.number)) return false;
    if (slot.kind != sync::slot_kind::notification) return true;
    const auto told = store_.find_notification(slot.at);
    return told && sync::is_meant_for(*told, device.number);
  }

  // A device whose state the caller may look at.
  result<sync::device> inspected_device(const std::string& id) {
    auto found = store_.find_device(id);
    if (!found) return error{error_code::not_found, "there is no such device", "deviceId"};
    if (who_.device && *who_.device != id && !who_.is_admin && !who_.is_operator)
      return error{error_code::forbidden, "the token is for another device", "deviceId"};
    if (found->owner != user_ && !who_.is_admin && !who_.is_operator)
      return error{error_code::forbidden, "the device belongs to another user", "deviceId"};
    return std::move(*found);
  }

  using answering_feed::resolve;
  sync::device_answer resolve(sync::device&& from) {
    sync::device_answer out;
    out.user_id = *name_or_empty(names_.user(store_, from.owner));
    out.online = setting_.online && setting_.online(from.id);
    out.health_score = sync::health_score(from, setting_.now);
    pending_filter filter;
    filter.viewer = from.owner;
    filter.except = from.number;
    out.pending_changes = store_.count_pending(from.acknowledged.at, filter, pending_count_most);
    out.is = std::move(from);
    return out;
  }

  tenant_store& store_;
};

// A lost device's token reads nothing any more (domain.md: its later requests are refused).
result<void> check_token(sync::store& store, const sync::caller& who) {
  if (!who.device) return {};
  if (auto usable = sync::check_device(store, who, *who.device); !usable) return usable.failure();
  return {};
}

} // namespace

result<sync::query_answer> answer_query(tenant_store& store, directory& names, const sync::caller& who,
                                        const sync::query& what, const query_setting& setting) {
  if (auto usable = check_token(store, who); !usable) return usable.failure();
  auto answer = std::visit(answering(store, names, who, setting), what);
  if (const auto damage = store.failure()) return *damage;
  return answer;
}

std::optional<result<sync::query_answer>> answer_near_head(pending_store& store, directory& names,
                                                           const sync::caller& who, const sync::query& what,
                                                           const query_setting& setting) {
  const auto* const entity = std::get_if<sync::get_entity>(&what);
  const auto* const changes = std::get_if<sync::get_changes>(&what);
  const auto* const feed = std::get_if<sync::get_feed>(&what);
  if (!entity) {
    auto from = changes ? changes->since : feed ? feed->after : std::nullopt;
    if (feed && !from)
      if (const auto device = store.rows().find_device(feed->device_id)) from = device->acknowledged;
    const auto head = store.rows().counters().last_position;
    if (!from || head - std::min(head, from->at) > positions_near_head) return std::nullopt;
  }
  if (auto usable = check_token(store.rows(), who); !usable) return usable.failure();
  answering_feed answering(store, names, who, setting, {slots_near_head, old_slots_near_head, 64});
  auto answer = entity ? answering(*entity) : changes ? answering(*changes) : answering(*feed);
  if (const auto damage = store.failure()) return *damage;
  if (answering.went_too_far_back()) return std::nullopt;
  return answer;
}

} // namespace mooring::storage
