#include "storage/query.hpp"

#include <algorithm>
#include <charconv>

#include "sync/health.hpp"
#include "sync/rules.hpp"

namespace mooring::storage {

namespace {

// Counting what a device has not been sent stops here: beyond, the number only says "very many".
constexpr std::int64_t pending_count_most = 1'000'000;

class answering {
 public:
  answering(tenant_store& store, directory& names, const sync::caller& who, const query_setting& setting)
      : store_(store)
      , names_(names)
      , who_(who)
      , setting_(setting) {
    if (const auto user = store.find_user(who.user)) user_ = user->number;
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
    page.upto = what.since.value_or(0);
    if (what.since && *what.since < store_.swept())
      return error{error_code::bad_user_input,
                   "the cursor is older than what is kept: read again with since null, then go on from there",
                   "since"};
    const auto wanted = static_cast<std::size_t>(what.first);
    page.entities.reserve(std::min<std::size_t>(wanted, 1000));
    std::size_t looked_at = 0, bytes = 0;
    store_.scan_feed(page.upto, [&](const feed_slot_view& slot) {
      if (slot.kind == sync::slot_kind::entity && sync::holds(what.domains, slot.in) &&
          sync::may_see(user_, slot.owner)) {
        if (page.entities.size() == wanted || bytes >= sync::page_bytes_max) {
          page.has_more = true;
          return false;
        }
        if (const auto found = store_.view_entity(slot)) {
          bytes += found->data.size();
          page.entities.push_back(resolve(*found));
        }
      }
      page.upto = slot.at;
      if (++looked_at < sync::slots_per_page_max) return true;
      page.has_more = true;
      return false;
    });
    return sync::query_answer{std::move(page)};
  }

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

  result<sync::query_answer> operator()(const sync::list_policies&) {
    std::vector<sync::policy> out;
    for (int i = 0; i < sync::domain_count; ++i) {
      const auto in = static_cast<sync::domain>(i);
      if (!sync::is_record(in)) out.push_back(sync::effective_policy(store_, in));
    }
    return sync::query_answer{std::move(out)};
  }

 private:
  static std::optional<sync::position> position_of(std::string_view conflict_id) {
    sync::position at = 0;
    if (conflict_id.size() < 2 || conflict_id[0] != 'c' || conflict_id[1] == '0') return std::nullopt;
    const auto* const end = conflict_id.data() + conflict_id.size();
    const auto [parsed, failed] = std::from_chars(conflict_id.data() + 1, end, at);
    if (failed != std::errc{} || parsed != end) return std::nullopt;
    return at;
  }

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

  sync::device_answer resolve(sync::device&& from) {
    sync::device_answer out;
    out.user_id = *name_or_empty(names_.user(store_, from.owner));
    out.online = setting_.online && setting_.online(from.id);
    out.health_score = sync::health_score(from, setting_.now);
    pending_filter filter;
    filter.viewer = from.owner;
    filter.except = from.number;
    out.pending_changes = store_.count_pending(from.acknowledged, filter, pending_count_most);
    out.is = std::move(from);
    return out;
  }

  tenant_store& store_;
  directory& names_;
  const sync::caller& who_;
  const query_setting& setting_;
  sync::user_number user_ = 0; // 0: nobody the store knows; sees what is shared
};

} // namespace

result<sync::query_answer> answer_query(tenant_store& store, directory& names, const sync::caller& who,
                                        const sync::query& what, const query_setting& setting) {
  // A lost device's token reads nothing any more (domain.md: its later requests are refused).
  if (who.device)
    if (auto usable = sync::check_device(store, who, *who.device); !usable) return usable.failure();
  auto answer = std::visit(answering(store, names, who, setting), what);
  if (const auto damage = store.failure()) return *damage;
  return answer;
}

} // namespace mooring::storage
