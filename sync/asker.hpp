// Who is asking, looked up: the user and the device behind a request (domain.md, "Who is asking"). Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "sync/commands.hpp"
#include "sync/store.hpp"

namespace mooring::sync {

struct asker {
  std::optional<user> known_user;     // nothing: never seen before
  std::optional<device> known_device; // nothing: never seen before
};

// For a request that names a device. FORBIDDEN when the token names another one or the device is another
// user's, DEVICE_DEACTIVATED when it was deactivated.
result<asker> identify(store&, const caller&, std::string_view device_id);
// For a request that names none: the token's own device, when it names one, must still be usable.
result<asker> identify(store&, const caller&);

} // namespace mooring::sync
