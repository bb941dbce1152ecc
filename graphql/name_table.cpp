#include "graphql/name_table.hpp"

#include <utility>

#include "base/hash.hpp"

namespace mooring::graphql {

bool name_table::insert(std::string_view name, std::uint32_t number) {
  if (slots_.size() < 2 * (size_ + 1)) grow();
  const auto mask = slots_.size() - 1;
  for (auto at = hash64(name) & mask;; at = (at + 1) & mask) {
    auto& here = slots_[at];
    if (here.number == absent) {
      here = {name, number};
      ++size_;
      return true;
    }
    if (here.name == name) return false;
  }
}

std::uint32_t name_table::find(std::string_view name) const {
  if (slots_.empty()) return absent;
  const auto mask = slots_.size() - 1;
  for (auto at = hash64(name) & mask;; at = (at + 1) & mask) {
    const auto& here = slots_[at];
    if (here.number == absent || here.name == name) return here.number;
  }
}

void name_table::grow() {
  auto old = std::exchange(slots_, std::vector<slot>(slots_.empty() ? 8 : slots_.size() * 2));
  const auto mask = slots_.size() - 1;
  for (const auto& entry : old) {
    if (entry.number == absent) continue;
    auto at = hash64(entry.name) & mask;
    while (slots_[at].number != absent) at = (at + 1) & mask;
    slots_[at] = entry;
  }
}

} // namespace mooring::graphql
