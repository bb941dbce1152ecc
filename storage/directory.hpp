// Names of devices and users by number, remembered. Numbers never change their meaning, so a name holds for
// every later snapshot; a page of a thousand entities by three devices reads three rows.
//
// One tenant's. Not thread-safe. Bounded: when full it forgets everything and starts again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "storage/feed_source.hpp"

namespace mooring::storage {

class directory {
 public:
  using name = std::shared_ptr<const std::string>;
  static constexpr std::size_t names_max = 4096;

  // Null for number 0 and for a number that nobody has (then the store's failure() says why, if it is
  // damage).
  name device(feed_source& store, sync::device_number number);
  name user(feed_source& store, sync::user_number number);

 private:
  std::unordered_map<std::uint32_t, name> devices_, users_;
};

} // namespace mooring::storage
