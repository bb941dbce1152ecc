#include "net/connection_limits.hpp"

namespace mooring::net {

bool connection_limits::enter(address_key address) {
  if (address != 0) {
    const std::lock_guard lock(mutex_);
    auto& held = by_address_[address];
    if (held >= per_address_max_) return false;
    ++held;
  }
  open_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void connection_limits::leave(address_key address) {
  open_.fetch_sub(1, std::memory_order_relaxed);
  if (address == 0) return;
  const std::lock_guard lock(mutex_);
  forget(address);
}

bool connection_limits::change(address_key from, address_key to) {
  if (from == to) return true;
  const std::lock_guard lock(mutex_);
  if (to != 0) {
    auto& held = by_address_[to];
    if (held >= per_address_max_) return false;
    ++held;
  }
  if (from != 0) forget(from);
  return true;
}

void connection_limits::forget(address_key address) {
  const auto found = by_address_.find(address);
  if (found != by_address_.end() && --found->second == 0) by_address_.erase(found);
}

} // namespace mooring::net
