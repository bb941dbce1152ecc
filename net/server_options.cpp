#include "net/server_options.hpp"

#include <arpa/inet.h>

namespace mooring::net {

namespace {
error wrong(std::string message) {
  return {error_code::bad_user_input, std::move(message)};
}

bool is_address(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 || inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}
} // namespace

result<void> server_options::validate() const {
  if (listen.empty()) return wrong("network: there is no address to listen on");
  for (const auto& one : listen)
    if (!is_address(one.address))
      return wrong("network: '" + one.address + "' is not an IPv4 or IPv6 address");
  if (threads < 1 || threads > 64) return wrong("network: threads must be 1 to 64");
  if (backlog < 1) return wrong("network: the backlog must be at least 1");
  if (tls_certificate_file.empty() != tls_key_file.empty())
    return wrong("network: a TLS certificate and its key go together; one of them is missing");
  if (connections_max < 1) return wrong("network: connections_max must be at least 1");
  if (connections_per_address_max < 1)
    return wrong("network: connections_per_address_max must be at least 1");
  if (header_bytes_max < 1024 || header_bytes_max > 1 << 20)
    return wrong("network: header_bytes_max must be 1 KiB to 1 MiB");
  if (message_bytes_max < 1024 || message_bytes_max > std::size_t{1} << 30)
    return wrong("network: message_bytes_max must be 1 KiB to 1 GiB");
  // A token of 4 KiB must fit.
  if (first_message_bytes_max < 5 << 10)
    return wrong("network: first_message_bytes_max must be at least 5 KiB");
  if (queued_bytes_max < 4 << 10) return wrong("network: queued_bytes_max must be at least 4 KiB");
  if (requests_in_flight_max < 1) return wrong("network: requests_in_flight_max must be at least 1");
  if (subscriptions_max < 1) return wrong("network: subscriptions_max must be at least 1");
  if (stream_queued_bytes_max < 1024) return wrong("network: stream_queued_bytes_max must be at least 1 KiB");
  if (bytes_per_second_min < 1) return wrong("network: bytes_per_second_min must be at least 1");
  const struct {
    const char* name;
    std::int64_t value;
  } times[] = {{"header_timeout_ms", header_timeout_ms},   {"init_timeout_ms", init_timeout_ms},
               {"message_timeout_ms", message_timeout_ms}, {"write_timeout_ms", write_timeout_ms},
               {"ping_interval_ms", ping_interval_ms},     {"keep_alive_timeout_ms", keep_alive_timeout_ms},
               {"close_timeout_ms", close_timeout_ms},     {"stop_timeout_ms", stop_timeout_ms}};
  for (const auto& one : times)
    if (one.value < 100 || one.value > 86'400'000)
      return wrong(std::string("network: ") + one.name + " must be 100 ms to one day");
  if (time == nullptr) return wrong("network: there is no clock");
  return {};
}

} // namespace mooring::net
