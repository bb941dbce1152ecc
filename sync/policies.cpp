// Conflict policies: what a tenant's administrator set, over the defaults of domain.md.
#include "sync/asker.hpp"
#include "sync/notifications.hpp"
#include "sync/rules.hpp"
#include "sync/staged.hpp"

namespace mooring::sync {

policy effective_policy(store& in, domain d) {
  if (auto set = in.find_policy(d)) return *set;
  return default_policy(d);
}

namespace {

notification news_of(const policy& value) {
  notification told;
  told.text = "conflict policy of " + std::string(to_string(value.in)) + " changed";
  document_writer data;
  data.begin_object(4);
  data.key("domain");
  data.string(to_string(value.in));
  data.key("resolutionPolicy");
  data.string(to_string(value.resolution));
  data.key("autoResolve");
  data.boolean(value.auto_resolve);
  data.key("notifyOnConflict");
  data.boolean(value.notify_on_conflict);
  told.data = data.take();
  return told;
}

} // namespace

result<decision<policy>> apply_policy(store& in, const caller& who, const set_conflict_policy& what,
                                      instant now, const rule_settings& settings) {
  auto asking = identify(in, who);
  if (!asking) return asking.failure();
  if (!who.is_admin)
    return error{error_code::forbidden, "only an administrator of the tenant may set a policy"};
  if (is_record(what.value.in))
    return error{error_code::bad_user_input,
                 std::string(to_string(what.value.in)) +
                     " holds records, which are written once and have no conflicts",
                 "domain"};
  decision<policy> out{what.value, {}, 0, 0};
  if (in.find_policy(what.value.in) == what.value) return out;
  staged deciding(in, now, settings, 0);
  // Saying the default in so many words changes nothing for anybody.
  if (effective_policy(in, what.value.in) != what.value) tell(deciding, news_of(what.value));
  deciding.put(what.value);
  deciding.finish(out);
  return out;
}

} // namespace mooring::sync
