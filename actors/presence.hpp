// presence: which device is connected where. Thread-safe; shared by all network threads.
//
// A connection counts for a device when its token names the device, or once a command came over it for the device.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/text_map.hpp"
#include "net/gateway.hpp"

namespace mooring::actors {

class presence {
 public:
  // `connection` ids are unique in the process.
  void opened(std::uint64_t connection, const std::string& tenant,
              std::weak_ptr<net::connection_handle> handle);
  void uses(std::uint64_t connection, const std::string& device);
  void closed(std::uint64_t connection);

  bool online(std::string_view tenant, std::string_view device) const;
  // Closes every connection of the device; returns how many there were.
  std::size_t close_all(std::string_view tenant, std::string_view device, std::uint16_t code,
                        const std::string& reason);

 private:
  struct connection_entry {
    std::string tenant;
    std::vector<std::string> devices; // few: a phone has one
    std::weak_ptr<net::connection_handle> handle;
  };
  static std::string key_of(std::string_view tenant, std::string_view device);

  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, connection_entry> connections_;
  text_map<std::string, std::vector<std::uint64_t>> devices_; // key → connections
};

} // namespace mooring::actors
