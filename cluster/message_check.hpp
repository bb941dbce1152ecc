// Rule R7: what a peer's message must satisfy before libraft sees it. Debian's libraft is built without
// assertions, so a message that breaks its assumptions would corrupt memory instead of stopping the process.
//
// A refused message is dropped and counted: to raft that is a lost packet.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "cluster/message_codec.hpp"

namespace mooring::cluster {

// What this replica knows when the message arrives.
struct receiver_view {
  node_id self = 0;
  const group* members = nullptr;
  log_term term = 0;
  bool leader = false;
  log_index commit_index = 0;
  log_index last_index = 0;
  std::function<log_term(log_index)> term_of = {}; // 0: not known
  row_reader read_rows = nullptr;
  std::size_t entry_bytes_max = 0;
};

// The verdict of why_refused that tells of lost or damaged data, not of a broken peer.
inline constexpr std::string_view contradicts_committed = "contradicts a committed entry";

// Nothing when the message may go on, otherwise why not. May lower append_entries::leader_commit to what the
// message itself proves (previous_index + entries): libraft would commit an unchecked tail of ours otherwise.
std::optional<std::string_view> why_refused(message& what, const receiver_view& view);

// Bodies as table writes: rows decode and their keys stay within the tables. Used for proposals as well.
bool rows_are_valid(std::string_view body, row_reader read_rows, std::vector<row>& rows);

} // namespace mooring::cluster
