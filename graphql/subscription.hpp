// Subscriptions (October 2021, 6.2.3): what a resolver of a Subscription's field gets, and what writes the
// events.
//
// The two steps of the specification are apart. CreateSourceEventStream (6.2.3.1) is the stream_resolver's:
// it gets the coerced arguments and answers with the source, whatever that is; the engine only hands it on.
// MapSourceToResponseEvent (6.2.3.2) is the event_writer's: whoever owns the source calls it for each event.
//
// Threads: a stream_resolver runs on the thread of engine::execute and must not block; the responder may be
// called from any thread. An event_writer is immutable: any thread, several at once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/hash.hpp"
#include "base/result.hpp"
#include "graphql/resolved.hpp"

namespace mooring::graphql {

// A subscription that has begun: writes the answer to each event. The engine outlives it. What the bindings
// see as field_context::context is the context of the request that began the subscription, which is kept for
// as long as the writer is.
class event_writer {
 public:
  virtual ~event_writer() = default;

  // {"data":{…}} or {"errors":[…],"data":…} for one event. Its C++ type is the one that the field was bound
  // with (resolved::of<T>); another one is an INTERNAL error. An event's errors carry no requestId: they are
  // the same for all who get the event.
  virtual std::string write(const resolved& event) const = 0;
  // {"errors":[…]} of a failure that was found when the source had been opened, with path and location of the root field.
  virtual std::string write_refusal(const error& why, std::uint64_t request_id) const = 0;

  // Of two writers with equal shapes, the answers to one event are equal: written once, sent to all. It
  // covers the document, the operation's name and those variables that the selection below the root field
  // depends on; the root field's own arguments are not in it. REQUIRES of the bindings: an answer depends on
  // the request's context only in what all receivers of one event have in common.
  virtual const digest128& shape() const = 0;
};

// Answers with the source of the events, once, now or later, from any thread; further calls are ignored. A
// failure is a request error: the subscription has not begun. When the last copy is dropped without an
// answer, the request fails with INTERNAL.
using stream_responder = std::function<void(result<std::shared_ptr<void>>)>;

// The arguments of the call are valid only during the call.
using stream_resolver =
    std::function<void(const field_call&, std::shared_ptr<const event_writer>, stream_responder)>;

} // namespace mooring::graphql
