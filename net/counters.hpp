// What the network layer counts. Each network thread has its own set and is its only writer, so counting is a
// plain load and store; anybody may read at any time. `server::totals` adds the sets up.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace mooring::net {

// A number with one writing thread and many readers.
class counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t n = 1) { add(0 - n); }
  operator std::uint64_t() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Close codes with a count of their own; index 0 gathers all others, and connections that ended without a
// close.
inline constexpr std::array<std::uint16_t, 18> counted_close_codes = {
    0, 1000, 1001, 1002, 1003, 1005, 1007, 1009, 1011, 1013, 4400, 4401, 4403, 4406, 4408, 4409, 4429, 4500};

constexpr std::size_t close_code_index(std::uint16_t code) {
  for (std::size_t i = 1; i < counted_close_codes.size(); ++i)
    if (counted_close_codes[i] == code) return i;
  return 0;
}

template<class Number> struct net_counts {
  // Open now.
  Number http_connections{}; // includes those whose TLS handshake or upgrade has not finished
  Number websocket_connections{};
  Number tls_connections{};    // of the above
  Number requests_in_flight{}; // given to the gateway and not answered
  Number subscriptions{};      // begun and not ended
  Number queued_bytes{};       // of answers and events, for peers that read slowly
  // Since the start.
  Number connections_accepted{};
  Number refused_connections_limit{}; // accepting paused or refused: connections_max
  Number refused_address_limit{};     // one address holds too many
  Number refused_handshakes{};        // TLS handshakes that failed
  Number refused_origins{};           // by the Origin allow-list
  Number refused_tokens{};            // did not verify
  Number deadline_closes{};           // headers, init, message, write or ping deadline passed
  Number queue_overflows{};           // closed with 1013
  Number read_pauses{};               // a peer was not read from: what it had asked for filled its queue
  Number bytes_received{};            // of the sockets, after TLS
  Number bytes_sent{};
  Number messages_received{}; // WebSocket messages
  Number messages_sent{};
  Number events_sent{}; // of subscriptions; of the above
  Number http_requests{};
  Number http_2xx{};
  Number http_4xx{};
  Number http_5xx{};
  std::array<Number, counted_close_codes.size()>
      closes{}; // by the code we sent or, if the client was first, received

  template<class F> static void for_each(net_counts& counts, F&& f) {
    f(counts.http_connections), f(counts.websocket_connections), f(counts.tls_connections),
        f(counts.requests_in_flight), f(counts.subscriptions), f(counts.queued_bytes);
    f(counts.connections_accepted), f(counts.refused_connections_limit), f(counts.refused_address_limit);
    f(counts.refused_handshakes), f(counts.refused_origins), f(counts.refused_tokens),
        f(counts.deadline_closes);
    f(counts.queue_overflows), f(counts.read_pauses), f(counts.bytes_received), f(counts.bytes_sent),
        f(counts.messages_received);
    f(counts.messages_sent), f(counts.events_sent), f(counts.http_requests), f(counts.http_2xx),
        f(counts.http_4xx), f(counts.http_5xx);
    for (auto& close : counts.closes) f(close);
  }
};

using net_counters = net_counts<counter>;
using net_totals = net_counts<std::uint64_t>;

// Adds `from` to `to`.
inline void accumulate(net_totals& to, net_counters& from) {
  std::array<std::uint64_t, sizeof(net_totals) / sizeof(std::uint64_t)> values{};
  std::size_t at = 0;
  net_counters::for_each(from, [&](const counter& one) { values[at++] = one; });
  at = 0;
  net_totals::for_each(to, [&](std::uint64_t& sum) { sum += values[at++]; });
}

} // namespace mooring::net
