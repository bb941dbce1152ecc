#include "actors/feed_batch.hpp"

#include <algorithm>
#include <utility>

namespace mooring::actors {

namespace {

class name_finder {
 public:
  explicit name_finder(sync::store& in)
      : in_(in) {}
  std::shared_ptr<const std::string> of_device(sync::device_number number) {
    if (!device_ || number != device_number_) {
      const auto found = in_.find_device(number);
      device_ = std::make_shared<const std::string>(found ? found->id : std::string());
      device_number_ = number;
    }
    return device_;
  }
  std::shared_ptr<const std::string> of_user(sync::user_number number) {
    if (!user_ || number != user_number_) {
      const auto found = in_.find_user(number);
      user_ = std::make_shared<const std::string>(found ? found->id : std::string());
      user_number_ = number;
    }
    return user_;
  }

 private:
  sync::store& in_;
  std::shared_ptr<const std::string> device_, user_;
  sync::device_number device_number_ = 0;
  sync::user_number user_number_ = 0;
};

} // namespace

feed_batch_ptr make_feed_batch(const std::string& tenant, const sync::write_list& writes, sync::position from,
                               sync::store& names, std::vector<sync::device> devices) {
  auto out = std::make_shared<feed_batch>();
  out->tenant = tenant;
  out->from = out->upto = from;
  out->devices = std::move(devices);
  // What the slots name knows its own place in the feed.
  std::vector<std::pair<sync::position, const sync::write*>> named;
  std::vector<const sync::feed_slot*> slots;
  for (const auto& one : writes) {
    if (const auto* const row = sync::row_in<sync::entity>(one))
      named.emplace_back(row->at, &one);
    else if (const auto* const conflict = sync::row_in<sync::conflict>(one))
      named.emplace_back(conflict->at, &one);
    else if (const auto* const note = sync::row_in<sync::notification>(one))
      named.emplace_back(note->at, &one);
    else if (const auto* const feed = sync::row_in<sync::feed_row>(one)) {
      for (const auto& slot : feed->slots)
        if (slot.at > from) slots.push_back(&slot);
    } else if (const auto* const counters = sync::row_in<sync::tenant_counters>(one)) {
      out->upto = std::max(out->upto, counters->last_position);
    }
  }
  if (slots.empty() && out->devices.empty()) return nullptr;
  std::sort(named.begin(), named.end());
  std::sort(slots.begin(), slots.end(), [](const auto* a, const auto* b) { return a->at < b->at; });
  name_finder names_of(names);
  auto at = named.begin();
  for (const auto* const slot : slots) {
    while (at != named.end() && at->first < slot->at) ++at;
    if (at == named.end() || at->first != slot->at) continue; // it moved on within the batch
    auto& event = out->events.emplace_back();
    event.slot = *slot;
    if (const auto* const row = sync::row_in<sync::entity>(*at->second)) {
      sync::entity_answer answer;
      answer.in = row->in;
      answer.id = row->id;
      answer.version = row->version;
      answer.deleted = row->deleted;
      answer.data = row->data;
      answer.modified_at = row->modified_at;
      answer.updated_at = row->updated_at;
      answer.device_id = names_of.of_device(row->device);
      answer.user_id = names_of.of_user(row->user);
      out->bytes += answer.data.bytes.size();
      event.what = std::move(answer);
    } else if (const auto* const conflict = sync::row_in<sync::conflict>(*at->second)) {
      out->bytes += conflict->server_data.bytes.size() + conflict->client_data.bytes.size();
      event.what = *conflict;
    } else if (const auto* const note = sync::row_in<sync::notification>(*at->second)) {
      out->bytes += note->data.bytes.size() + note->text.size();
      event.what = *note;
    }
    out->bytes += sizeof event + slot->id.size();
  }
  return out;
}

} // namespace mooring::actors
