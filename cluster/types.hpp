// The vocabulary of a shard's replicated log, without libraft's header.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mooring::cluster {

using node_id = std::uint64_t;   // never 0
using log_index = std::uint64_t; // the first entry of a group has index 1: its configuration
using log_term = std::uint64_t;

struct member {
  node_id id = 0;
  std::string address; // how the transport finds it; at most 255 bytes
  bool operator==(const member&) const = default;
};

// One replica set of one shard. Fixed for its whole life: a shard moves by sealing its group and starting the
// next generation (ARCHITECTURE.md, "Replica sets are fixed within a generation").
struct group {
  std::uint32_t shard = 0;
  std::uint32_t generation = 1;
  std::vector<member> voters; // at least one, ids distinct

  bool operator==(const group&) const = default;
  const member* find(node_id id) const {
    for (const auto& each : voters)
      if (each.id == id) return &each;
    return nullptr;
  }
};

enum class entry_type : std::uint8_t {
  command = 1, // a body that the shard's tables apply
  barrier = 2, // written by a new leader before anything else (rule R2)
};

// One key-value write of an entry's body. The views point into the body.
struct row {
  std::string_view key;
  std::string_view value; // empty when removed
  bool removed = false;
};

// Keys with a smaller first byte belong to this folder; an entry must not write them.
inline constexpr unsigned char table_tag_first = 0x10;
inline constexpr std::size_t row_key_bytes_max = 511; // LMDB

// Appends the rows of an entry's body to `out`, in the order they were written. False when the body is
// malformed (then `out` may hold some of its rows). A plain function, called once per entry.
using row_reader = bool (*)(std::string_view body, std::vector<row>& out);

} // namespace mooring::cluster
