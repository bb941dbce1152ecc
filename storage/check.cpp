#include "storage/check.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_set>

#include "storage/codec.hpp"
#include "storage/keys.hpp"
#include "sync/answer_codec.hpp"

namespace mooring::storage {

namespace {

class checker {
 public:
  checker(const read_transaction& snapshot, const finding_callback& report, const check_options& options)
      : snapshot_(snapshot, options.unapplied)
      , report_(report)
      , options_(options)
      , counted_report_([this](const std::string& finding) { found(finding); }) {}

  check_summary run() {
    std::string last;
    snapshot_.scan({}, [&](std::string_view key, std::string_view value) {
      ++summary_.rows;
      // Pages that point at each other could otherwise be read for ever.
      if (key <= last) {
        found("row " + to_hex(key) + " comes after row " + to_hex(last) +
              ": the tree is damaged; what follows cannot be read");
        return false;
      }
      last = key;
      if (static_cast<unsigned char>(key.front()) < tenant_rows_tag) {
        now_reading("log");
        if (options_.other_row) options_.other_row(key, value, counted_report_);
      } else {
        tenant_row(key, value);
      }
      return !summary_.stopped;
    });
    if (const auto failure = snapshot_.failure()) found(failure->message + "; what follows cannot be read");
    return summary_;
  }

 private:
  void found(const std::string& finding) {
    if (summary_.stopped) return;
    report_(finding);
    if (++summary_.findings >= options_.findings_max) summary_.stopped = true;
  }
  void wrong(std::string_view what) {
    found(std::string(to_string(at_.in)) + " row " + to_hex(key_) + ": " + std::string(what));
  }

  // The decoded row, or nothing after a finding.
  template<class T> std::optional<T> keep(result<T>&& read) {
    if (read) return std::move(*read);
    found(read.failure().message);
    return std::nullopt;
  }
  // A row that another one speaks of. Its own damage is found when its turn comes.
  template<class Decode>
  auto other(const row_key& key, Decode&& decode)
      -> decltype(std::optional(*decode(key.view(), key.view()))) {
    const auto value = snapshot_.get(key.view());
    if (!value) return std::nullopt;
    auto read = decode(key.view(), *value);
    if (!read) return std::nullopt;
    return std::move(*read);
  }

  void now_reading(std::string_view table) {
    if (!options_.reading || table.data() == reading_.data()) return;
    reading_ = table;
    options_.reading(table);
  }

  void tenant_row(std::string_view key, std::string_view value) {
    key_ = key;
    const auto parts = parse_key(key);
    if (!parts) return found("row " + to_hex(key) + ": not a key of any table");
    at_ = *parts;
    now_reading(to_string(at_.in));
    if (!tenant_ || *tenant_ != at_.tenant) begin_tenant();
    switch (at_.in) {
    case table::counters: return check_counters(value);
    case table::swept: return check_swept(value);
    case table::policy: static_cast<void>(keep(decode_policy(key, value))); return;
    case table::user_by_name: return check_user_by_name(value);
    case table::user: return check_user(value);
    case table::device_by_name: return check_device_by_name(value);
    case table::device_by_owner: return check_device_by_owner(value);
    case table::device: return check_device(value);
    case table::open_conflict: return check_open_conflict(value);
    case table::conflict: return check_conflict(value);
    case table::notification: return check_notification(value);
    case table::analytics: static_cast<void>(keep(decode_analytics(key, value))); return;
    case table::feed: return check_feed(value);
    case table::idempotency: {
      const auto upload = keep(decode_idempotency(key, value));
      if (upload) check_remembered(sync::unpack_answer(upload->answer).ok());
      return;
    }
    case table::operation: {
      const auto item = keep(decode_operation(key, value));
      if (item) check_remembered(sync::unpack_item(item->outcome).ok());
      return;
    }
    case table::entity: return check_entity(value);
    }
  }

  void begin_tenant() {
    tenant_ = at_.tenant;
    counters_.reset();
    swept_ = 0;
    users_.clear();
    devices_.clear();
    last_slot_ = 0;
    ++summary_.tenants;
    // Counters come first. A tenant of which only a policy was ever set has none.
    if (at_.in != table::counters && at_.in != table::policy) wrong("its tenant has no counters");
  }

  // ── numbers ──
  bool position_given(sync::position at) const {
    return at != 0 && (!counters_ || at <= counters_->last_position);
  }
  void check_position(sync::position at, std::string_view what) {
    if (!position_given(at))
      wrong(std::string(what) + " " + std::to_string(at) + " was never given away: the counter stands at " +
            std::to_string(counters_ ? counters_->last_position : 0));
  }
  void check_user_number(sync::user_number number, std::string_view what, bool may_be_nobody) {
    if (number == 0 ? !may_be_nobody : !users_.contains(number))
      wrong(std::string(what) + " is user number " + std::to_string(number) + ", which nobody has");
  }
  void check_device_number(sync::device_number number, std::string_view what, bool may_be_none) {
    if (number == 0 ? !may_be_none : !devices_.contains(number))
      wrong(std::string(what) + " is device number " + std::to_string(number) + ", which no device has");
  }

  void check_counters(std::string_view value) {
    counters_ = keep(decode_counters(key_, value));
    if (counters_ && hash_tenant(counters_->tenant) != at_.tenant)
      wrong("the tenant's name does not have this hash");
    if (counters_ && options_.shards > 0) {
      const auto home = shard_of_tenant(counters_->tenant, options_.shards);
      if (home != options_.shard) wrong("the tenant belongs to shard " + std::to_string(home));
    }
  }

  void check_swept(std::string_view value) {
    const auto upto = keep(decode_swept(key_, value));
    if (!upto) return;
    swept_ = *upto;
    if (*upto != 0) check_position(*upto, "position");
  }

  // ── users and devices ──
  void check_user_by_name(std::string_view value) {
    const auto number = keep(decode_user_by_name(key_, value));
    if (!number) return;
    const auto user = other(keys::user(at_.tenant, *number), decode_user);
    if (!user || user->id != at_.id) wrong("user number " + std::to_string(*number) + " is not this user");
  }

  void check_user(std::string_view value) {
    ++summary_.users;
    users_.insert(at_.user); // also when its row is damaged, so that one damage is one finding
    const auto user = keep(decode_user(key_, value));
    if (!user) return;
    if (user->number == 0 || (counters_ && user->number > counters_->last_user))
      wrong("the number was never given away");
    const auto number = other(keys::user_by_name(at_.tenant, user->id), decode_user_by_name);
    if (!number || *number != user->number) wrong("the user is not found by its name");
  }

  void check_device_by_name(std::string_view value) {
    const auto number = keep(decode_device_by_name(key_, value));
    if (!number) return;
    const auto device = other(keys::device(at_.tenant, *number), decode_device);
    if (!device || device->id != at_.id)
      wrong("device number " + std::to_string(*number) + " is not this device");
  }

  void check_device_by_owner(std::string_view value) {
    if (const auto read = decode_device_by_owner(key_, value); !read) return found(read.failure().message);
    const auto device = other(keys::device(at_.tenant, at_.device), decode_device);
    if (!device || device->owner != at_.user) wrong("the device does not belong to this user");
  }

  void check_device(std::string_view value) {
    ++summary_.devices;
    devices_.insert(at_.device);
    const auto device = keep(decode_device(key_, value));
    if (!device) return;
    if (device->number == 0 || (counters_ && device->number > counters_->last_device))
      wrong("the number was never given away");
    check_user_number(device->owner, "its owner", false);
    const auto number = other(keys::device_by_name(at_.tenant, device->id), decode_device_by_name);
    if (!number || *number != device->number) wrong("the device is not found by its name");
    const auto index = keys::device_by_owner(at_.tenant, device->owner, device->number);
    if (!snapshot_.get(index.view())) wrong("the device is not found among its owner's");
    for (const auto at : {device->acknowledged.at, device->acknowledged.begun})
      if (at != 0) check_position(at, "the acknowledged position");
  }

  // ── conflicts ──
  void check_open_conflict(std::string_view value) {
    const auto open = keep(decode_open_conflict(key_, value));
    if (!open) return;
    const auto conflict = other(keys::conflict(at_.tenant, at_.at), decode_conflict);
    if (!conflict) return wrong("the conflict is not there");
    if (conflict->status != sync::conflict_status::open) wrong("the conflict is not open");
    if (conflict->in != open->in || conflict->owner != open->owner)
      wrong("the conflict is of another domain or owner");
  }

  void check_conflict(std::string_view value) {
    const auto conflict = keep(decode_conflict(key_, value));
    if (!conflict) return;
    ++summary_.conflicts;
    check_position(conflict->first_at, "its first position");
    if (conflict->at < conflict->first_at) wrong("it stands before its first position");
    check_user_number(conflict->owner, "its owner", true);
    check_user_number(conflict->user, "its user", true);
    check_device_number(conflict->device, "its device", true);
    const bool open = conflict->status == sync::conflict_status::open;
    if (open != (conflict->winner == sync::conflict_side::none) || open == conflict->resolved_at.has_value())
      wrong("its status, winner and time of resolution do not agree");
    if (open && !snapshot_.get(keys::open_conflict(at_.tenant, at_.at).view()))
      wrong("it is open and not among the open ones");
    check_stands_in_feed(conflict->at, [&](const feed_slot_view& slot) {
      return slot.kind == sync::slot_kind::conflict && slot.id == conflict->id && slot.in == conflict->in &&
             slot.owner == conflict->owner && slot.expires != open;
    });
  }

  // ── notifications ──
  void check_notification(std::string_view value) {
    const auto told = keep(decode_notification(key_, value));
    if (!told) return;
    ++summary_.notifications;
    check_user_number(told->owner, "its owner", true);
    check_device_number(told->only_device, "its device", true);
    check_stands_in_feed(told->at, [&](const feed_slot_view& slot) {
      return slot.kind == sync::slot_kind::notification && slot.id == told->id && slot.owner == told->owner &&
             slot.urgency == told->urgency;
    });
  }

  // ── feed ──
  template<class Is> void check_stands_in_feed(sync::position at, Is&& is) {
    check_position(at, "its position in the feed");
    const auto from = keys::feed(at_.tenant, at);
    const auto prefix = from.view().substr(0, from.view().size() - 8);
    bool stands = false;
    snapshot_.scan(from.view(), [&](std::string_view key, std::string_view value) {
      if (!key.starts_with(prefix) || !decode_feed_slots(key, value, probe_)) return false;
      stands = std::any_of(probe_.begin(), probe_.end(),
                           [&](const feed_slot_view& slot) { return slot.at == at && is(slot); });
      return false;
    });
    if (!stands) wrong("it is not in the feed at its position " + std::to_string(at));
  }

  void check_feed(std::string_view value) {
    if (const auto read = decode_feed_slots(key_, value, slots_); !read) return found(read.failure().message);
    if (slots_.empty()) wrong("it holds nothing");
    for (const auto& slot : slots_) {
      ++summary_.slots;
      const auto here = "position " + std::to_string(slot.at);
      if (slot.at > at_.at) wrong(here + " is above the row's key");
      if (slot.at <= last_slot_) wrong(here + " comes after position " + std::to_string(last_slot_));
      last_slot_ = slot.at;
      check_position(slot.at, "position");
      check_user_number(slot.owner, "the owner at " + here, true);
      check_device_number(slot.device, "the device at " + here, true);
      if (slot.expires && slot.at <= swept_)
        wrong(here + " expires and should have been swept: everything up to " + std::to_string(swept_) +
              " was");
      check_slot_resolves(slot, here);
    }
  }

  void check_slot_resolves(const feed_slot_view& slot, const std::string& here) {
    if (slot.kind == sync::slot_kind::notification) {
      if (!slot.expires) wrong(here + " is a notification that would never be swept");
      if (!snapshot_.get(keys::notification(at_.tenant, slot.at).view()))
        wrong(here + " names a notification that is not there");
      return;
    }
    if (slot.kind == sync::slot_kind::entity) {
      const auto key = keys::entity(at_.tenant, slot.in, slot.owner, slot.id);
      const auto value = key.fits() ? snapshot_.get(key.view()) : std::nullopt;
      if (!value) return wrong(here + " names an entity that is not there");
      const auto entity = decode_entity_view(key.view(), *value);
      if (entity && entity->at != slot.at)
        wrong(here + " names an entity that stands at position " + std::to_string(entity->at));
      if (entity && entity->deleted != slot.expires)
        wrong(here + (entity->deleted ? " is a tombstone that would never be swept"
                                      : " is an entity that would be swept"));
      return;
    }
    sync::position first_at = 0;
    const auto digits = slot.id.substr(slot.id.empty() ? 0 : 1);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), first_at);
    if (slot.id.empty() || slot.id.front() != 'c' || failed != std::errc{} ||
        end != digits.data() + digits.size())
      return wrong(here + " names a conflict by no conflict's id");
    const auto conflict = other(keys::conflict(at_.tenant, first_at), decode_conflict);
    if (!conflict) {
      if (!snapshot_.get(keys::conflict(at_.tenant, first_at).view()))
        wrong(here + " names a conflict that is not there");
    } else if (conflict->at != slot.at) {
      wrong(here + " names a conflict that stands at position " + std::to_string(conflict->at));
    }
  }

  // ── what is remembered, and entities ──
  void check_remembered(bool is_answer) {
    if (!is_answer) wrong("a retry cannot be answered from it");
    check_user_number(at_.user, "its user", false);
    check_device_number(at_.device, "its device", false);
  }

  void check_entity(std::string_view value) {
    const auto entity = keep(decode_entity(key_, value));
    if (!entity) return;
    ++summary_.entities;
    if (entity->version < 1) wrong("its version is " + std::to_string(entity->version));
    if (entity->deleted != entity->data.absent())
      wrong(entity->deleted ? "a tombstone has data" : "it has no data");
    if (!entity->data.absent() && kind_of(entity->data.bytes) != document_kind::object)
      wrong("its data is no object");
    check_user_number(entity->owner, "its owner", true);
    check_user_number(entity->user, "its user", true);
    check_device_number(entity->device, "its device", true);
    check_device_number(entity->first_device, "the device that made it", true);
    if (entity->run_start < 1 || entity->run_start > entity->version + 1)
      wrong("its device's run begins at version " + std::to_string(entity->run_start));
    check_fields(*entity);
    check_stands_in_feed(entity->at, [&](const feed_slot_view& slot) {
      return slot.kind == sync::slot_kind::entity && slot.id == entity->id && slot.in == entity->in &&
             slot.owner == entity->owner;
    });
  }

  void check_fields(const sync::entity& of) {
    const std::string* before = nullptr;
    for (const auto& field : of.fields) {
      if (before && field.name <= *before) wrong("its fields are out of order");
      before = &field.name;
      if (field.version < 2 || field.version > of.version)
        wrong("a field is of version " + std::to_string(field.version) + ", the entity of " +
              std::to_string(of.version));
      check_device_number(field.device, "the device of a field", true);
      if (field.history.empty() || field.history.size() > sync::field_history_max)
        wrong("a field has " + std::to_string(field.history.size()) + " older values");
      auto above = field.version;
      for (const auto& [from, hash] : field.history) {
        if (from >= above) wrong("a field's older values do not descend");
        above = from;
      }
    }
  }

  overlaid_snapshot snapshot_;
  const finding_callback& report_;
  const check_options& options_;
  finding_callback counted_report_;
  check_summary summary_;
  std::string_view key_; // the row that is looked at
  std::string_view reading_;
  key_parts at_;
  std::vector<feed_slot_view> slots_, probe_;

  // of the present tenant
  std::optional<tenant_hash> tenant_;
  std::optional<sync::tenant_counters> counters_;
  sync::position swept_ = 0;
  std::unordered_set<sync::user_number> users_;
  std::unordered_set<sync::device_number> devices_;
  sync::position last_slot_ = 0;
};

} // namespace

result<check_summary> check_shard(environment& shard, const finding_callback& report,
                                  const check_options& options) {
  const auto snapshot = shard.begin_read();
  if (!snapshot) return snapshot.failure();
  return checker(*snapshot, report, options).run();
}

} // namespace mooring::storage
