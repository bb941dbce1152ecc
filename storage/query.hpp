// Answers the API's queries from one tenant's tables: visibility, paging, names. domain.md, "The change
// feed".
#pragma once

#include <functional>
#include <string_view>

#include "base/result.hpp"
#include "storage/directory.hpp"
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

} // namespace mooring::storage
