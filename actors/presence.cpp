#include "actors/presence.hpp"

#include <algorithm>

namespace mooring::actors {

std::string presence::key_of(std::string_view tenant, std::string_view device) {
  std::string key(tenant);
  key.push_back('\0'); // in no tenant's name
  key.append(device);
  return key;
}

void presence::opened(std::uint64_t connection, const std::string& tenant,
                      std::weak_ptr<net::connection_handle> handle) {
  const std::lock_guard hold(mutex_);
  auto& entry = connections_[connection];
  entry.tenant = tenant;
  entry.handle = std::move(handle);
}

void presence::uses(std::uint64_t connection, const std::string& device) {
  const std::lock_guard hold(mutex_);
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  auto& devices = found->second.devices;
  if (std::find(devices.begin(), devices.end(), device) != devices.end()) return;
  devices.push_back(device);
  devices_[key_of(found->second.tenant, device)].push_back(connection);
}

void presence::closed(std::uint64_t connection) {
  const std::lock_guard hold(mutex_);
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  for (const auto& device : found->second.devices) {
    const auto there = devices_.find(key_of(found->second.tenant, device));
    if (there == devices_.end()) continue;
    std::erase(there->second, connection);
    if (there->second.empty()) devices_.erase(there);
  }
  connections_.erase(found);
}

bool presence::online(std::string_view tenant, std::string_view device) const {
  const std::lock_guard hold(mutex_);
  return devices_.contains(key_of(tenant, device));
}

std::size_t presence::close_all(std::string_view tenant, std::string_view device, std::uint16_t code,
                                const std::string& reason) {
  std::vector<std::shared_ptr<net::connection_handle>> handles;
  {
    const std::lock_guard hold(mutex_);
    const auto there = devices_.find(key_of(tenant, device));
    if (there == devices_.end()) return 0;
    for (const auto connection : there->second)
      if (auto handle = connections_[connection].handle.lock()) handles.push_back(std::move(handle));
  }
  for (const auto& handle : handles) handle->close(code, reason); // outside the lock: it may report back
  return handles.size();
}

} // namespace mooring::actors
