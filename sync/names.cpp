// The enumerators of model.hpp as clients see them, and the defaults that hang on them.
#include <array>

#include "base/check.hpp"
#include "sync/model.hpp"

namespace mooring::sync {

namespace {

constexpr std::array<std::string_view, domain_count> domain_names = {
    "VOICE", "BEHAVIORAL", "SESSION", "METRICS", "JOURNAL", "ATTENDANCE", "TASK", "TICKET", "WORK_ORDER"};
constexpr std::array<std::string_view, 4> operation_names = {"CREATE", "UPDATE", "DELETE", "SYNC"};
constexpr std::array<std::string_view, 7> strategy_names = {
    "CLIENT_WINS",         "SERVER_WINS", "MOST_RECENT_WINS", "DEVICE_PRIORITY", "MERGE",
    "PRESERVE_ESCALATION", "MANUAL"};
constexpr std::array<std::string_view, 5> device_type_names = {"DESKTOP", "LAPTOP", "TABLET", "PHONE",
                                                               "OTHER"};
constexpr std::array<std::string_view, 3> priority_names = {"NORMAL", "HIGH", "CRITICAL"};

template<class Enum, std::size_t N>
std::string_view name_of(Enum value, const std::array<std::string_view, N>& names) {
  const auto index = static_cast<std::size_t>(value);
  MOORING_CHECK(index < N, "an enumerator of the model");
  return names[index];
}

} // namespace

std::string_view to_string(domain value) {
  return name_of(value, domain_names);
}
std::string_view to_string(operation value) {
  return name_of(value, operation_names);
}
std::string_view to_string(strategy value) {
  return name_of(value, strategy_names);
}
std::string_view to_string(device_type value) {
  return name_of(value, device_type_names);
}
std::string_view to_string(priority value) {
  return name_of(value, priority_names);
}

std::optional<domain> parse_domain(std::string_view name) {
  for (std::size_t i = 0; i < domain_names.size(); ++i)
    if (domain_names[i] == name) return static_cast<domain>(i);
  return std::nullopt;
}

std::int32_t default_priority(device_type type) {
  constexpr std::array<std::int32_t, 5> priorities = {100, 80, 60, 40, 50};
  const auto index = static_cast<std::size_t>(type);
  MOORING_CHECK(index < priorities.size(), "a device type of the model");
  return priorities[index];
}

policy default_policy(domain d) {
  switch (d) {
  case domain::journal: return {d, strategy::client_wins, true, true};
  case domain::attendance: return {d, strategy::server_wins, true, true};
  case domain::task:
  case domain::work_order: return {d, strategy::most_recent_wins, true, true};
  case domain::ticket: return {d, strategy::preserve_escalation, true, true};
  default: break;
  }
  MOORING_CHECK(false, "an entity domain: records have no conflicts");
}

} // namespace mooring::sync
