// A tenant that ends because it is idle, while requests for it are on their way. Directory and tenants run when the test
// says so; the shard's writer is the real one.

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include "actors/directory.hpp"
#include "actors/pinned.hpp"
#include "cluster/entry_rows.hpp"
#include "storage/check.hpp"
#include "tests/actors/small_node.hpp"

using namespace mooring;
using namespace mooring::actors::testing;
using actors::command_ptr;

namespace {

struct system_config : caf::actor_system_config {
  system_config() { add_message_types<caf::id_block::mooring>(); }
};

// Where answers come.
struct inbox {
  std::mutex mutex;
  std::vector<command_ptr> answered;
  std::size_t size() {
    const std::lock_guard hold(mutex);
    return answered.size();
  }
  command_ptr at(std::size_t n) {
    const std::lock_guard hold(mutex);
    return answered.at(n);
  }
};

actors::network_actor::behavior_type network(actors::network_actor::pointer, inbox* to) {
  return {
      [to](actors::command_done& message) {
        const std::lock_guard hold(to->mutex);
        to->answered.push_back(std::move(message.request));
      },
      [](actors::query_done&) {},
      [](const actors::request_routed&) {},
      [](const actors::feed_moved&) {},
      [](actors::wake_hub) {},
      [](actors::housekeeping_tick) {},
      [](actors::inspect_request) { return actors::inspect_answer{}; },
  };
}

// One shard whose directory and whose tenants each have a home that stands still until the test runs it.
struct still_shard {
  explicit still_shard(const std::filesystem::path& folder, std::int64_t idle_timeout_ms) {
    around.settings.idle_timeout_ms = idle_timeout_ms;
    around.settings.housekeeping_ms = 3'600'000;
    around.who = &who;
    around.connections = &connections;
    around.counters = &counters;
    actors::directory_setting setting;
    setting.writer.access = &access;
    setting.writer.counters = &writer_counters;
    setting.writer.files = small_node::shard_in(folder);
    setting.writer.shard.read_rows = &cluster::read_entry_rows;
    setting.dwellings.push_back({&tenants, &lease, &batches});
    tenants.on_rest([this] {
      lease.park();
      batches.flush();
    });
    directory = actors::spawn_pinned<actors::directory_state, actors::directory_actor>(system, office, around,
                                                                                       std::move(setting));
    answers = system.spawn(&network, &answered);
    run_until([&] { return writer_counters.leading.load(); });
  }
  ~still_shard() {
    caf::anon_send_exit(directory, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(answers, caf::exit_reason::user_shutdown);
    directory = nullptr;
    answers = nullptr;
    run_until([&] {
      return alive(actors::actor_kind::shard_writer) + alive(actors::actor_kind::tenant) +
                 alive(actors::actor_kind::device) ==
             0;
    });
  }

  void run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 5'000 && !done(); ++i) {
      office.run_alone();
      tenants.run_alone();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    REQUIRE(done());
  }
  std::uint64_t alive(actors::actor_kind kind) const { return who.alive(kind); }

  // Any command that takes the next number of its tenant will do.
  command_ptr registration(std::string device) {
    auto request = std::make_shared<actors::command_request>();
    request->id = ++last_id;
    request->who.tenant = "acme";
    request->who.user = "ann";
    request->device_id = device;
    sync::register_device what;
    what.device_id = std::move(device);
    request->what = std::move(what);
    request->arrived_us = system_clock().monotonic_us();
    request->reply_to = answers;
    return request;
  }

  actors::census who;
  actors::presence connections;
  actors::actor_counters counters;
  actors::surroundings around;
  actors::shard_access access;
  actors::writer_counters writer_counters;
  actors::snapshot_lease lease{access};
  actors::outbox batches;
  inbox answered;
  std::uint64_t last_id = 0;
  system_config config;
  caf::actor_system system{config};
  actors::home office{system}, tenants{system};
  actors::directory_actor directory;
  actors::network_actor answers;
};

void check_tables(const std::filesystem::path& folder, std::uint64_t devices) {
  auto options = small_node::shard_in(folder);
  options.read_only = true;
  auto shard = storage::environment::open(options);
  REQUIRE(shard.ok());
  const auto summary = storage::check_shard(**shard, [](const std::string& finding) { FAIL_CHECK(finding); });
  REQUIRE(summary.ok());
  CHECK(summary->findings == 0);
  CHECK(summary->devices == devices);
}

} // namespace

TEST_CASE("a tenant that gets work between asking to end and being let go goes on, and what waited for it "
          "comes to it") {
  const scratch_folder folder;
  {
    still_shard shard(folder.path, 50);
    caf::anon_send(shard.directory, actors::route_command{shard.registration("first")});
    shard.run_until([&] { return shard.answered.size() == 1; });
    REQUIRE(shard.answered.at(0)->answer.ok());
    const auto tenant = shard.answered.at(0)->tenant;
    // It asks to end as soon as all that it wrote is in the tables; the directory is busy elsewhere.
    shard.run_until([&] {
      const auto environment = shard.access.environment();
      return environment && environment->stats().entries > 5;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    shard.run_until([&] { return true; });
    caf::anon_send(tenant, actors::housekeeping_tick{});
    shard.tenants.run_alone();

    // A network thread knows the tenant's handle; another one does not.
    caf::anon_send(tenant, actors::tenant_command{shard.registration("second")});
    shard.office.run_alone();
    caf::anon_send(shard.directory, actors::route_command{shard.registration("third")});
    shard.office.run_alone();
    shard.tenants.run_alone();
    CHECK(shard.alive(actors::actor_kind::tenant) == 1);
    shard.run_until([&] { return shard.answered.size() == 3; });
    for (std::size_t n = 0; n < 3; ++n) {
      CHECK(shard.answered.at(n)->answer.ok());
      CHECK(shard.answered.at(n)->tenant == tenant);
    }

    // Left alone, it ends.
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    shard.run_until([&] {
      caf::anon_send(tenant, actors::housekeeping_tick{});
      return shard.alive(actors::actor_kind::tenant) == 0;
    });
    caf::anon_send(shard.directory, actors::route_command{shard.registration("fourth")});
    shard.run_until([&] { return shard.answered.size() == 4; });
    CHECK(shard.answered.at(3)->answer.ok());
  }
  check_tables(folder.path, 4);
}

TEST_CASE("a device that is asked to end gets the command that comes through its tenant just then") {
  const scratch_folder folder;
  {
    still_shard shard(folder.path, 50);
    caf::anon_send(shard.directory, actors::route_command{shard.registration("phone")});
    shard.run_until([&] { return shard.answered.size() == 1; });
    const auto tenant = shard.answered.at(0)->tenant;
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    caf::anon_send(tenant, actors::housekeeping_tick{});
    caf::anon_send(tenant, actors::tenant_command{shard.registration("phone")});
    shard.run_until([&] { return shard.answered.size() == 2; });
    CHECK(shard.answered.at(1)->answer.ok());
    CHECK(shard.answered.at(1)->device != shard.answered.at(0)->device); // another one of the same device
    CHECK(shard.alive(actors::actor_kind::device) == 1);
  }
  check_tables(folder.path, 1);
}
