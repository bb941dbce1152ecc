#include "storage/overlaid_snapshot.hpp"

#include <algorithm>

namespace mooring::storage {

std::span<const overlaid_row>::iterator overlaid_snapshot::at_or_after(std::string_view key) const {
  return std::lower_bound(rows_.begin(), rows_.end(), key,
                          [](const overlaid_row& one, std::string_view than) { return one.key < than; });
}

std::optional<std::string_view> overlaid_snapshot::get(std::string_view key) const {
  if (const auto found = at_or_after(key); found != rows_.end() && found->key == key)
    return found->removed ? std::nullopt : std::optional(found->value);
  return below_.get(key);
}

void overlaid_snapshot::scan(
    std::string_view from,
    const std::function<bool(std::string_view key, std::string_view value)>& each) const {
  auto next = at_or_after(from);
  bool stopped = false;
  const auto above = [&](auto&& until) {
    for (; !stopped && next != rows_.end() && until(next->key); ++next)
      if (!next->removed) stopped = !each(next->key, next->value);
  };
  below_.scan(from, [&](std::string_view key, std::string_view value) {
    above([&](std::string_view candidate) { return candidate < key; });
    if (stopped) return false;
    if (next != rows_.end() && next->key == key) {
      above([&](std::string_view candidate) { return candidate == key; });
    } else {
      stopped = !each(key, value);
    }
    return !stopped;
  });
  if (!below_.failure()) above([](std::string_view) { return true; });
}

} // namespace mooring::storage
