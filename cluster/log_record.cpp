#include "cluster/log_record.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "cluster/bytes.hpp"

namespace mooring::cluster {
namespace {

// Every row: version, three bytes of its own, CRC32C, payload.
constexpr std::size_t crc_at = 4;
constexpr std::size_t payload_at = 8;

std::uint32_t crc_of(std::string_view key, std::string_view row) {
  auto crc = crc32c(key);
  crc = crc32c(row.substr(0, crc_at), crc);
  return crc32c(row.substr(payload_at), crc);
}

std::string begin_row() {
  return {static_cast<char>(record_version), 0, 0, 0, 0, 0, 0, 0};
}

void seal(std::string_view key, std::string& row) {
  store_integer(row.data() + crc_at, crc_of(key, row));
}

error damaged(std::string_view what, std::string_view how) {
  return {error_code::internal, fmt::format("{}: {}", what, how)};
}

// The row without its head, when version and checksum are right.
result<std::string_view> open_row(std::string_view what, std::string_view key, std::string_view row) {
  if (row.size() < payload_at) return damaged(what, fmt::format("only {} bytes", row.size()));
  if (static_cast<std::uint8_t>(row[0]) != record_version)
    return damaged(what,
                   fmt::format("format version {} (this program reads {})",
                               static_cast<unsigned>(static_cast<std::uint8_t>(row[0])), record_version));
  if (load_integer<std::uint32_t>(row.data() + crc_at) != crc_of(key, row))
    return damaged(what, "checksum does not match");
  return row.substr(payload_at);
}

} // namespace

log_key::log_key(log_index index) {
  bytes_[0] = static_cast<char>(log_tag);
  for (int i = 0; i < 8; ++i)
    bytes_[static_cast<std::size_t>(1 + i)] = static_cast<char>(index >> (56 - 8 * i));
}

log_index index_of_log_key(std::string_view key) {
  if (key.size() != 9 || static_cast<unsigned char>(key[0]) != log_tag) return 0;
  log_index index = 0;
  for (std::size_t i = 1; i < 9; ++i) index = index << 8 | static_cast<unsigned char>(key[i]);
  return index;
}

std::string encode_hard_state(const hard_state& state) {
  auto row = begin_row();
  append_integer(row, state.term);
  append_integer(row, state.vote);
  seal(hard_state_key, row);
  return row;
}

result<hard_state> decode_hard_state(std::string_view value) {
  const auto payload = open_row("term and vote", hard_state_key, value);
  if (!payload) return payload.failure();
  byte_reader in(*payload);
  hard_state state;
  state.term = in.integer<std::uint64_t>();
  state.vote = in.integer<std::uint64_t>();
  if (!in.at_end()) return damaged("term and vote", "wrong length");
  return state;
}

std::string encode_applied(const applied_state& state) {
  auto row = begin_row();
  append_integer(row, state.index);
  append_integer(row, state.term);
  append_integer(row, state.log_first);
  append_integer(row, state.chain);
  if (state.ahead != 0) append_integer(row, state.ahead);
  seal(applied_key, row);
  return row;
}

result<applied_state> decode_applied(std::string_view value) {
  const auto payload = open_row("applied index", applied_key, value);
  if (!payload) return payload.failure();
  byte_reader in(*payload);
  applied_state state;
  state.index = in.integer<std::uint64_t>();
  state.term = in.integer<std::uint64_t>();
  state.log_first = in.integer<std::uint64_t>();
  state.chain = in.integer<std::uint64_t>();
  const bool in_parts = in.left() > 0;
  if (in_parts) state.ahead = in.integer<std::uint64_t>();
  if (!in.at_end()) return damaged("applied index", "wrong length");
  if (in_parts && state.ahead <= state.index)
    return damaged("applied index",
                   fmt::format("impossible: index {}, and {} ahead of it", state.index, state.ahead));
  if (state.index == 0 || state.term == 0 || state.log_first == 0 || state.log_first > state.index + 1)
    return damaged("applied index", fmt::format("impossible: index {}, term {}, log from {}", state.index,
                                                state.term, state.log_first));
  return state;
}

std::string encode_identity(const identity& who) {
  auto row = begin_row();
  append_integer(row, who.self);
  append_integer(row, who.members.shard);
  append_integer(row, who.members.generation);
  append_integer(row, static_cast<std::uint32_t>(who.members.voters.size()));
  for (const auto& each : who.members.voters) {
    append_integer(row, each.id);
    append_integer(row, static_cast<std::uint16_t>(each.address.size()));
    row.append(each.address);
  }
  seal(identity_key, row);
  return row;
}

result<identity> decode_identity(std::string_view value) {
  const auto payload = open_row("identity", identity_key, value);
  if (!payload) return payload.failure();
  byte_reader in(*payload);
  identity who;
  who.self = in.integer<std::uint64_t>();
  who.members.shard = in.integer<std::uint32_t>();
  who.members.generation = in.integer<std::uint32_t>();
  const auto count = in.integer<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    member each;
    each.id = in.integer<std::uint64_t>();
    each.address = in.bytes(in.integer<std::uint16_t>());
    who.members.voters.push_back(std::move(each));
  }
  if (!in.at_end()) return damaged("identity", "wrong length");
  return who;
}

void encode_log_entry(std::string& out, log_index index, const log_entry& entry) {
  out.resize(log_entry_header_bytes);
  out[0] = static_cast<char>(record_version);
  out[1] = static_cast<char>(entry.type);
  out[2] = 0;
  out[3] = 0;
  store_integer(out.data() + 8, entry.term);
  store_integer(out.data() + 16, entry.previous_chain);
  out.append(entry.body);
  seal(log_key(index).view(), out);
}

std::uint64_t chain_of(std::string_view log_row) {
  return hash64(log_row);
}

result<log_entry> decode_log_entry(log_index index, std::string_view value) {
  const auto what = fmt::format("log entry {}", index);
  const auto payload = open_row(what, log_key(index).view(), value);
  if (!payload) return payload.failure();
  byte_reader in(*payload);
  log_entry entry;
  entry.type = static_cast<entry_type>(value[1]);
  entry.term = in.integer<std::uint64_t>();
  entry.previous_chain = in.integer<std::uint64_t>();
  if (!in.ok()) return damaged(what, "too short");
  if (entry.type != entry_type::command && entry.type != entry_type::barrier)
    return damaged(what, fmt::format("unknown type {}", static_cast<unsigned>(entry.type)));
  entry.body = in.bytes(in.left());
  return entry;
}

} // namespace mooring::cluster
