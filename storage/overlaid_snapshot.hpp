// overlaid_snapshot: a snapshot as it will read when further rows were written over it. Writes nothing.
//
// A shard that was stopped without warning has entries in its log that the tables lack, in part or
// altogether; `mooring check` reads it as the next start will make it.
//
// Threads: as of the snapshot. Both the snapshot and the rows outlive it.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "storage/environment.hpp"

namespace mooring::storage {

struct overlaid_row {
  std::string_view key, value;
  bool removed = false;
};

class overlaid_snapshot {
 public:
  // `rows` are sorted by key, each key once.
  overlaid_snapshot(const read_transaction& below, std::span<const overlaid_row> rows)
      : below_(below)
      , rows_(rows) {}

  std::optional<std::string_view> get(std::string_view key) const;
  void scan(std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& each) const;
  std::optional<error> failure() const { return below_.failure(); }

 private:
  std::span<const overlaid_row>::iterator at_or_after(std::string_view key) const;

  const read_transaction& below_;
  std::span<const overlaid_row> rows_;
};

} // namespace mooring::storage
