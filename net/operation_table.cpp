#include "net/operation_table.hpp"

namespace mooring::net {

operation_table::ticket operation_table::open(session& owner) {
  if (first_free_ == none) {
    slots_.emplace_back();
    slots_.back().next_free = none;
    first_free_ = static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const auto index = first_free_;
  auto& slot = slots_[index];
  first_free_ = slot.next_free;
  slot.owner = &owner;
  slot.cancelled = false;
  slot.id_json.clear();
  ++open_;
  return (static_cast<ticket>(slot.generation) << 32) | index;
}

operation_table::operation* operation_table::find(ticket of) {
  const auto index = static_cast<std::uint32_t>(of);
  if (index >= slots_.size()) return nullptr;
  auto& slot = slots_[index];
  return slot.owner != nullptr && slot.generation == static_cast<std::uint32_t>(of >> 32) ? &slot : nullptr;
}

void operation_table::close(ticket of) {
  auto* const slot = find(of);
  if (slot == nullptr) return;
  slot->owner = nullptr;
  ++slot->generation;
  slot->next_free = first_free_;
  first_free_ = static_cast<std::uint32_t>(of);
  --open_;
}

} // namespace mooring::net
