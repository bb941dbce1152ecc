#include "cluster/message_check.hpp"

#include <algorithm>

#include "cluster/snapshot_codec.hpp"

namespace mooring::cluster {
namespace {

// Far beyond any real term or index, far below an overflow of libraft's arithmetic on them.
constexpr std::uint64_t number_max = std::uint64_t{1} << 60;

bool sane(std::uint64_t term_or_index) {
  return term_or_index < number_max;
}

using verdict = std::optional<std::string_view>;

verdict check(append_entries& body, const receiver_view& view) {
  if (body.term == 0 || !sane(body.term) || !sane(body.previous_index) || !sane(body.leader_commit))
    return "append_entries: a number is out of range";
  // Index 1 is the group's configuration, the same on every member from the start: a log is never sent before
  // it.
  if (body.previous_index == 0 || body.previous_term == 0) return "append_entries: no previous entry";
  if (body.previous_term > body.term) return "append_entries: previous term beyond the term";
  auto term = body.previous_term;
  std::vector<row> rows;
  for (const auto& each : body.entries) {
    if (each.term < term || each.term > body.term) return "append_entries: terms out of order";
    term = each.term;
    if (each.body.size() > view.entry_bytes_max) return "append_entries: entry too large";
    if (each.type == entry_type::command && !rows_are_valid(each.body, view.read_rows, rows))
      return "append_entries: malformed body";
  }
  if (body.term == view.term && view.leader) return "append_entries: a second leader in our term";
  if (body.term >= view.term) {
    // Committed entries never change. Refused here because libraft would stop working for good.
    auto index = body.previous_index;
    if (index <= view.commit_index)
      if (const auto ours = view.term_of(index); ours != 0 && ours != body.previous_term)
        return contradicts_committed;
    for (const auto& each : body.entries) {
      if (++index > view.commit_index) break;
      if (const auto ours = view.term_of(index); ours != 0 && ours != each.term) return contradicts_committed;
    }
  }
  body.leader_commit = std::min(body.leader_commit, body.previous_index + body.entries.size());
  return {};
}

verdict check(const append_entries_result& body, const receiver_view& view) {
  if (!sane(body.term) || !sane(body.rejected) || !sane(body.last_index))
    return "append_entries_result: a number is out of range";
  if (view.leader && body.term == view.term && body.rejected == 0 && body.last_index > view.last_index)
    return "append_entries_result: accepts more than we have";
  return {};
}

verdict check(const request_vote& body, const receiver_view&) {
  if (body.term == 0 || !sane(body.term) || !sane(body.last_index))
    return "request_vote: a number is out of range";
  if (body.last_index == 0 || body.last_term == 0) return "request_vote: an empty log";
  if (body.last_term > body.term) return "request_vote: last term beyond the term";
  return {};
}

verdict check(const request_vote_result& body, const receiver_view& view) {
  if (!sane(body.term)) return "request_vote_result: a number is out of range";
  if (body.granted && body.term > view.term + 1) return "request_vote_result: a vote for another term";
  return {};
}

verdict check(const install_snapshot& body, const receiver_view& view) {
  if (body.term == 0 || !sane(body.term) || !sane(body.last_index))
    return "install_snapshot: a number is out of range";
  if (body.last_index == 0 || body.last_term == 0 || body.last_term > body.term)
    return "install_snapshot: impossible index or term";
  if (body.term == view.term && view.leader) return "install_snapshot: a second leader in our term";
  // Late or contradicting; the leader learns from our answer to its heartbeat that we need none.
  if (body.last_index <= view.commit_index && view.term_of(body.last_index) != body.last_term)
    return "install_snapshot: older than what is committed here";
  std::vector<row> rows;
  if (!decode_snapshot(body.tables, rows)) return "install_snapshot: malformed tables";
  return {};
}

} // namespace

bool rows_are_valid(std::string_view body, row_reader read_rows, std::vector<row>& rows) {
  rows.clear();
  if (!read_rows(body, rows)) return false;
  return std::all_of(rows.begin(), rows.end(), [](const row& each) {
    return !each.key.empty() && each.key.size() <= row_key_bytes_max &&
           static_cast<unsigned char>(each.key.front()) >= table_tag_first;
  });
}

std::optional<std::string_view> why_refused(message& what, const receiver_view& view) {
  if (what.shard != view.members->shard || what.generation != view.members->generation)
    return "of another group";
  if (what.to != view.self) return "not for this replica";
  if (what.from == view.self || view.members->find(what.from) == nullptr) return "sender is no peer";
  if (const auto* vote = std::get_if<request_vote>(&what.body); vote && vote->candidate != what.from)
    return "request_vote: for somebody else";
  return std::visit([&](auto& body) { return check(body, view); }, what.body);
}

} // namespace mooring::cluster
