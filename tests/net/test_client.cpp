#include "tests/net/test_client.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mooring::net::test {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct wire_client::tls_state {
  SSL_CTX* context = nullptr;
  SSL* ssl = nullptr;
  ~tls_state() {
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
};

wire_client::wire_client(std::uint16_t port, bool is_tls) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    failed_ = true;
    return;
  }
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // No test waits for ever in a send.
  timeval limit{5, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (!is_tls) return;
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  tls_ = std::make_unique<tls_state>();
  tls_->context = SSL_CTX_new(TLS_client_method());
  tls_->ssl = SSL_new(tls_->context);
  SSL_set_fd(tls_->ssl, socket_);
  if (SSL_connect(tls_->ssl) != 1) failed_ = true;
}

wire_client::~wire_client() {
  tls_.reset();
  if (socket_ >= 0) ::close(socket_);
}

wire_client::wire_client(wire_client&& other) noexcept
    : socket_(other.socket_)
    , at_end_(other.at_end_)
    , failed_(other.failed_)
    , tls_(std::move(other.tls_)) {
  other.socket_ = -1;
}

void wire_client::set_receive_buffer(int bytes) {
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void wire_client::shut_down() {
  ::shutdown(socket_, SHUT_WR);
}

std::string wire_client::certificate_name() const {
  if (!tls_ || failed_) return {};
  X509* certificate = SSL_get1_peer_certificate(tls_->ssl);
  if (certificate == nullptr) return {};
  char name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  X509_free(certificate);
  return name;
}

bool wire_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = tls_ ? SSL_write(tls_->ssl, bytes.data(), static_cast<int>(bytes.size()))
                           : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string wire_client::receive(milliseconds within) {
  if (failed_) {
    at_end_ = true;
    return {};
  }
  if (!tls_ || SSL_pending(tls_->ssl) == 0) {
    pollfd waits{socket_, POLLIN, 0};
    if (::poll(&waits, 1, static_cast<int>(within.count())) <= 0) return {};
  }
  std::string out(64 << 10, '\0');
  const auto got = tls_ ? SSL_read(tls_->ssl, out.data(), static_cast<int>(out.size()))
                        : ::recv(socket_, out.data(), out.size(), 0);
  if (got <= 0) {
    at_end_ = true;
    return {};
  }
  out.resize(static_cast<std::size_t>(got));
  return out;
}

std::string wire_client::receive_all(milliseconds within) {
  const auto until = steady_clock::now() + within;
  std::string out;
  while (!at_end_) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    if (left.count() <= 0) break;
    out += receive(left);
  }
  return out;
}

bool wire_client::is_closed_within(milliseconds within) {
  receive_all(within);
  return at_end_;
}

std::string http_client::text_of(std::string_view method, std::string_view target,
                                 const std::map<std::string, std::string>& headers, std::string_view body) {
  std::string out(method);
  out.append(" ").append(target).append(" HTTP/1.1\r\n");
  if (!headers.contains("Host")) out += "Host: localhost\r\n";
  for (const auto& [name, value] : headers) out.append(name).append(": ").append(value).append("\r\n");
  if ((!body.empty() || method == "POST") && !headers.contains("Content-Length") &&
      !headers.contains("Transfer-Encoding"))
    out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  out.append("\r\n").append(body);
  return out;
}

http_response http_client::request(std::string_view method, std::string_view target,
                                   const std::map<std::string, std::string>& headers, std::string_view body) {
  wire.send(text_of(method, target, headers, body));
  auto out = read_response();
  return out;
}

http_response http_client::read_response(milliseconds within) {
  http_response out;
  const auto until = steady_clock::now() + within;
  const auto more = [&] {
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    if (left.count() <= 0 || wire.is_at_end()) return false;
    rest_ += wire.receive(left);
    return true;
  };
  std::size_t end = 0;
  for (;;) {
    while ((end = rest_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return out;
    const auto head = rest_.substr(0, end + 2);
    rest_.erase(0, end + 4);
    out.status = std::stoi(head.substr(9, 3));
    if (out.status == 100) continue;
    for (auto at = head.find("\r\n") + 2; at < head.size();) {
      const auto line_end = head.find("\r\n", at);
      const auto colon = head.find(": ", at);
      auto name = head.substr(at, colon - at);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      out.headers[name] = head.substr(colon + 2, line_end - colon - 2);
      at = line_end + 2;
    }
    break;
  }
  const auto length = out.headers.contains("content-length") ? std::stoul(out.headers["content-length"]) : 0;
  while (rest_.size() < length)
    if (!more()) break;
  out.body = rest_.substr(0, length);
  rest_.erase(0, length);
  return out;
}

int ws_frame::close_code() const {
  if (opcode != 8) return 0;
  if (payload.size() < 2) return 1005;
  return (static_cast<unsigned char>(payload[0]) << 8) | static_cast<unsigned char>(payload[1]);
}

std::string ws_frame::close_reason() const {
  return payload.size() > 2 ? payload.substr(2) : std::string();
}

ws_client::ws_client(std::uint16_t port)
    : ws_client(port, options{}) {}

ws_client::ws_client(std::uint16_t port, const options& with)
    : wire(port, with.is_tls) {
  if (with.receive_buffer != 0) wire.set_receive_buffer(with.receive_buffer);
  std::string request =
      "GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  if (!with.subprotocol.empty()) request += "Sec-WebSocket-Protocol: " + with.subprotocol + "\r\n";
  for (const auto& [name, value] : with.headers) request += name + ": " + value + "\r\n";
  wire.send(request + "\r\n");
  std::size_t end = 0;
  while ((end = rest_.find("\r\n\r\n")) == std::string::npos) {
    const auto got = wire.receive();
    if (got.empty()) return;
    rest_ += got;
  }
  upgrade_response = rest_.substr(0, end);
  upgrade_status = std::stoi(upgrade_response.substr(9, 3));
  rest_.erase(0, end + 4);
}

std::string ws_client::frame_bytes(int opcode, std::string_view payload, bool is_final, bool is_masked) {
  std::string out;
  out += static_cast<char>((is_final ? 0x80 : 0) | opcode);
  const int mask_bit = is_masked ? 0x80 : 0;
  if (payload.size() < 126)
    out += static_cast<char>(mask_bit | static_cast<int>(payload.size()));
  else {
    const int bytes = payload.size() <= 0xffff ? 2 : 8;
    out += static_cast<char>(mask_bit | (bytes == 2 ? 126 : 127));
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
      out += static_cast<char>((payload.size() >> shift) & 0xff);
  }
  if (!is_masked) return out.append(payload);
  const char mask[4] = {0x12, 0x34, 0x56, 0x78};
  out.append(mask, 4);
  for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ mask[i % 4]);
  return out;
}

void ws_client::frame(int opcode, std::string_view payload, bool is_final, bool is_masked) {
  wire.send(frame_bytes(opcode, payload, is_final, is_masked));
}

ws_frame ws_client::receive(milliseconds within, bool with_pings) {
  const auto until = steady_clock::now() + within;
  for (;;) {
    ws_frame out;
    if (rest_.size() >= 2) {
      std::size_t head = 2;
      std::uint64_t length = static_cast<unsigned char>(rest_[1]) & 0x7f;
      const std::size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
      if (rest_.size() >= head + extended) {
        if (extended != 0) {
          length = 0;
          for (std::size_t i = 0; i < extended; ++i)
            length = (length << 8) | static_cast<unsigned char>(rest_[2 + i]);
        }
        head += extended;
        if (rest_.size() >= head + length) {
          out.opcode = rest_[0] & 0x0f;
          out.payload = rest_.substr(head, length);
          rest_.erase(0, head + length);
          if (out.opcode == 9 && !with_pings) {
            frame(10, out.payload);
            continue;
          }
          return out;
        }
      }
    }
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    if (left.count() <= 0 || wire.is_at_end()) return out;
    rest_ += wire.receive(left);
  }
}

ws_frame ws_client::receive_close(milliseconds within) {
  const auto until = steady_clock::now() + within;
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    auto got = receive(std::max(left, milliseconds(0)));
    if (got.opcode == 8) frame(8, got.payload);
    if (got.opcode == 8 || got.opcode == -1) return got;
  }
}

bool ws_client::initialise(std::string_view token) {
  text(R"({"type":"connection_init","payload":{"authorization":"Bearer )" + std::string(token) + R"("}})");
  return receive().payload == R"({"type":"connection_ack"})";
}

} // namespace mooring::net::test
