// The directory of one shard: knows its tenants by name, starts them on demand, supervises them and the writer.
//
// It never blocks and holds no data; a request that finds its tenant's handle in the network actor's table does not pass
// through here.
//
// A tenant that asks to end is let go, and says whether it does. Until then, what is for it waits here: two of one tenant
// never work at a time.
//
// Supervision: a tenant that failed is started again by its next request, after back-off, and settles first (everything
// its predecessor sent must be in the tables). A writer that failed is started again after back-off too. Too many failures of one of
// them in a period fail the directory, and with it the node.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "actors/home.hpp"
#include "actors/interfaces.hpp"
#include "actors/outbox.hpp"
#include "actors/shard_writer.hpp"
#include "actors/snapshot_lease.hpp"
#include "actors/surroundings.hpp"
#include "base/text_map.hpp"

namespace mooring::actors {

struct directory_setting {
  writer_setting writer;
  // Where tenants may live, with the snapshot of this shard there. By the hash of the tenant's name.
  struct dwelling {
    home* where;
    snapshot_lease* snapshot;
    outbox* batches;
  };
  std::vector<dwelling> dwellings;
  std::vector<reader_actor> readers;
};

class directory_state {
 public:
  static constexpr auto actor_name = "directory";
  directory_state(directory_actor::pointer self, const surroundings& around, directory_setting setting);
  ~directory_state(); // ends its tenants and the writer
  directory_actor::behavior_type behavior();

 private:
  using request = std::variant<command_ptr, query_ptr, sweep_rows>;
  struct tenant_entry {
    tenant_actor actor;
    restart_window restarts;
    bool settle_first = false;
    bool let_go = false;            // and has not said yet whether it ends
    std::vector<request> held;      // … what came in the meantime
    std::int64_t not_before_us = 0; // back-off after a failure
  };

  result<tenant_actor> tenant_of(const std::string& name);
  void route(const std::string& tenant, request what);
  void pass(const tenant_actor& tenant, request what);
  void refuse(request what, const error& why);
  void start_writer();
  tenant_entry* entry_of(const tenant_actor& tenant);
  void let_stop(const tenant_actor& tenant);
  void takes_back(const tenant_actor& tenant);
  void down(const caf::down_msg& message);
  void housekeeping();
  inspect_answer inspect() const;

  directory_actor::pointer self_;
  const surroundings& around_;
  directory_setting setting_;
  census::stay stay_;
  std::int64_t started_us_;
  shard_writer_actor writer_;
  restart_window writer_restarts_;
  text_map<std::string, tenant_entry> tenants_;
  std::unordered_map<caf::actor_id, std::string> names_;
};

} // namespace mooring::actors
