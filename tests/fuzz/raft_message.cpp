// Bytes from a peer, into a running shard: decode, checks (R7), libraft, log, tables, apply, reload.
//
// The input is a script. Each step is {what u8, length u16, bytes}: deliver the bytes as they are, deliver
// them as the body of a message whose head is right, let time pass, apply, or crash and load again. Nothing
// that a peer can say may stop the process, and what was applied must always load again.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/log.hpp"
#include "cluster/bytes.hpp"
#include "cluster/message_codec.hpp"
#include "cluster/shard.hpp"
#include "cluster/snapshot_codec.hpp"
#include "tests/cluster/memory_storage.hpp"
#include "tests/cluster/test_rows.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;
using namespace mooring::cluster;
using namespace mooring::cluster::testing;

namespace {

constexpr std::size_t steps_max = 64;

struct nowhere final : transport {
  void send(node_id, std::string) override {}
};

struct target {
  std::shared_ptr<memory_disk> disk = std::make_shared<memory_disk>();
  manual_clock time{instant{1'000'000}};
  nowhere peers;
  shard_options options;
  std::unique_ptr<shard> node;

  explicit target(bool alone) {
    options.open_storage = [this]() -> result<std::unique_ptr<stable_storage>> {
      return std::unique_ptr<stable_storage>(std::make_unique<memory_storage>(disk));
    };
    options.members = {7, 1, {{1, "a"}}};
    if (!alone) options.members.voters.insert(options.members.voters.end(), {{2, "b"}, {3, "c"}});
    options.read_rows = read_test_rows;
    options.time = &time;
    options.peers = &peers;
    options.apply.entries_max = 4;
    options.snapshot_threshold = 4;
    options.log_keep_entries = 6;
    options.reload_backoff_ms = 0;
    open();
  }
  void open() {
    node.reset();
    auto opened = shard::open(options);
    MOORING_CHECK(opened.ok(), "what was stored loads again");
    node = std::move(*opened);
    options.bootstrap = false;
  }
  void pass(std::int64_t ms) {
    time.advance_ms(ms);
    node->tick();
  }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  log::set_level(log::level::off);
  byte_reader in({reinterpret_cast<const char*>(data), size});
  target one(in.integer<std::uint8_t>() % 4 == 0);
  for (std::size_t step = 0; step < steps_max && in.ok() && in.left() > 0; ++step) {
    const auto what = in.integer<std::uint8_t>();
    const auto length = in.integer<std::uint16_t>();
    const auto bytes = in.bytes(length);
    switch (what % 8) {
    case 0: one.node->receive(bytes); break;
    case 1: one.pass(length % 2000); break;
    case 2: one.node->apply_now([](result<void>) {}); break;
    case 3: one.open(); break;
    case 4: one.node->propose(std::string(bytes), [](result<log_index>) {}); break;
    default: { // the body of a message from node 2 or 3
      std::string message{1, static_cast<char>(what % 5)};
      append_integer(message, std::uint32_t{7});
      append_integer(message, std::uint32_t{1});
      append_integer(message, std::uint64_t{what & 0x80 ? 2u : 3u});
      append_integer(message, std::uint64_t{1});
      message.append(bytes);
      one.node->receive(message);
    }
    }
  }
  // Whatever was said: the replica loads from what it stored.
  one.open();
  return 0;
}

namespace {

// Writes the scripts that LLVMFuzzerTestOneInput reads.
class script {
 public:
  explicit script(bool alone) { append_integer(bytes_, static_cast<std::uint8_t>(alone ? 0 : 1)); }
  script& step(std::uint8_t what, std::string_view bytes) {
    append_integer(bytes_, what);
    append_integer(bytes_, static_cast<std::uint16_t>(bytes.size()));
    bytes_.append(bytes);
    return *this;
  }
  script& from_2(message_body body) { return step(0, encode({7, 1, 2, 1, std::move(body)})); }
  script& wait() { return step(1, std::string(1500, ' ')); }
  script& apply() { return step(2, {}); }
  script& crash() { return step(3, {}); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

} // namespace

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  const auto give = [&](const script& made) {
    add(reinterpret_cast<const std::uint8_t*>(made.bytes().data()), made.bytes().size());
  };
  const auto body = one_row("key", "value");
  const append_entries::entry barrier{2, entry_type::barrier, "12345678"};
  const append_entries::entry command{2, entry_type::command, body};
  // A follower takes entries, commits, applies, and takes over when its leader falls silent.
  give(script(false)
           .from_2(append_entries{2, 1, 1, 1, {barrier, command, command}})
           .from_2(append_entries{2, 4, 2, 4, {}})
           .apply()
           .crash()
           .from_2(append_entries{2, 4, 2, 4, {command}})
           .wait()
           .wait()
           .from_2(request_vote_result{3, true, true})
           .from_2(request_vote_result{3, true, false})
           .from_2(append_entries_result{3, 0, 6}));
  // Another leader replaces what was not committed.
  give(script(false)
           .from_2(append_entries{2, 1, 1, 1, {barrier, command}})
           .from_2(append_entries{3, 1, 1, 1, {{3, entry_type::barrier, "12345678"}}})
           .from_2(append_entries{3, 2, 3, 2, {}})
           .from_2(request_vote{4, 2, 5, 3, true})
           .from_2(request_vote{4, 2, 5, 3, false})
           .crash());
  // A snapshot, and the log behind it.
  const auto disk = std::make_shared<memory_disk>();
  disk->rows[table_key("key")] = "value";
  memory_storage storage(disk);
  const auto tables = encode_snapshot(storage, 1000);
  give(script(false)
           .from_2(install_snapshot{2, 50, 2, *tables})
           .from_2(append_entries{2, 50, 2, 50, {command}})
           .from_2(append_entries{2, 51, 2, 51, {}})
           .apply());
  // The only voter: writes of clients, and messages that it must not heed.
  give(script(true).step(4, body).step(4, body).wait().step(4, body).apply().crash().from_2(
      append_entries{9, 1, 1, 1, {}}));
}
