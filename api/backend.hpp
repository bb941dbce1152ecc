// What the resolvers call: the node behind the API. Implemented by actors/, faked in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.hpp"
#include "sync/answers.hpp"
#include "sync/commands.hpp"
#include "sync/queries.hpp"

namespace mooring::graphql {
class event_writer;
}

namespace mooring::api {

using command = std::variant<sync::upload, sync::resolve_conflict, sync::register_device,
                             sync::deactivate_device, sync::acknowledge, sync::set_conflict_policy,
                             sync::set_push_subscription, sync::trigger_sync, sync::broadcast>;
// In the order of `command`, each type once: a bool for two, a number of devices for the last two.
using command_answer = std::variant<sync::upload_answer, sync::resolution_answer, sync::device, bool,
                                    sync::policy, sync::push_answer, std::int32_t>;

using command_done = std::function<void(result<command_answer>)>;
using query_done = std::function<void(result<sync::query_answer>)>;

// Who asks, and over which connection.
struct origin {
  sync::caller who;
  std::int64_t arrived_us = 0;  // monotonic: when the request came in
  std::uint64_t connection = 0; // 0: none that lasts (HTTP)
  std::uint64_t request_id = 0;
};

// Called at most once: a stream that was opened has begun, or was refused (then why). Not when its reader left before.
using stream_begun = std::function<void(const error* why)>;

// One per network thread; calls and completions happen on that thread. `done` is called exactly once.
class backend {
 public:
  virtual ~backend() = default;
  // Answered after the durable commit.
  virtual void submit(const origin& from, command what, command_done done) = 0;
  // Sees everything that was acknowledged before.
  virtual void read(const origin& from, sync::query what, query_done done) = 0;
  // Opens the stream of what is pushed to a device, from the cursor or from the one that it acknowledged. Events are
  // api::sync_event. The source is what the implementation's network layer expects; whether the device may listen is found
  // when it begins.
  virtual result<std::shared_ptr<void>> open_events(const origin& from, std::string device_id,
                                                    std::optional<sync::cursor> after,
                                                    std::shared_ptr<const graphql::event_writer> writer,
                                                    stream_begun begun) = 0;
};

} // namespace mooring::api
