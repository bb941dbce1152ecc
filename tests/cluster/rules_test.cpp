// The rules that make Debian's libraft safe, each with the history that breaks without it. The same history
// runs twice: with the rule, where nothing may go wrong, and without it, where it must, or the test proves
// nothing.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <doctest/doctest.h>

#include "cluster/message_codec.hpp"
#include "cluster/raft_io.hpp"
#include "cluster/replica_store.hpp"
#include "tests/cluster/simulated_cluster.hpp"
#include "tests/cluster/test_rows.hpp"

using namespace mooring;
using namespace mooring::cluster;
using namespace mooring::cluster::testing;

namespace {

using keep = std::function<bool(packet&, message&)>; // false: lost. May change the message

// Delivers up to `most` messages in order, those that `pass` lets through. Changed messages are encoded anew.
void pump(simulated_cluster& nodes, const keep& pass, int most = 1000) {
  while (most-- > 0 && !nodes.network().empty()) {
    auto next = std::move(nodes.network().front());
    nodes.network().pop_front();
    auto what = *decode_message(next.bytes, {});
    if (!pass(next, what)) continue;
    const auto bytes = encode(what);
    nodes.deliver({next.from, next.to, bytes});
  }
}

bool between(const packet& p, node_id a, node_id b) {
  return (p.from == a && p.to == b) || (p.from == b && p.to == a);
}

// What a node has on disk before it starts: some entries behind the configuration, term and vote.
void prepare(simulated_cluster& nodes, node_id id, hard_state hard,
             std::vector<std::pair<log_term, std::string>> log) {
  const auto disk = std::shared_ptr<memory_disk>(&nodes.disk(id), [](auto*) {});
  memory_storage storage(disk);
  replica_store_options options;
  options.time = &system_clock();
  replica_store store(storage, std::move(options));
  group members{7, 1, {}};
  for (node_id each = 1; each <= nodes.size(); ++each)
    members.voters.push_back({each, "node-" + std::to_string(each)});
  REQUIRE(store.bootstrap({id, members}).ok());
  REQUIRE(store.set_hard_state(hard).ok());
  for (const auto& [term, body] : log) {
    const new_entry entry{term, entry_type::command, body};
    REQUIRE(store.append({&entry, 1}, nullptr).ok());
  }
}

// The node gives up waiting and asks for votes, until `other` has elected it.
void elect(simulated_cluster& nodes, node_id id, node_id other) {
  for (int i = 0; i < 40 && nodes.shard(id).state() < shard_state::elected; ++i) {
    nodes.advance_ms(100);
    nodes.tick(id);
    pump(nodes, [&](packet& p, message& what) {
      const bool votes = std::holds_alternative<request_vote>(what.body) ||
                         std::holds_alternative<request_vote_result>(what.body);
      return between(p, id, other) && votes;
    });
  }
}

simulated_cluster::settings three(rule_switches rules) {
  simulated_cluster::settings settings;
  settings.rules = rules;
  settings.adjust = [](shard_options& options) { options.bootstrap = false; };
  return settings;
}

// A follower acknowledges its unchecked tail in the reply to a heartbeat. Node 3 led in term 2, alone, and
// holds two entries that nobody else has. Node 1 is elected by node 2 and leads with it; then node 2 is cut
// off, a client writes, and node 3 answers a heartbeat that matched at index 1: libraft's reply says "stored
// up to 3".
void unchecked_tail(rule_switches rules, bool& acknowledged, std::optional<std::string>& violation) {
  simulated_cluster nodes(three(rules));
  prepare(nodes, 1, {2, 0}, {});
  prepare(nodes, 2, {2, 0}, {});
  prepare(nodes, 3, {2, 3}, {{2, one_row("stale", "2")}, {2, one_row("stale", "3")}});
  for (node_id id = 1; id <= 3; ++id) nodes.start(id);

  elect(nodes, 1, 2);
  for (int i = 0; i < 5 && !nodes.shard(1).can_propose(); ++i) {
    nodes.advance_ms(60);
    nodes.tick(1);
    pump(nodes, [](packet& p, message&) { return between(p, 1, 2); });
  }
  REQUIRE(nodes.shard(1).can_propose());
  CHECK(nodes.shard(1).last_index() == 2);
  nodes.propose(1, one_row("client", "write"));
  nodes.network().clear(); // neither node 2 nor node 3 hears of it
  CHECK(nodes.acknowledged() == 0);

  const auto term = nodes.shard(1).term();
  nodes.deliver({1, 3, encode({7, 1, 1, 3, append_entries{term, 1, 1, 1, {}}})});
  pump(
      nodes, [](packet& p, message&) { return between(p, 1, 3); }, 1);
  nodes.network().clear();
  acknowledged = nodes.acknowledged() > 0;

  // The leader dies. Nodes 2 and 3 go on without the client's write.
  nodes.crash(1);
  for (int i = 0; i < 100 && !nodes.violation(); ++i) {
    nodes.advance_ms(60);
    nodes.tick(2);
    nodes.tick(3);
    pump(nodes, [](packet& p, message&) { return between(p, 2, 3); });
    if (const auto leader = nodes.leader(); leader && i % 10 == 9)
      nodes.propose(*leader, one_row("after", std::to_string(i)));
  }
  CHECK((nodes.shard(2).is_leader() || nodes.shard(3).is_leader()));
  violation = nodes.violation();
}

// Raft's figure 8. Node 3 brings its entry of term 2 to node 2 in term 4 and counts it as committed; node 1,
// whose entry is of term 3, is elected by node 2 after that and replaces it.
std::optional<std::string> figure_8(rule_switches rules) {
  simulated_cluster nodes(three(rules));
  prepare(nodes, 1, {3, 0}, {{3, one_row("w", "of term 3")}});
  prepare(nodes, 2, {3, 0}, {});
  prepare(nodes, 3, {3, 0}, {{2, one_row("x", "of term 2")}});
  for (node_id id = 1; id <= 3; ++id) nodes.start(id);

  elect(nodes, 3, 2);
  REQUIRE(nodes.shard(3).state() >= shard_state::elected);
  CHECK(nodes.shard(3).term() == 4);
  // The worst moment: what reaches node 2 ends with index 2, then node 3 is cut off.
  const auto up_to_2 = [](packet& p, message& what) {
    if (!between(p, 3, 2)) return false;
    if (auto* entries = std::get_if<append_entries>(&what.body)) {
      if (entries->previous_index + entries->entries.size() > 2)
        entries->entries.resize(entries->previous_index >= 2 ? 0 : 2 - entries->previous_index);
      entries->leader_commit = std::min<log_index>(entries->leader_commit, 2);
      if (entries->previous_index > 2) return false;
    }
    return true;
  };
  for (int i = 0; i < 5; ++i) {
    pump(nodes, up_to_2, 12);
    nodes.advance_ms(60);
    nodes.tick(3);
  }
  pump(nodes, up_to_2, 12);
  CHECK(nodes.shard(2).last_index() == 2);
  nodes.network().clear();
  nodes.crash(3);
  nodes.crash(2); // forgets whom it followed, so that it votes at once
  nodes.start(2);
  elect(nodes, 1, 2);
  REQUIRE(nodes.shard(1).state() >= shard_state::elected);
  nodes.network().clear();
  nodes.converge(200);
  return nodes.violation();
}

// The only replica that can be elected has an older term than the others: each asks in vain for ever.
bool a_leader_is_found(rule_switches rules) {
  simulated_cluster nodes(three(rules));
  prepare(nodes, 1, {17, 0}, {{5, one_row("a", "1")}, {5, one_row("a", "2")}});
  prepare(nodes, 2, {24, 0}, {{5, one_row("a", "1")}});
  prepare(nodes, 3, {28, 0}, {});
  for (node_id id = 1; id <= 3; ++id) nodes.start(id);
  const auto converged = nodes.converge(500);
  CHECK_FALSE(nodes.violation());
  return converged;
}

} // namespace

TEST_CASE("R3: a follower does not acknowledge a tail that nobody compared") {
  bool acknowledged = true;
  std::optional<std::string> violation;
  unchecked_tail({}, acknowledged, violation);
  CHECK_FALSE(acknowledged);
  CHECK_FALSE(violation);
}

TEST_CASE("without R3 an acknowledged write is lost") {
  rule_switches rules;
  rules.clamp_success_replies = false;
  bool acknowledged = false;
  std::optional<std::string> violation;
  unchecked_tail(rules, acknowledged, violation);
  CHECK(acknowledged);
  CHECK(violation.value_or("") != "");
  MESSAGE(violation.value_or("no violation"));
}

TEST_CASE("R2: an entry of an older term is not committed by counting") {
  CHECK(figure_8({}).value_or("") == "");
}

TEST_CASE("without R2 two state machines differ") {
  rule_switches rules;
  rules.barrier_on_election = false;
  const auto violation = figure_8(rules);
  CHECK(violation.value_or("") != "");
  MESSAGE(violation.value_or("no violation"));
}

TEST_CASE("R8: a replica with an old term and the longest log is elected all the same") {
  CHECK(a_leader_is_found({}));
}

TEST_CASE("without R8 there is no leader for ever") {
  rule_switches rules;
  rules.refused_pre_vote_tells_term = false;
  CHECK_FALSE(a_leader_is_found(rules));
}

namespace {

struct silent_host final : raft_io_host {
  const apply_plan* plan_for_append(std::uint64_t) override { return nullptr; }
  void plan_became_durable() override {}
  result<void> apply_all() override { return {}; }
  void snapshot_installed() override {}
};

struct adapter_alone {
  std::shared_ptr<memory_disk> disk = std::make_shared<memory_disk>();
  memory_storage storage{disk};
  replica_store store{storage, [] {
                        replica_store_options options;
                        options.time = &system_clock();
                        return options;
                      }()};
  silent_host host;
  std::optional<raft_io_adapter> adapter;
  adapter_alone() {
    REQUIRE(store.bootstrap({1, {0, 1, {{1, "a"}, {2, "b"}}}}).ok());
    REQUIRE(store.set_hard_state({5, 2}).ok());
    raft_io_options options;
    options.time = &system_clock();
    adapter.emplace(store, replica_contents{}, host, options);
  }
  raft_io* io() { return adapter->io(); }
};

// True when `act` ends the process by abort().
template<class Act> bool aborts(Act act) {
  const auto child = fork();
  if (child == 0) {
    static_cast<void>(std::freopen("/dev/null", "w", stderr));
    std::signal(SIGABRT, SIG_DFL);
    act();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

} // namespace

TEST_CASE("R4: a term that goes back and a second vote in a term stop the process") {
  adapter_alone one;
  CHECK(aborts([&] { one.io()->set_term(one.io(), 4); }));
  CHECK(aborts([&] { one.io()->set_vote(one.io(), 1); }));
  CHECK_FALSE(aborts([&] { one.io()->set_vote(one.io(), 2); }));
  CHECK(one.io()->set_term(one.io(), 5) == 0);
  CHECK(one.store.hard() == hard_state{5, 2}); // the vote of this term stays
  CHECK(one.io()->set_term(one.io(), 6) == 0);
  CHECK(one.store.hard() == hard_state{6, 0});
  CHECK(one.io()->set_vote(one.io(), 1) == 0);
  CHECK(one.store.hard() == hard_state{6, 1});
  CHECK(decode_hard_state(one.disk->rows.find(hard_state_key)->second).value() == hard_state{6, 1});
}

TEST_CASE("R1: an append is durable when it returns, and completes only in drain") {
  adapter_alone one;
  static int completed;
  completed = 0;
  raft_io_append request{};
  char body[] = "body";
  raft_entry entry{6, RAFT_BARRIER, {body, 4}, nullptr};
  CHECK(one.io()->append(one.io(), &request, &entry, 1,
                         [](raft_io_append*, int status) { completed += status == 0; }) == 0);
  CHECK(completed == 0);
  CHECK(one.disk->rows.count(std::string(log_key(2).view())) == 1);
  one.adapter->drain();
  CHECK(completed == 1);
}

TEST_CASE("R5: after a storage error no completion is delivered and nothing is written any more") {
  adapter_alone one;
  static int completed;
  completed = 0;
  one.disk->fails_after = 0;
  raft_io_append request{};
  char body[] = "body";
  raft_entry entry{6, RAFT_BARRIER, {body, 4}, nullptr};
  const auto count = [](raft_io_append*, int status) { completed += status == RAFT_CANCELED ? 100 : 1; };
  CHECK(one.io()->append(one.io(), &request, &entry, 1, count) == 0);
  REQUIRE(one.adapter->failure());
  one.adapter->drain();
  CHECK(completed == 0);
  CHECK(one.io()->set_term(one.io(), 9) == RAFT_IOERR);
  CHECK(one.store.hard().term == 5);
  one.io()->close(one.io(), [](raft_io*) {});
  CHECK(completed == 100); // cancelled, so that raft frees it
}

TEST_CASE(
    "raft's own bootstrap and recovery are refused: the shard starts replicas, and nobody forces members") {
  adapter_alone one;
  CHECK(one.io()->bootstrap(one.io(), nullptr) == RAFT_CANTBOOTSTRAP);
  CHECK(one.io()->recover(one.io(), nullptr) == RAFT_INVALID);
  for (int i = 0; i < 100; ++i) {
    const int value = one.io()->random(one.io(), 3, 5);
    CHECK((value >= 3 && value <= 5));
  }
}
