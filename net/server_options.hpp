// Every limit of the network layer, with what it protects against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace mooring::net {

struct listen_address {
  std::string address = "127.0.0.1"; // IPv4 or IPv6, without brackets
  std::uint16_t port = 8440;         // 0: the system chooses; server::ports tells
};

struct server_options {
  std::vector<listen_address> listen = {listen_address{}};
  unsigned threads = 1;             // network threads; one serves some 100,000 small messages a second
  int backlog = 1024;               // connections the kernel holds for us
  std::string tls_certificate_file; // PEM chain; TLS when set
  std::string tls_key_file;         // PEM, without a passphrase
  // Browsers send an Origin; only these may come in, as `https://app.example.com`. "*" lets every one in. A
  // client that is no browser sends none and is not asked.
  std::vector<std::string> allowed_origins;
  bool serve_metrics = true; // /metrics; off: 404
  // Proxies whose X-Forwarded-For is believed: limits per address then count the client behind them.
  std::vector<ip_network> trusted_proxies;

  std::size_t connections_max = 100'000;             // in all; accepting pauses there
  std::size_t connections_per_address_max = 100'000; // per IPv4 address or IPv6 /64; loopback is not counted
  std::size_t header_bytes_max = 8 << 10;            // request line and headers: 431
  std::size_t message_bytes_max = 11 << 20; // a WebSocket message (1009), an HTTP body, also inflated (413)
  std::size_t first_message_bytes_max = 16 << 10; // a WebSocket message before connection_ack
  // Answers and events of one connection that wait for its peer to read them. Nothing more is read from a
  // peer whose queue is full, until it has taken three quarters; one that takes too little in
  // write_timeout_ms is cut. Answers to what it asked before may still come: a first one beyond the bound
  // finds place, whatever its size, and a further one closes the WebSocket with 1013.
  std::size_t queued_bytes_max = 4 << 20;
  std::size_t requests_in_flight_max = 64; // per WebSocket; reading pauses there
  std::size_t subscriptions_max = 32;      // per WebSocket; a further one is refused with RATE_LIMITED
  // Events wait at their source while more than this is queued for a slow reader (or a quarter of
  // queued_bytes_max, if that is less).
  std::size_t stream_queued_bytes_max = 64 << 10;
  std::size_t token_cache_entries = 1024; // verified tokens of HTTP requests, per thread
  std::size_t gzip_bytes_min = 1024;      // smaller responses are sent as they are

  std::int64_t header_timeout_ms = 5'000; // TLS handshake; first byte to end of headers
  std::int64_t init_timeout_ms = 3'000;   // upgrade to connection_init: 4408
  // A message or body must have arrived, and the queue to a client drained, within the time below; or else
  // `bytes_per_second_min` on average must have moved in it, and then the next such time begins. Large
  // uploads on slow links pass, dripping does not.
  std::int64_t message_timeout_ms = 10'000;
  std::int64_t write_timeout_ms = 10'000;
  std::size_t bytes_per_second_min = 4 << 10;
  std::int64_t ping_interval_ms = 30'000; // silence after which a WebSocket is pinged; twice that: dropped
  std::int64_t keep_alive_timeout_ms = 60'000; // silence between two HTTP requests
  std::int64_t close_timeout_ms = 2'000;       // for the other side to answer a close
  std::int64_t stop_timeout_ms = 8'000;        // server::stop in all; requests in flight get this less 2 s

  const clock* time = &system_clock(); // for the expiry of tokens; tests bring their own

  // bad_user_input that names the option.
  result<void> validate() const;
  bool uses_tls() const { return !tls_certificate_file.empty(); }
};

} // namespace mooring::net
