#include <set>

#include "cluster/shard.hpp"

namespace mooring::cluster {

result<void> shard_options::validate() const {
  const auto wrong = [](const char* what) { return error{error_code::bad_user_input, what}; };
  if (self == 0) return wrong("shard: self must not be 0");
  if (members.voters.empty()) return wrong("shard: members must not be empty");
  std::set<node_id> ids;
  std::set<std::string> addresses;
  for (const auto& each : members.voters) {
    if (each.id == 0 || each.address.empty() || each.address.size() > 255)
      return wrong("shard: a member needs an id and an address of at most 255 bytes");
    if (each.address.find('\0') != std::string::npos) return wrong("shard: an address holds a zero byte");
    if (!ids.insert(each.id).second || !addresses.insert(each.address).second)
      return wrong("shard: members must have distinct ids and addresses");
  }
  if (!members.find(self)) return wrong("shard: self is no member");
  if (!open_storage) return wrong("shard: open_storage is required");
  if (!read_rows) return wrong("shard: read_rows is required");
  if (members.voters.size() > 1 && !peers) return wrong("shard: more than one voter need a transport");
  if (heartbeat_ms == 0 || heartbeat_ms >= election_timeout_ms)
    return wrong("shard: heartbeat_ms must be positive and less than election_timeout_ms");
  if (install_snapshot_timeout_ms == 0) return wrong("shard: install_snapshot_timeout_ms must be positive");
  if (entry_bytes_max == 0 || entry_bytes_max > (std::size_t{1} << 30))
    return wrong("shard: entry_bytes_max must be from 1 to 1 GiB");
  if (snapshot_threshold == 0) return wrong("shard: snapshot_threshold must be positive");
  if (apply.bytes_max == 0 || apply.rows_max == 0 || apply.entries_max == 0)
    return wrong("shard: the bounds of apply must be positive");
  if (apply.age_max_ms < 0 || apply.idle_ms < 0 || apply.retry_ms <= 0 || reload_backoff_ms < 0 ||
      reload_backoff_max_ms < reload_backoff_ms)
    return wrong("shard: a duration is negative");
  return {};
}

std::string_view to_string(shard_state state) {
  switch (state) {
  case shard_state::stopped: return "stopped";
  case shard_state::following: return "following";
  case shard_state::candidate: return "candidate";
  case shard_state::elected: return "elected";
  case shard_state::leading: return "leading";
  }
  return "?";
}

} // namespace mooring::cluster
