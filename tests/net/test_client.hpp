// Clients for the tests of the network layer, on plain blocking sockets: they can misbehave in every way a
// peer can.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mooring::net::test {

// A TCP connection, or a TLS one, to the loopback.
class wire_client {
 public:
  explicit wire_client(std::uint16_t port, bool is_tls = false);
  ~wire_client();
  wire_client(wire_client&& other) noexcept;
  wire_client(const wire_client&) = delete;

  // False when the other side has closed.
  bool send(std::string_view bytes);
  // What is there within the time; empty at the end of the stream or when nothing came.
  std::string receive(std::chrono::milliseconds within = std::chrono::seconds(5));
  // Everything up to the end of the stream, or what came within the time.
  std::string receive_all(std::chrono::milliseconds within = std::chrono::seconds(5));
  // True when the other side closes within the time (what it sends before is discarded).
  bool is_closed_within(std::chrono::milliseconds within);
  bool is_at_end() const { return at_end_; }
  bool is_connected() const { return socket_ >= 0 && !failed_; }
  void set_receive_buffer(int bytes);
  void shut_down();
  std::string certificate_name() const; // TLS: the common name that the server showed
  int descriptor() const { return socket_; }

 private:
  int socket_ = -1;
  bool at_end_ = false;
  bool failed_ = false;
  struct tls_state;
  std::unique_ptr<tls_state> tls_;
};

struct http_response {
  int status = 0;                             // 0: none came
  std::map<std::string, std::string> headers; // names in lower case
  std::string body;
};

// One connection, requests in turn.
class http_client {
 public:
  explicit http_client(std::uint16_t port, bool is_tls = false)
      : wire(port, is_tls) {}
  http_response request(std::string_view method, std::string_view target,
                        const std::map<std::string, std::string>& headers = {}, std::string_view body = {});
  static std::string text_of(std::string_view method, std::string_view target,
                             const std::map<std::string, std::string>& headers = {},
                             std::string_view body = {});
  http_response read_response(std::chrono::milliseconds within = std::chrono::seconds(5));
  wire_client wire;

 private:
  std::string rest_;
};

struct ws_frame {
  int opcode = -1; // -1: nothing came, or the connection ended
  std::string payload;
  bool is_text() const { return opcode == 1; }
  int close_code() const; // 1005 when the close carries none, 0 when this is no close
  std::string close_reason() const;
};

class ws_client {
 public:
  struct options {
    std::string subprotocol = "graphql-transport-ws";
    std::map<std::string, std::string> headers;
    bool is_tls = false;
    int receive_buffer = 0;
  };
  explicit ws_client(std::uint16_t port);
  ws_client(std::uint16_t port, const options& with);

  int upgrade_status = 0;
  std::string upgrade_response;

  void text(std::string_view payload) { frame(1, payload); }
  void frame(int opcode, std::string_view payload, bool is_final = true, bool is_masked = true);
  static std::string frame_bytes(int opcode, std::string_view payload, bool is_final = true,
                                 bool is_masked = true);
  // The next frame. Pings are answered and skipped unless asked for.
  ws_frame receive(std::chrono::milliseconds within = std::chrono::seconds(5), bool with_pings = false);
  // Skips everything up to a close frame, and answers it.
  ws_frame receive_close(std::chrono::milliseconds within = std::chrono::seconds(5));
  // connection_init with this token; true when acknowledged.
  bool initialise(std::string_view token);
  wire_client wire;

 private:
  std::string rest_;
};

} // namespace mooring::net::test
