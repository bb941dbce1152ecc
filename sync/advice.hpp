// When a device should sync, from what the node is doing right now (optimalSyncTime). Pure.
#pragma once

#include <cstdint>
#include <string>

namespace mooring::sync {

// Handed in by whoever knows the node.
struct node_load {
  double busy = 0; // runnable threads per processor of the machine: above 1, work waits for a processor
  std::int64_t commands_waiting = 0; // decided and not yet durable
};

struct sync_advice { // SyncAdviceType
  bool sync_now = true;
  std::int32_t wait_seconds = 0; // until it should be asked again; 0 when it may sync now
  double load = 0;               // 0 idle to 1 full
  std::string reason;
};

// `who` spreads devices that ask in the same moment; a hash of the device will do.
sync_advice advise(const node_load& load, std::uint64_t who);

} // namespace mooring::sync
