// The device actor: takes one device's commands one at a time, in the order they came.
//
//   idle ──device_command──► deciding ──command_decided──► idle, or deciding the next one that waits
//
// It keeps no data: registration, idempotency window and cursor are rows that the rules read through the tenant, so it
// may be stopped at any moment with nothing lost. What runs is answered by the tenant even when the device actor is gone.
// Runs on its tenant's home. Supervised by the tenant.
#pragma once

#include <deque>
#include <string>

#include "actors/interfaces.hpp"
#include "actors/pinned.hpp"
#include "actors/surroundings.hpp"

namespace mooring::actors {

class device_state {
 public:
  static constexpr auto actor_name = "device";

  device_state(device_actor::pointer self, const surroundings& around, const std::string& tenant_name,
               std::string id, tenant_actor tenant, std::uint32_t restarts);
  device_actor::behavior_type behavior();

 private:
  void take(command_ptr request);
  void hand_on(command_ptr request);
  void next();
  void end_if_idle();
  inspect_answer inspect() const;

  device_actor::pointer self_;
  const surroundings& around_;
  std::string id_;
  tenant_actor tenant_;
  census::stay stay_;
  std::int64_t started_us_;
  bool deciding_ = false;
  std::deque<command_ptr> waiting_;
  std::uint64_t handled_ = 0;
};

} // namespace mooring::actors
