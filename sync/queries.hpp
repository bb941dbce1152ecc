// What a caller may read, and what it gets: plain values. The reading is done over a store's snapshot by storage/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sync/commands.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

// A set of domains as bits; all_domains when the client named none.
using domain_set = std::uint16_t;
inline constexpr domain_set all_domains = (1u << domain_count) - 1;
constexpr bool holds(domain_set set, domain d) { return (set >> static_cast<unsigned>(d)) & 1u; }

struct get_entity { domain in; std::string id; };
struct get_changes {
  domain_set domains = all_domains;
  std::optional<position> since; // nothing: from the beginning
  std::int32_t first = 100;      // 1 to page_max
};
struct get_conflict { std::string id; };
struct list_conflicts {
  std::optional<conflict_status> status = conflict_status::open; // nothing: any
  domain_set domains = all_domains;
  std::int32_t first = 50;
  std::optional<position> after; // of the conflict's first_at
};
struct list_devices {};
struct get_device { std::string id; };
struct list_policies {};

using query = std::variant<get_entity, get_changes, get_conflict, list_conflicts, list_devices, get_device, list_policies>;

inline constexpr std::int32_t page_max = 1000; // of `first`; more is BAD_USER_INPUT
// Slots that one page looks at, seen or not: then the page ends early with has_more, so that a user of a large tenant
// never holds a reader for long.
inline constexpr std::size_t slots_per_page_max = 100'000;
// Bytes of entity data in one page: beyond, it ends early too, so that many large pages asked for at once stay bounded.
inline constexpr std::size_t page_bytes_max = 1 << 20;

// EntityType: an entity with its names resolved.
struct entity_answer {
  domain in = domain::voice;
  std::string id;
  std::int32_t version = 1;
  bool deleted = false;
  document data;
  instant modified_at, updated_at;
  std::shared_ptr<const std::string> device_id, user_id; // shared by all entities of a page
};

struct change_page {
  std::vector<entity_answer> entities;
  position upto = 0; // the cursor: everything up to here was read
  bool has_more = false;
};

struct conflict_page {
  std::vector<conflict> conflicts;
  std::optional<position> last; // first_at of the last one
  bool has_more = false;
};

struct device_answer {
  device is;
  std::string user_id;
  bool online = false;
  double health_score = 100;       // schema: 60 % success rate, 20 % recency of the last sync, 20 % freedom from conflicts
  std::int64_t pending_changes = 0;
};

using query_answer = std::variant<std::optional<entity_answer>, change_page, std::optional<conflict>, conflict_page,
                                  std::vector<device_answer>, std::optional<device_answer>, std::vector<policy>>;

} // namespace mooring::sync
