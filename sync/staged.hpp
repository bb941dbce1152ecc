// staged: one command's decision while it is being made. Pure; lives for one call of the rules.
//
// It collects the writes and the feed slots, and shows them over the store, so that a later item of the same
// command sees what an earlier one did. Positions are given in the order in which slots are added, from the
// tenant's next one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sync/row_key.hpp"
#include "sync/rules.hpp"

namespace mooring::sync {

class staged {
 public:
  staged(store& base, instant now, const rule_settings& settings, std::size_t items);

  store& base() { return base_; }
  instant now() const { return now_; }
  const rule_settings& settings() const { return settings_; }
  policy policy_of(domain in); // effective; read once per command

  // An entity as it stands now, to be read and then perhaps changed in place and kept.
  struct handle {
    entity* found = nullptr; // nothing: there is none
    std::uint64_t hash = 0;  // of its key
    std::uint32_t index = 0; // of its write, from 1; 0: it is not among the writes yet
  };
  // The handle is good until the next call of find, keep, put or new_user.
  handle find(domain in, user_number owner, std::string_view id);
  // Makes what stands in the handle a write. A change of *found after `find` counts only once it was kept.
  void keep(const handle& changed);
  // The same for an entity that was not found.
  void keep_new(const handle& place, entity&& made);

  const operation_record* find_operation(user_number user, device_number device,
                                         std::string_view operation_id);
  void keep(operation_record&& record);

  void put(write&& other) { writes_.push_back(std::move(other)); }

  // Gives the slot the next position. `slot.at` is set here.
  position add_slot(feed_slot&& slot);
  position next_position() const { return first_at_ + slots_.size(); }
  // What stood there moved on.
  void vacate(position at) { vacated_.push_back(at); }

  // Numbers for those who have none yet.
  user_number new_user(std::string_view id);
  device_number new_device_number() {
    counters_changed_ = true;
    return ++counters_.last_device;
  }

  // Ends the decision: all writes, the feed rows and the counters among them.
  template<class Answer> void finish(decision<Answer>& out) {
    if (!slots_.empty()) {
      out.first_at = first_at_;
      out.last_at = first_at_ + slots_.size() - 1;
    }
    close();
    out.writes = std::move(writes_);
  }

 private:
  void close();
  std::uint32_t lookup(const row_key& key, std::uint64_t hash) const;
  void insert(std::uint64_t hash, std::uint32_t index);

  store& base_;
  const instant now_;
  const rule_settings& settings_;
  tenant_counters counters_;
  bool counters_changed_ = false;
  position first_at_;
  std::vector<write> writes_;
  std::vector<feed_slot> slots_;
  std::vector<position> vacated_;
  std::optional<entity> loaded_;              // what `find` read from the store
  std::optional<operation_record> operation_; // what `find_operation` read from the store
  struct entry {
    std::uint64_t hash = 0;
    std::uint32_t index = 0; // in writes_, from 1; 0: free
  };
  std::vector<entry> table_; // open addressing, a power of two, at most half full
  std::size_t used_ = 0;
  std::array<std::optional<policy>, domain_count> policies_;
};

// Removes the slots at these positions (ascending) from their rows in the store: rows are rewritten or
// deleted.
void vacate_slots(store& base, const std::vector<position>& ascending, write_list& writes);

} // namespace mooring::sync
