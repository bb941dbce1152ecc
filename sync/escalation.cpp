#include "sync/escalation.hpp"

#include <charconv>
#include <string>
#include <utility>

#include "base/document.hpp"

namespace mooring::sync {

namespace {

enum class scale { boolean, numeric, word, incident };

struct rank {
  scale on = scale::numeric;
  double value = 0;
};

constexpr std::pair<std::string_view, int> words[] = {
    {"none", 0},    {"info", 1},     {"informational", 1}, {"trivial", 1},  {"lowest", 1},
    {"low", 2},     {"minor", 2},    {"normal", 3},        {"medium", 3},   {"moderate", 3},
    {"warning", 3}, {"high", 4},     {"major", 4},         {"highest", 5},  {"urgent", 5},
    {"severe", 5},  {"critical", 6}, {"blocker", 7},       {"emergency", 7}};

std::optional<rank> rank_of(std::string_view value) {
  switch (kind_of(value)) {
  case document_kind::boolean: return rank{scale::boolean, boolean_of(value) ? 1.0 : 0.0};
  case document_kind::integer:
  case document_kind::number: return rank{scale::numeric, number_of(value)};
  case document_kind::string: break;
  default: return std::nullopt;
  }
  const auto text = string_of(value);
  if (text.empty() || text.size() > 16) return std::nullopt;
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (const auto& [word, at] : words)
    if (lower == word) return rank{scale::word, static_cast<double>(at)};
  // "P1", "S2", "SEV1", "sev-1": the smaller the number, the worse the incident.
  std::string_view rest = lower;
  bool incident = false;
  for (const std::string_view prefix : {"sev-", "sev", "p", "s"}) {
    if (!rest.starts_with(prefix)) continue;
    rest.remove_prefix(prefix.size());
    incident = true;
    break;
  }
  double number = 0;
  const auto [end, failed] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (failed != std::errc{} || end != rest.data() + rest.size() || !(number - number == 0))
    return std::nullopt;
  return incident ? rank{scale::incident, -number} : rank{scale::numeric, number};
}

} // namespace

bool is_escalation_field(std::string_view name) {
  return name == "priority" || name == "severity" || name == "escalation_level" || name == "escalated";
}

std::optional<int> compare_escalation(std::string_view a, std::string_view b) {
  const auto in_a = rank_of(a), in_b = rank_of(b);
  if (!in_a || !in_b || in_a->on != in_b->on) return std::nullopt;
  return in_a->value < in_b->value ? -1 : in_a->value > in_b->value ? 1 : 0;
}

} // namespace mooring::sync
