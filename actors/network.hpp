// The network actor and its gateway: the two halves of one network thread's bridge between sockets and actors.
//
// The gateway half is called by net on the network thread: it turns a GraphQL request into commands and queries (through
// api::service), files each under a number, and sends it to a device, a tenant or the directory. The actor half gets the
// answers back on the same thread (its home) and completes what is filed. Both work on one table without a lock.
//
// Handles of devices and tenants are remembered after their first answer, so that later requests go straight to them.
// When one of them ends, what was filed for it is sent anew if it ended in peace (nobody had begun with it), and answered
// with UNAVAILABLE if it failed (the outcome is unknown; the client retries with the same key).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/interfaces.hpp"
#include "actors/surroundings.hpp"
#include "api/service.hpp"
#include "net/gateway.hpp"

namespace mooring::actors {

class home;

struct gateway_setting {
  const api::service* service = nullptr;
  std::vector<directory_actor> directories; // by shard number
};

// On the thread that starts the server, before the network thread runs. The network actor ends with the gateway.
std::unique_ptr<net::gateway> make_gateway(caf::actor_system& system, home& where, const surroundings& around,
                                           gateway_setting setting);

} // namespace mooring::actors
