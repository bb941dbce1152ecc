#include <doctest/doctest.h>

#include "cluster/message_check.hpp"
#include "cluster/message_codec.hpp"
#include "cluster/snapshot_codec.hpp"
#include "tests/cluster/memory_storage.hpp"
#include "tests/cluster/test_rows.hpp"

using namespace mooring;
using namespace mooring::cluster;
using namespace mooring::cluster::testing;

namespace {

const std::string some_rows = one_row("k", "v");

std::vector<message> samples() {
  return {
      {7, 1, 2, 1, append_entries{5, 10, 4, 9, {}}},
      {7, 1, 2, 1,
       append_entries{
           5, 10, 4, 9, {{4, entry_type::barrier, "12345678"}, {5, entry_type::command, some_rows}}}},
      {7, 1, 2, 1, append_entries_result{5, 3, 9}},
      {7, 1, 2, 1, request_vote{5, 2, 10, 4, true}},
      {7, 1, 2, 1, request_vote_result{5, true, false}},
      {7, 1, 2, 1, install_snapshot{5, 100, 4, "tables"}},
  };
}

const group members{7, 1, {{1, "a"}, {2, "b"}, {3, "c"}}};

receiver_view follower() {
  receiver_view view;
  view.self = 1;
  view.members = &members;
  view.term = 5;
  view.commit_index = 10;
  view.last_index = 20;
  view.term_of = [](log_index index) -> log_term {
    return index < 5 ? 0 : index <= 15 ? 4 : index <= 20 ? 5 : 0;
  };
  view.read_rows = read_test_rows;
  view.entry_bytes_max = 1000;
  return view;
}

std::string verdict(message_body body, const receiver_view& view) {
  message what{7, 1, 2, 1, std::move(body)};
  return std::string(why_refused(what, view).value_or("accepted"));
}

} // namespace

TEST_CASE("a message comes back as it was sent, and not from fewer or more bytes") {
  for (const auto& what : samples()) {
    const auto bytes = encode(what);
    const auto back = decode_message(bytes, {});
    REQUIRE(back.ok());
    CHECK(*back == what);
    for (std::size_t length = 0; length < bytes.size(); ++length)
      CHECK_FALSE(decode_message(std::string_view(bytes).substr(0, length), {}).ok());
    CHECK_FALSE(decode_message(bytes + "x", {}).ok());
  }
}

TEST_CASE("bytes that are no message are refused") {
  auto bytes = encode(samples()[3]);
  bytes[0] = 2;
  CHECK(decode_message(bytes, {}).failure().message == "raft message: unknown version");
  bytes[0] = 1;
  bytes[1] = 9;
  CHECK(decode_message(bytes, {}).failure().message == "raft message: unknown kind");
  bytes[1] = 2;
  bytes.back() = 2;
  CHECK(decode_message(bytes, {}).failure().message == "raft message: a flag is neither 0 nor 1");
  auto granted = encode(samples()[4]);
  granted[granted.size() - 2] = 5;
  CHECK_FALSE(decode_message(granted, {}).ok());
  granted[granted.size() - 2] = 1;
  granted.back() = 5;
  CHECK_FALSE(decode_message(granted, {}).ok());
  auto entries = encode(samples()[1]);
  entries[26 + 32 + 4 + 8] = 3; // the first entry's type: a configuration
  CHECK(decode_message(entries, {}).failure().message == "raft message: unknown type of entry");
}

TEST_CASE("sizes are bounded before anything is allocated") {
  auto bytes = encode(samples()[0]);
  for (int i = 0; i < 4; ++i) bytes[bytes.size() - 4 + static_cast<std::size_t>(i)] = static_cast<char>(0xff);
  CHECK(decode_message(bytes, {}).failure().code == error_code::payload_too_large);
  CHECK(decode_message(bytes, {1000, 0xffffffff}).failure().message == "raft message: entries are cut off");
  CHECK(decode_message(encode(samples()[5]), {10, 10}).failure().code == error_code::payload_too_large);
}

TEST_CASE("a message must be of this group, from a peer and for this replica") {
  const auto view = follower();
  const auto outcome = [&](std::uint32_t shard, std::uint32_t generation, node_id from, node_id to) {
    message what{shard, generation, from, to, append_entries_result{5, 0, 1}};
    return std::string(why_refused(what, view).value_or("accepted"));
  };
  CHECK(outcome(7, 1, 2, 1) == "accepted");
  CHECK(outcome(8, 1, 2, 1) == "of another group");
  CHECK(outcome(7, 2, 2, 1) == "of another group");
  CHECK(outcome(7, 1, 2, 3) == "not for this replica");
  CHECK(outcome(7, 1, 1, 1) == "sender is no peer");
  CHECK(outcome(7, 1, 9, 1) == "sender is no peer");
}

TEST_CASE("R7: append_entries that would break libraft's assumptions are refused") {
  const auto view = follower();
  auto leads = view;
  leads.leader = true;
  const std::uint64_t huge = std::uint64_t{1} << 60;
  using entry = append_entries::entry;
  const auto command = [](log_term term) { return entry{term, entry_type::command, some_rows}; };

  CHECK(verdict(append_entries{5, 20, 5, 12, {}}, view) == "accepted");
  CHECK(verdict(append_entries{6, 20, 5, 12, {command(5), command(6)}}, view) == "accepted");
  CHECK(verdict(append_entries{0, 20, 5, 12, {}}, view) != "accepted");
  CHECK(verdict(append_entries{huge, 20, 5, 12, {}}, view) != "accepted");
  CHECK(verdict(append_entries{5, huge, 5, 12, {}}, view) != "accepted");
  CHECK(verdict(append_entries{5, 20, 5, huge, {}}, view) != "accepted");
  CHECK(verdict(append_entries{5, 0, 0, 12, {}}, view) == "append_entries: no previous entry");
  CHECK(verdict(append_entries{5, 20, 6, 12, {}}, view) == "append_entries: previous term beyond the term");
  CHECK(verdict(append_entries{5, 20, 5, 12, {command(4)}}, view) == "append_entries: terms out of order");
  CHECK(verdict(append_entries{5, 20, 5, 12, {command(6)}}, view) == "append_entries: terms out of order");
  CHECK(verdict(append_entries{5, 20, 5, 12, {{5, entry_type::command, "junk"}}}, view) ==
        "append_entries: malformed body");
  const auto large = std::string(1001, 'x');
  CHECK(verdict(append_entries{5, 20, 5, 12, {{5, entry_type::barrier, large}}}, view) ==
        "append_entries: entry too large");
  CHECK(verdict(append_entries{5, 20, 5, 12, {}}, leads) == "append_entries: a second leader in our term");
  CHECK(verdict(append_entries{6, 20, 5, 12, {}}, leads) == "accepted");
  CHECK(verdict(append_entries{5, 8, 3, 12, {}}, view) == contradicts_committed);
  CHECK(verdict(append_entries{5, 8, 4, 12, {command(5)}}, view) == contradicts_committed);
  CHECK(verdict(append_entries{4, 8, 3, 12, {}}, view) ==
        "accepted"); // of an older term: raft answers with ours
  CHECK(verdict(append_entries{5, 10, 4, 12, {command(5)}}, view) == "accepted"); // behind what is committed

  message capped{7, 1, 2, 1, append_entries{5, 12, 4, 19, {command(4)}}};
  CHECK_FALSE(why_refused(capped, view));
  CHECK(std::get<append_entries>(capped.body).leader_commit == 13);
}

TEST_CASE("R7: an entry must not write outside the tables") {
  const auto view = follower();
  for (const std::string& key : {std::string("\x0f") + "12345678", std::string("\x02"), std::string()}) {
    std::string body;
    put_row(body, key, "v");
    CHECK(verdict(append_entries{5, 20, 5, 12, {{5, entry_type::command, body}}}, view) ==
          "append_entries: malformed body");
  }
}

TEST_CASE("R7: votes and answers must make sense") {
  const auto view = follower();
  auto leads = view;
  leads.leader = true;
  const std::uint64_t huge = std::uint64_t{1} << 60;
  CHECK(verdict(request_vote{6, 2, 20, 5, false}, view) == "accepted");
  CHECK(verdict(request_vote{6, 3, 20, 5, false}, view) == "request_vote: for somebody else");
  CHECK(verdict(request_vote{0, 2, 20, 5, false}, view) != "accepted");
  CHECK(verdict(request_vote{huge, 2, 20, 5, false}, view) != "accepted");
  CHECK(verdict(request_vote{6, 2, 0, 0, false}, view) == "request_vote: an empty log");
  CHECK(verdict(request_vote{6, 2, 20, 7, false}, view) == "request_vote: last term beyond the term");
  CHECK(verdict(request_vote_result{6, true, true}, view) == "accepted");
  CHECK(verdict(request_vote_result{huge, false, true}, view) != "accepted");
  CHECK(verdict(request_vote_result{7, true, false}, view) == "request_vote_result: a vote for another term");
  CHECK(verdict(append_entries_result{5, 0, 20}, leads) == "accepted");
  CHECK(verdict(append_entries_result{5, 0, 21}, leads) ==
        "append_entries_result: accepts more than we have");
  CHECK(verdict(append_entries_result{5, huge, 21}, leads) != "accepted");
}

TEST_CASE("R7: a snapshot must be whole, newer and of a possible term") {
  const auto view = follower();
  auto leads = view;
  leads.leader = true;
  const auto disk = std::make_shared<memory_disk>();
  disk->rows[table_key("a")] = "1";
  disk->rows[table_key("b")] = std::string(300, '2');
  disk->rows["\x02"] = "not in a snapshot";
  memory_storage storage(disk);
  const auto tables = encode_snapshot(storage, 1000);
  REQUIRE(tables.ok());
  std::vector<row> rows;
  REQUIRE(decode_snapshot(*tables, rows));
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].key == table_key("a"));
  CHECK(rows[1].value == std::string(300, '2'));
  CHECK(encode_snapshot(storage, 100).failure().code == error_code::payload_too_large);

  CHECK(verdict(install_snapshot{5, 30, 5, *tables}, view) == "accepted");
  CHECK(verdict(install_snapshot{0, 30, 5, *tables}, view) != "accepted");
  CHECK(verdict(install_snapshot{5, 30, 6, *tables}, view) == "install_snapshot: impossible index or term");
  CHECK(verdict(install_snapshot{5, 0, 5, *tables}, view) == "install_snapshot: impossible index or term");
  CHECK(verdict(install_snapshot{5, 30, 5, *tables}, leads) ==
        "install_snapshot: a second leader in our term");
  CHECK(verdict(install_snapshot{5, 10, 3, *tables}, view) ==
        "install_snapshot: older than what is committed here");
  CHECK(verdict(install_snapshot{5, 3, 3, *tables}, view) ==
        "install_snapshot: older than what is committed here");
  for (std::size_t at = 0; at < tables->size(); ++at) {
    if (at >= 1 && at < 4) continue; // reserved
    auto damaged = *tables;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK(verdict(install_snapshot{5, 30, 5, damaged}, view) == "install_snapshot: malformed tables");
  }
}
