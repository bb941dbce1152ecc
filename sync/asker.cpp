#include "sync/asker.hpp"

#include "sync/rules.hpp"

namespace mooring::sync {

result<asker> identify(store& in, const caller& who, std::string_view device_id) {
  if (who.device && *who.device != device_id)
    return error{error_code::forbidden, "the token is for another device", "deviceId"};
  asker found{in.find_user(who.user), in.find_device(device_id)};
  if (!found.known_device) return found;
  if (!found.known_user || found.known_device->owner != found.known_user->number)
    return error{error_code::forbidden, "the device belongs to another user", "deviceId"};
  if (!found.known_device->active)
    return error{error_code::device_deactivated, "the device was deactivated", "deviceId"};
  return found;
}

result<asker> identify(store& in, const caller& who) {
  if (who.device) return identify(in, who, *who.device);
  return asker{in.find_user(who.user), std::nullopt};
}

result<void> check_device(store& in, const caller& who, std::string_view device_id) {
  auto found = identify(in, who, device_id);
  if (!found) return found.failure();
  return {};
}

} // namespace mooring::sync
