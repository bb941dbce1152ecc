// The messages between the replicas of a shard, as bytes. docs/raft_log.md, "Messages", has the layout.
//
// Decoding bounds every size before anything is allocated and accepts exactly what encoding writes. Whether a
// decoded message makes sense is message_check.hpp's business. Views point into the decoded bytes.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "cluster/types.hpp"

namespace mooring::cluster {

struct append_entries {
  struct entry {
    log_term term = 0;
    entry_type type = entry_type::command;
    std::string_view body;
    bool operator==(const entry&) const = default;
  };
  log_term term = 0;
  log_index previous_index = 0;
  log_term previous_term = 0;
  log_index leader_commit = 0;
  std::vector<entry> entries;
  bool operator==(const append_entries&) const = default;
};

struct append_entries_result {
  log_term term = 0;
  log_index rejected = 0; // 0: success
  log_index last_index = 0;
  bool operator==(const append_entries_result&) const = default;
};

struct request_vote {
  log_term term = 0;
  node_id candidate = 0;
  log_index last_index = 0;
  log_term last_term = 0;
  bool pre_vote = false;
  bool operator==(const request_vote&) const = default;
};

struct request_vote_result {
  log_term term = 0;
  bool granted = false;
  bool pre_vote = false;
  bool operator==(const request_vote_result&) const = default;
};

// By value: the whole tables. Enough for the simulator and small shards; a later generation sends a
// reference.
struct install_snapshot {
  log_term term = 0;
  log_index last_index = 0;
  log_term last_term = 0;
  std::string_view tables; // snapshot_codec.hpp
  bool operator==(const install_snapshot&) const = default;
};

using message_body =
    std::variant<append_entries, append_entries_result, request_vote, request_vote_result, install_snapshot>;

struct message {
  std::uint32_t shard = 0;
  std::uint32_t generation = 0;
  node_id from = 0;
  node_id to = 0;
  message_body body;
  bool operator==(const message&) const = default;
};

struct message_limits {
  std::size_t bytes_max = 80u << 20;
  std::size_t entries_max = 1024; // in one append_entries
};

std::string encode(const message&);
// bad_user_input when the bytes are no message; payload_too_large when over a limit.
result<message> decode_message(std::string_view bytes, const message_limits& limits);

} // namespace mooring::cluster
