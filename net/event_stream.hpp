// The two ends of a subscription: where its events go and what they come from.
//
// `net` owns the sink, the gateway makes the source. Both live on the network thread of their connection:
// every call and the destruction of the source happen there.
#pragma once

#include <string_view>

namespace mooring::net {

// Where the events of one subscription go: one operation of one WebSocket. Own thread only. The bodies are
// JSON already and are copied once, into what the connection sends next; many events of one turn leave in one
// write.
class event_sink {
 public:
  // One `next` message. `body` is an ExecutionResult: {"data":…} and/or {"errors":[…]}.
  virtual void next(std::string_view body) = 0;
  // False: the client reads slowly and server_options::stream_queued_bytes_max wait for it already; go on at
  // event_source::resume, which is called once after this was false. A source that sends without asking is
  // closed with 1013 at queued_bytes_max.
  virtual bool has_room() const = 0;
  // The operation ends; the sink must not be used any more. The source is destroyed soon after, never inside
  // of the call.
  virtual void complete() = 0;
  // `error` message with the errors of {"errors":[…]}; ends likewise.
  virtual void fail(std::string_view body) = 0;

 protected:
  ~event_sink() = default;
};

// What a subscription reads from. Destroyed on its thread when the client completes the operation or the
// connection ends: nothing may be sent after. The session's pointer is the only lasting one: others hold it
// weakly, so that the destruction is where the source learns of the end.
//
// A source with much to say takes turns: it sends a part, and goes on in work that it posts.
class event_source {
 public:
  virtual ~event_source() = default;
  virtual void start(event_sink& to) = 0; // once; `to` is good until the source's end
  virtual void resume() = 0;              // there is room again
};

} // namespace mooring::net
