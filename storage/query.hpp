// Answers the API's queries from one tenant's tables: visibility, paging, names. domain.md, "The change
// feed".
#pragma once

#include <functional>
#include <string_view>

#include "base/result.hpp"
#include "storage/directory.hpp"
#include "storage/pending_store.hpp"
#include "storage/tenant_store.hpp"
#include "sync/commands.hpp"
#include "sync/queries.hpp"
#include "sync/rules.hpp"

namespace mooring::storage {

struct query_setting {
  const sync::rule_settings* rules = nullptr;
  instant now;
  // Is the device connected? Asked for device answers only.
  std::function<bool(std::string_view device)> online;
  sync::node_load load; // of the node, now; asked for by get_sync_advice
};

// Failures: bad_user_input (a cursor older than what was swept), internal (a row is damaged).
// What the caller may not see is absent, exactly as what does not exist.
result<sync::query_answer> answer_query(tenant_store& store, directory& names, const sync::caller& who,
                                        const sync::query& what, const query_setting& setting);

// The same over what is decided and not stored yet, for queries that need little of it: an entity, and the feed near its
// head. Nothing: it is another query, or goes far back, by positions or by age. A page looks at no more than slots_near_head
// of the feed and may end early with has_more.
std::optional<result<sync::query_answer>> answer_near_head(pending_store& store, directory& names,
                                                           const sync::caller& who, const sync::query& what,
                                                           const query_setting& setting);
inline constexpr std::size_t slots_near_head = 1'024;
// Near enough: what was written lately is in memory. Slots that are a minute old may be on the disk, a read for each.
inline constexpr sync::position positions_near_head = 4'096;
inline constexpr std::size_t old_slots_near_head = 64;

} // namespace mooring::storage
