// The rows of table tags 0x01 to 0x0f: what a shard keeps for itself. docs/raft_log.md has them byte for
// byte.
//
// Each row has a format version and a CRC32C over its key and everything else in it, so a row that was
// damaged, or that stands under another key than it was written for, does not decode. Log entries also form a
// hash chain.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "cluster/types.hpp"

namespace mooring::cluster {

inline constexpr std::string_view hard_state_key{"\x01", 1};
inline constexpr std::string_view applied_key{"\x02", 1};
inline constexpr std::string_view identity_key{"\x03", 1};
inline constexpr unsigned char log_tag = 0x0f;
inline constexpr std::uint8_t record_version = 1;

// 0x0f and the index, big-endian: entries stand in order, after the small rows and before the tables.
struct log_key {
  explicit log_key(log_index index);
  std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, 9> bytes_;
};
// The index of a log row's key, or 0 when the key is none.
log_index index_of_log_key(std::string_view key);

// What a voter must not forget (Raft, figure 3.1).
struct hard_state {
  log_term term = 0;
  node_id vote = 0; // 0: none in this term
  bool operator==(const hard_state&) const = default;
};

// Up to where the tables hold the log's effects, and where the stored log starts.
struct applied_state {
  log_index index = 0;
  log_term term = 0;       // of the entry at `index`
  log_index log_first = 0; // the stored log starts here; at most index + 1
  std::uint64_t chain = 0; // chain hash of the entry at log_first - 1
  // Not 0: an apply in parts is under way, and some of the effects of the entries behind `index` up to this one are
  // in the tables already. The tables are consistent again at this index.
  log_index ahead = 0;
  bool operator==(const applied_state&) const = default;
};

// Whose files these are.
struct identity {
  node_id self = 0;
  group members;
  bool operator==(const identity&) const = default;
};

struct log_entry {
  log_term term = 0;
  entry_type type = entry_type::command;
  std::uint64_t previous_chain = 0;
  std::string_view body;
};

inline constexpr std::size_t log_entry_header_bytes = 24;

std::string encode_hard_state(const hard_state&);
std::string encode_applied(const applied_state&);
std::string encode_identity(const identity&);
// Replaces `out` with the row of the entry at `index`.
void encode_log_entry(std::string& out, log_index index, const log_entry&);
// The hash of a whole row, which the next entry's row carries as `previous_chain`.
std::uint64_t chain_of(std::string_view log_row);

// Failures: internal, saying what is wrong with the row.
result<hard_state> decode_hard_state(std::string_view value);
result<applied_state> decode_applied(std::string_view value);
result<identity> decode_identity(std::string_view value);
result<log_entry> decode_log_entry(log_index index, std::string_view value); // body points into value

} // namespace mooring::cluster
