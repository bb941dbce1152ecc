// A WebSocket connection that speaks graphql-transport-ws (PROTOCOL.md of the npm package graphql-ws).
//
//   accepting ─► unacknowledged ──connection_init──► acknowledged ─► closing ─► ended
//                      └── 3 s: 4408
//
// Beast reads the frames, answers pings and does the closing handshake. Our messages are written as whole
// frames into the channel's outgoing buffer, several in one system call; Beast's own frames go through the
// same buffer (channel::async_write_some takes a frame whole), so the two never mix.
//
// A subscription that has begun is a stream_operation: it is no request in flight any more, and stays until
// either side completes it or the connection ends.
//
// Reading pauses while requests_in_flight_max requests run, and while what is queued for the client and what
// the requests that run may add to it would pass queued_bytes_max: the client feels it as TCP back pressure.
// How much a request may add is learned from the connection's last answers, and taken for a quarter of the
// bound before the first one. So a client that asks for much and reads slowly is slowed down and gets
// everything; closing with 1013 is for one whose answers became large at once.
//
// Internal to net. websocket_session.cpp is the connection, websocket_messages.cpp what the messages do,
// websocket_streams.cpp the subscriptions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "net/channel_link.hpp"
#include "net/message_buffer.hpp"
#include "net/protocol_message.hpp"
#include "net/session.hpp"
#include "net/stream_operation.hpp"

namespace mooring::net {

namespace websocket = boost::beast::websocket;

using upgrade_request = boost::beast::http::request<boost::beast::http::empty_body>;

class websocket_session final : public session {
 public:
  websocket_session(network_thread& thread, connection parts, std::shared_ptr<const identity> who);
  ~websocket_session() override { thread_.counters().websocket_connections.subtract(); }

  void accept(upgrade_request request, std::string_view leftover);

  void on_answer(operation_table::ticket ticket, operation_table::operation& operation,
                 graphql_answer&& answer) override;
  void begin_stop() override;
  void force_close() override { close(close_code::going_away, "the node is stopping"); }
  void close_by_gateway(std::uint16_t code, const std::string& reason) override { close(code, reason); }
  void on_sent() override;
  void on_read_waits() override;

  // ── for stream_operation ──
  void send_event(const stream_operation& from, std::string_view body);
  bool has_room();
  void complete_stream(stream_operation& one);
  void fail_stream(stream_operation& one, std::string_view body);

 protected:
  std::int64_t next_deadline_ms() const override;
  void check_deadlines(std::int64_t now_ms) override;
  void on_end() override;

 private:
  enum class state : std::uint8_t { accepting, unacknowledged, acknowledged, closing };

  std::shared_ptr<websocket_session> self() {
    return std::static_pointer_cast<websocket_session>(shared_from_this());
  }
  void read();
  void on_read(io_error failure, std::size_t bytes);
  void on_message();
  void on_connection_init(const client_message& message);
  void on_ping(const client_message& message);
  void on_subscribe(const client_message& message);
  void on_complete(const client_message& message);
  void read_on();
  bool may_read();
  void sent(std::size_t messages);
  void close(std::uint16_t code, std::string_view reason);
  std::int64_t expiry_in_ms() const;
  std::string& json_of(std::string_view id);
  std::optional<std::size_t> find_operation(std::string_view id_json) const;
  void begin_stream(std::string id_json, std::uint64_t request_id, std::shared_ptr<event_source> source);
  std::optional<std::size_t> find_stream(std::string_view id_json) const;
  std::shared_ptr<stream_operation> take_stream(std::size_t at);
  void end_stream(const stream_operation& one);
  void end_streams();
  void resume_streams();

  std::uint16_t counted_code_ = 0; // of the close that was sent
  websocket::stream<channel_link, false> stream_;
  message_buffer in_;
  std::shared_ptr<const identity> who_; // before the acknowledgement: of the upgrade's header, or null
  std::vector<operation_table::ticket> running_;
  std::vector<std::shared_ptr<stream_operation>> streams_; // subscriptions that have begun
  std::shared_ptr<connection_handle> handle_;              // given to the gateway weakly
  std::uint64_t id_;
  std::int64_t since_ms_;         // of the state
  std::int64_t pinged_at_ms_ = 0; // 0: no ping is out
  std::size_t answer_bytes_;      // what an answer is taken to need
  state state_ = state::accepting;
  bool subprotocol_ok_ = false;
  bool reading_ = false;
  bool in_read_turn_ = false; // a message is being handled; flushed at the turn's end
  bool beast_closing_ = false;
  bool queue_was_over_ = false; // the queue was above its limit before the latest answer
  bool opened_ = false;         // the gateway knows of the connection
};

// The list in {"errors":[…]}.
std::string_view errors_of(std::string_view body);

} // namespace mooring::net
