// stable_storage in memory, with a disk's ways to fail: the simulator's disk.
//
// A memory_disk survives the crash of whoever uses it: it holds what was committed and nothing else.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/stable_storage.hpp"

namespace mooring::cluster::testing {

struct memory_disk {
  std::map<std::string, std::string, std::less<>> rows;
  std::uint64_t commits = 0;

  // What others read instead of `rows` while a view is held; gone after a crash.
  std::optional<std::map<std::string, std::string, std::less<>>> view;
  bool gives_views = true;

  bool at_reserve = false;     // has_room_for says no
  bool full = false;           // … and nothing can be written
  bool full_unnoticed = false; // has_room_for says yes all the same
  // The commit after that many more fails. It may have reached the disk all the same: whoever asked cannot
  // know.
  std::optional<std::uint64_t> fails_after;
  bool failed_commit_lands = false;
};

class memory_storage final : public stable_storage {
 public:
  explicit memory_storage(std::shared_ptr<memory_disk> disk)
      : disk_(std::move(disk)) {
    disk_->view.reset();
  }

  result<std::optional<std::string>> get(std::string_view key) override {
    const auto found = disk_->rows.find(key);
    return found == disk_->rows.end() ? std::optional<std::string>{} : found->second;
  }

  result<void> scan(std::string_view from, const visit& each) override {
    for (auto at = disk_->rows.lower_bound(from); at != disk_->rows.end(); ++at)
      if (!each(at->first, at->second)) break;
    return {};
  }

  result<void> update(std::uint64_t, const fill& changes) override {
    if (disk_->full || disk_->full_unnoticed)
      return error{error_code::storage_full, "the disk of the test is full"};
    staged staging;
    if (auto filled = changes(staging); !filled) return filled;
    bool lands = true;
    bool fails = false;
    if (disk_->fails_after && (*disk_->fails_after)-- == 0) {
      disk_->fails_after.reset();
      fails = true;
      lands = disk_->failed_commit_lands;
    }
    if (lands) {
      ++disk_->commits;
      for (auto& [key, value] : staging.changes) {
        if (value)
          disk_->rows.insert_or_assign(std::move(key), std::move(*value));
        else if (const auto found = disk_->rows.find(key); found != disk_->rows.end())
          disk_->rows.erase(found);
      }
    }
    if (fails) return error{error_code::internal, "the disk of the test failed"};
    return {};
  }

  bool has_room_for(std::uint64_t, std::uint64_t) override { return !disk_->full && !disk_->at_reserve; }
  bool can_write(std::uint64_t) override { return !disk_->full; }
  bool hold_view() override {
    if (!disk_->gives_views) return false;
    disk_->view = disk_->rows;
    return true;
  }
  void release_view() override { disk_->view.reset(); }

 private:
  struct staged final : stable_writer {
    result<void> put(std::string_view key, std::string_view value) override {
      changes.emplace_back(key, std::string(value));
      return {};
    }
    result<void> remove(std::string_view key) override {
      changes.emplace_back(key, std::nullopt);
      return {};
    }
    std::vector<std::pair<std::string, std::optional<std::string>>> changes;
  };

  std::shared_ptr<memory_disk> disk_;
};

} // namespace mooring::cluster::testing
