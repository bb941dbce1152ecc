#include "sync/notifications.hpp"

#include "sync/asker.hpp"
#include "sync/rules.hpp"
#include "sync/validation.hpp"

namespace mooring::sync {

namespace {

result<void> check_administrator(store& in, const caller& who) {
  if (auto asking = identify(in, who); !asking) return asking.failure();
  if (!who.is_admin) return error{error_code::forbidden, "only an administrator of the tenant may do this"};
  return {};
}

result<void> check_text(std::string_view field, const std::string& text) {
  if (text.size() > notification_text_bytes_max)
    return error{error_code::bad_user_input,
                 std::string(field) + " is longer than " + std::to_string(notification_text_bytes_max) +
                     " bytes",
                 std::string(field)};
  return {};
}

// Finds the user and device that it is for. False: there is nobody of that name, or the device is not in use.
bool address(store& in, const std::optional<std::string>& user_id,
             const std::optional<std::string>& device_id, notification& to) {
  if (user_id) {
    const auto found = in.find_user(*user_id);
    if (!found) return false;
    to.owner = found->number;
  }
  if (!device_id) return true;
  const auto found = in.find_device(*device_id);
  if (!found || !found->active || (to.owner != 0 && found->owner != to.owner)) return false;
  to.owner = found->owner;
  to.only_device = found->number;
  return true;
}

decision<std::int32_t> send(store& in, notification&& what, std::int32_t devices, instant now,
                            const rule_settings& settings) {
  decision<std::int32_t> out{devices, {}, 0, 0};
  staged deciding(in, now, settings, 0);
  tell(deciding, std::move(what));
  deciding.finish(out);
  return out;
}

} // namespace

std::string notification_id(position at) {
  return "n" + std::to_string(at);
}

void tell(staged& in, notification&& what) {
  what.at = in.next_position();
  what.id = notification_id(what.at);
  what.created_at = in.now();
  in.add_slot({0, slot_kind::notification, domain::voice, what.owner, what.id, 0, operation::create,
               what.urgency, true, in.now()});
  in.put(boxed<notification>(std::move(what)));
}

result<decision<std::int32_t>> apply_trigger(store& in, const caller& who, const trigger_sync& what,
                                             instant now, const rule_settings& settings) {
  if (auto may = check_administrator(in, who); !may) return may.failure();
  if ((what.domains & all_domains) == 0)
    return error{error_code::bad_user_input, "there must be at least one domain to sync", "domains"};
  if (auto bad = check_text("reason", what.reason); !bad) return bad.failure();
  notification made;
  if (what.devices <= 0 || !address(in, what.user_id, std::nullopt, made))
    return decision<std::int32_t>{0, {}, 0, 0};
  made.kind = notification_kind::trigger;
  made.domains = what.domains & all_domains;
  made.text = what.reason;
  made.urgency = priority::high;
  return send(in, std::move(made), what.devices, now, settings);
}

result<decision<std::int32_t>> apply_broadcast(store& in, const caller& who, const broadcast& what,
                                               instant now, const rule_settings& settings) {
  if (auto may = check_administrator(in, who); !may) return may.failure();
  if (what.message.empty()) return error{error_code::bad_user_input, "message must not be empty", "message"};
  if (auto bad = check_text("message", what.message); !bad) return bad.failure();
  if (auto bad = check_size("data", what.data, settings)) // a problem of an item; here of the request
    return error{error_code::bad_user_input, std::move(bad->message), "data"};
  notification made;
  if (what.devices <= 0 || !address(in, what.user_id, what.device_id, made))
    return decision<std::int32_t>{0, {}, 0, 0};
  made.kind = notification_kind::message;
  made.text = what.message;
  made.data = what.data;
  made.urgency = what.urgency;
  return send(in, std::move(made), what.devices, now, settings);
}

} // namespace mooring::sync
