// pending_store: one tenant's feed as it will read when what is pending is stored.
//
// Not thread-safe; the overlay and the store below it outlive it, and the store's snapshot is current.
#pragma once

#include "storage/feed_source.hpp"
#include "storage/tenant_store.hpp"
#include "sync/overlay.hpp"

namespace mooring::storage {

class pending_store final : public feed_source {
 public:
  // REQUIRES: `above` lies over `below`.
  pending_store(sync::overlay& above, tenant_store& below)
      : above_(above)
      , below_(below) {}

  using feed_source::view_entity;
  sync::store& rows() override { return above_; }
  sync::position swept() override { return above_.pending_swept().value_or(below_.swept()); }
  void scan_feed(sync::position after, const std::function<bool(const feed_slot_view&)>& each) override;
  std::optional<entity_view> view_entity(sync::domain in, sync::user_number owner,
                                         std::string_view id) override;
  std::optional<sync::notification> find_notification(sync::position at) override;
  std::optional<std::string_view> device_id(sync::device_number number) override;
  std::optional<std::string_view> user_id(sync::user_number number) override;
  std::optional<error> failure() const override { return below_.failure(); }

 private:
  sync::overlay& above_;
  tenant_store& below_;
  std::optional<sync::device> device_; // that device_id shows
  std::optional<sync::user> user_;
};

} // namespace mooring::storage
