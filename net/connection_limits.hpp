// How many connections there are, in all and per address; shared by the network threads.
//
// An IPv6 address counts as its /64, which one customer usually holds whole. Loopback is not counted per
// address: a reverse proxy on this host brings everybody. Nor is a trusted proxy elsewhere; its WebSockets are counted for
// the clients behind it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace mooring::net {

// The first 64 bits of an IPv6 address, an IPv4 address, or 0 for loopback and what is not counted.
using address_key = std::uint64_t;

class connection_limits {
 public:
  connection_limits(std::size_t in_all, std::size_t per_address)
      : in_all_max_(in_all)
      , per_address_max_(per_address) {}

  bool is_full() const { return open_.load(std::memory_order_relaxed) >= in_all_max_; }
  // False when the address holds its share already. A success is paired with `leave`.
  bool enter(address_key address);
  void leave(address_key address);
  // A connection turns out to be another address's. False, and nothing changed, when that one holds its share already.
  bool change(address_key from, address_key to);
  std::size_t open() const { return open_.load(std::memory_order_relaxed); }

 private:
  void forget(address_key address);

  const std::size_t in_all_max_;
  const std::size_t per_address_max_;
  std::atomic<std::size_t> open_{0};
  std::mutex mutex_;
  std::unordered_map<address_key, std::size_t> by_address_;
};

// A place that was entered: left when the connection ends, whoever holds it then.
class connection_place {
 public:
  connection_place(connection_limits& limits, address_key key)
      : limits_(&limits)
      , key_(key) {}
  connection_place(connection_place&& other) noexcept
      : limits_(other.limits_)
      , key_(other.key_) {
    other.limits_ = nullptr;
  }
  connection_place& operator=(connection_place&&) = delete;
  // False: the other address is full.
  bool move_to(address_key key) {
    if (!limits_->change(key_, key)) return false;
    key_ = key;
    return true;
  }
  ~connection_place() {
    if (limits_ != nullptr) limits_->leave(key_);
  }

 private:
  connection_limits* limits_;
  address_key key_;
};

} // namespace mooring::net
