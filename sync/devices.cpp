// Registering and deactivating devices, what a device acknowledged, and what it wants pushed.
#include <algorithm>

#include "sync/asker.hpp"
#include "sync/changes.hpp"
#include "sync/notifications.hpp"
#include "sync/rules.hpp"
#include "sync/staged.hpp"
#include "sync/validation.hpp"

namespace mooring::sync {

namespace {

constexpr std::size_t device_text_bytes_max = 256;

result<void> check_text(std::string_view field, const std::optional<std::string>& text) {
  if (text && text->size() > device_text_bytes_max)
    return error{error_code::bad_user_input,
                 std::string(field) + " is longer than " + std::to_string(device_text_bytes_max) + " bytes",
                 std::string(field)};
  return {};
}

// What is not said stays as it was: an app that knows less than an earlier version of it takes nothing away.
template<class T> void replace(std::optional<T>& old, const std::optional<T>& said) {
  if (said) old = said;
}

} // namespace

result<decision<device>> apply_registration(store& in, const caller& who, const register_device& what,
                                            instant now, const rule_settings& settings) {
  if (auto bad = check_id_argument("deviceId", what.device_id, settings); !bad) return bad.failure();
  if (auto bad = check_text("deviceName", what.name); !bad) return bad.failure();
  if (auto bad = check_text("osType", what.os_type); !bad) return bad.failure();
  if (auto bad = check_text("osVersion", what.os_version); !bad) return bad.failure();
  if (auto bad = check_text("appVersion", what.app_version); !bad) return bad.failure();

  auto asking = identify(in, who, what.device_id);
  const bool deactivated = !asking && asking.failure().code == error_code::device_deactivated;
  // A lost phone must not bring itself back: a token that is bound to the deactivated device stays refused.
  // Its owner, with a token that is not, may register it again (docs/decisions/0013).
  if (!asking && (!deactivated || who.device)) return asking.failure();

  staged deciding(in, now, settings, 0);
  const auto known_user = in.find_user(who.user);
  const auto before = in.find_device(what.device_id);
  device made;
  if (before) {
    made = *before;
  } else {
    made.id = what.device_id;
    made.owner = known_user ? known_user->number : deciding.new_user(who.user);
    made.number = deciding.new_device_number();
    made.registered_at = now;
  }
  made.active = true;
  made.type = what.type;
  replace(made.name, what.name);
  replace(made.os_type, what.os_type);
  replace(made.os_version, what.os_version);
  replace(made.app_version, what.app_version);
  replace(made.priority_override, what.priority);

  decision<device> out{made, {}, 0, 0};
  if (!before || !(*before == made)) deciding.put(std::move(made));
  deciding.finish(out);
  return out;
}

result<decision<bool>> apply_deactivation(store& in, const caller& who, const deactivate_device& what,
                                          instant now, const rule_settings& settings) {
  if (auto bad = check_id_argument("deviceId", what.device_id, settings); !bad) return bad.failure();
  auto asking = identify(in, who);
  if (!asking) return asking.failure();
  if (!who.is_admin && who.device && *who.device != what.device_id)
    return error{error_code::forbidden, "the token is for another device", "deviceId"};
  auto target = in.find_device(what.device_id);
  if (!target) return error{error_code::not_found, "there is no such device", "deviceId"};
  if (!who.is_admin && (!asking->known_user || target->owner != asking->known_user->number))
    return error{error_code::forbidden, "the device belongs to another user", "deviceId"};
  decision<bool> out{true, {}, 0, 0};
  if (!target->active) return out;
  staged deciding(in, now, settings, 0);
  target->active = false;
  // The owner hears of it on the other devices, at once: it may be somebody else's doing.
  notification told;
  told.owner = target->owner;
  told.text = "device " + target->id + " was deactivated";
  document_writer data;
  data.begin_object(1);
  data.key("deviceId");
  data.string(target->id);
  told.data = data.take();
  told.urgency = priority::high;
  tell(deciding, std::move(told));
  deciding.put(std::move(*target));
  deciding.finish(out);
  return out;
}

result<decision<bool>> apply_acknowledgement(store& in, const caller& who, const acknowledge& what,
                                             instant now, const rule_settings& settings) {
  auto asking = identify(in, who, what.device_id);
  if (!asking) return asking.failure();
  if (!asking->known_device) return error{error_code::not_found, "there is no such device", "deviceId"};
  // Believing it would hide what comes next from the device.
  if (is_ahead(what.upto, in.counters().last_position))
    return error{error_code::bad_user_input, "the cursor is ahead of the feed", "cursor"};
  decision<bool> out{true, {}, 0, 0};
  auto& with = *asking->known_device;
  if (what.upto.at <= with.acknowledged.at) return out;
  staged deciding(in, now, settings, 0);
  with.acknowledged = what.upto;
  deciding.put(std::move(with));
  deciding.finish(out);
  return out;
}

result<decision<push_answer>> apply_push_subscription(store& in, const caller& who,
                                                      const set_push_subscription& what, instant now,
                                                      const rule_settings& settings) {
  auto asking = identify(in, who, what.device_id);
  if (!asking) return asking.failure();
  if (!asking->known_device) return error{error_code::not_found, "there is no such device", "deviceId"};
  decision<push_answer> out{{what.device_id, what.setting}, {}, 0, 0};
  auto& with = *asking->known_device;
  const auto place =
      std::lower_bound(with.push.begin(), with.push.end(), what.setting.in,
                       [](const push_setting& one, std::optional<domain> d) { return one.in < d; });
  if (place != with.push.end() && place->in == what.setting.in) {
    if (*place == what.setting) return out;
    *place = what.setting;
  } else {
    with.push.insert(place, what.setting);
  }
  staged deciding(in, now, settings, 0);
  deciding.put(std::move(with));
  deciding.finish(out);
  return out;
}

} // namespace mooring::sync
