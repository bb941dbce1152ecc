// A subscription of a WebSocket that has begun: its source, and the sink that the source sends to.
//
// Internal to net. Owned by its websocket_session until the operation ends, then by
// network_thread::drop_later, so that a source which ends its own operation is still there when the call
// returns. From the end on every call does nothing. It is small and holds no buffer: many of them are idle.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/event_stream.hpp"

namespace mooring::net {

class websocket_session;

class stream_operation final : public event_sink {
 public:
  stream_operation(websocket_session& session, std::string id_json, std::shared_ptr<event_source> source)
      : session_(&session)
      , id_json_(std::move(id_json))
      , source_(std::move(source)) {}
  ~stream_operation() = default;

  void next(std::string_view body) override;
  bool has_room() const override;
  void complete() override;
  void fail(std::string_view body) override;

  void start() { source_->start(*this); }
  // The source was told that there is no room, and waits for resume.
  bool waits() const { return waits_; }
  void resume() {
    waits_ = false;
    source_->resume();
  }
  void detach() { session_ = nullptr; }
  bool has_ended() const { return session_ == nullptr; }
  const std::string& id_json() const { return id_json_; }

 private:
  websocket_session* session_; // null: the operation has ended
  std::string id_json_;
  std::shared_ptr<event_source> source_;
  mutable bool waits_ = false;
};

} // namespace mooring::net
