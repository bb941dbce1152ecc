#include "cluster/message_codec.hpp"

#include <optional>
#include <utility>

#include "cluster/bytes.hpp"

namespace mooring::cluster {
namespace {

constexpr std::uint8_t message_version = 1;
constexpr std::size_t entry_head_bytes = 8 + 1 + 4;

void write(std::string& out, const append_entries& body) {
  append_integer(out, body.term);
  append_integer(out, body.previous_index);
  append_integer(out, body.previous_term);
  append_integer(out, body.leader_commit);
  append_integer(out, static_cast<std::uint32_t>(body.entries.size()));
  for (const auto& each : body.entries) {
    append_integer(out, each.term);
    append_integer(out, static_cast<std::uint8_t>(each.type));
    append_integer(out, static_cast<std::uint32_t>(each.body.size()));
    out.append(each.body);
  }
}

void write(std::string& out, const append_entries_result& body) {
  append_integer(out, body.term);
  append_integer(out, body.rejected);
  append_integer(out, body.last_index);
}

void write(std::string& out, const request_vote& body) {
  append_integer(out, body.term);
  append_integer(out, body.candidate);
  append_integer(out, body.last_index);
  append_integer(out, body.last_term);
  append_integer(out, static_cast<std::uint8_t>(body.pre_vote));
}

void write(std::string& out, const request_vote_result& body) {
  append_integer(out, body.term);
  append_integer(out, static_cast<std::uint8_t>(body.granted));
  append_integer(out, static_cast<std::uint8_t>(body.pre_vote));
}

void write(std::string& out, const install_snapshot& body) {
  append_integer(out, body.term);
  append_integer(out, body.last_index);
  append_integer(out, body.last_term);
  append_integer(out, static_cast<std::uint64_t>(body.tables.size()));
  out.append(body.tables);
}

error malformed(const char* what) {
  return {error_code::bad_user_input, what};
}

// The readers below fill `body`; what is wrong with the bytes is the answer.
using problem = std::optional<error>;

problem read_flag(byte_reader& in, bool& flag) {
  const auto value = in.integer<std::uint8_t>();
  if (value > 1) return malformed("raft message: a flag is neither 0 nor 1");
  flag = value == 1;
  return {};
}

problem read(byte_reader& in, const message_limits& limits, append_entries& body) {
  body.term = in.integer<std::uint64_t>();
  body.previous_index = in.integer<std::uint64_t>();
  body.previous_term = in.integer<std::uint64_t>();
  body.leader_commit = in.integer<std::uint64_t>();
  const auto count = in.integer<std::uint32_t>();
  if (count > limits.entries_max)
    return error{error_code::payload_too_large, "raft message: too many entries"};
  if (count > in.left() / entry_head_bytes) return malformed("raft message: entries are cut off");
  body.entries.resize(count);
  for (auto& each : body.entries) {
    each.term = in.integer<std::uint64_t>();
    each.type = static_cast<entry_type>(in.integer<std::uint8_t>());
    if (each.type != entry_type::command && each.type != entry_type::barrier)
      return malformed("raft message: unknown type of entry");
    each.body = in.bytes(in.integer<std::uint32_t>());
  }
  return {};
}

problem read(byte_reader& in, const message_limits&, append_entries_result& body) {
  body.term = in.integer<std::uint64_t>();
  body.rejected = in.integer<std::uint64_t>();
  body.last_index = in.integer<std::uint64_t>();
  return {};
}

problem read(byte_reader& in, const message_limits&, request_vote& body) {
  body.term = in.integer<std::uint64_t>();
  body.candidate = in.integer<std::uint64_t>();
  body.last_index = in.integer<std::uint64_t>();
  body.last_term = in.integer<std::uint64_t>();
  return read_flag(in, body.pre_vote);
}

problem read(byte_reader& in, const message_limits&, request_vote_result& body) {
  body.term = in.integer<std::uint64_t>();
  if (auto wrong = read_flag(in, body.granted)) return wrong;
  return read_flag(in, body.pre_vote);
}

problem read(byte_reader& in, const message_limits&, install_snapshot& body) {
  body.term = in.integer<std::uint64_t>();
  body.last_index = in.integer<std::uint64_t>();
  body.last_term = in.integer<std::uint64_t>();
  body.tables = in.bytes(in.integer<std::uint64_t>());
  return {};
}

problem read_body(std::uint8_t kind, byte_reader& in, const message_limits& limits, message_body& body) {
  switch (kind) {
  case 0: return read(in, limits, body.emplace<append_entries>());
  case 1: return read(in, limits, body.emplace<append_entries_result>());
  case 2: return read(in, limits, body.emplace<request_vote>());
  case 3: return read(in, limits, body.emplace<request_vote_result>());
  case 4: return read(in, limits, body.emplace<install_snapshot>());
  default: return malformed("raft message: unknown kind");
  }
}

std::size_t size_hint(const message_body& body) {
  std::size_t bytes = 96;
  if (const auto* entries = std::get_if<append_entries>(&body))
    for (const auto& each : entries->entries) bytes += entry_head_bytes + each.body.size();
  if (const auto* snapshot = std::get_if<install_snapshot>(&body)) bytes += snapshot->tables.size();
  return bytes;
}

} // namespace

std::string encode(const message& what) {
  std::string out;
  out.reserve(size_hint(what.body));
  append_integer(out, message_version);
  append_integer(out, static_cast<std::uint8_t>(what.body.index()));
  append_integer(out, what.shard);
  append_integer(out, what.generation);
  append_integer(out, what.from);
  append_integer(out, what.to);
  std::visit([&](const auto& body) { write(out, body); }, what.body);
  return out;
}

result<message> decode_message(std::string_view bytes, const message_limits& limits) {
  if (bytes.size() > limits.bytes_max)
    return error{error_code::payload_too_large, "raft message: too many bytes"};
  byte_reader in(bytes);
  if (in.integer<std::uint8_t>() != message_version) return malformed("raft message: unknown version");
  const auto kind = in.integer<std::uint8_t>();
  message what;
  what.shard = in.integer<std::uint32_t>();
  what.generation = in.integer<std::uint32_t>();
  what.from = in.integer<std::uint64_t>();
  what.to = in.integer<std::uint64_t>();
  if (auto wrong = read_body(kind, in, limits, what.body)) return std::move(*wrong);
  if (!in.at_end()) return malformed("raft message: cut off, or bytes behind the end");
  return what;
}

} // namespace mooring::cluster
