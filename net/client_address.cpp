#include "net/client_address.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "net/text.hpp"

namespace mooring::net {

namespace {

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failed == std::errc{} && end == text.data() + text.size() && port <= 65535;
}

std::optional<ip_address> entry_address(std::string_view entry) {
  entry = trimmed(entry);
  if (entry.starts_with('[')) {
    const auto end = entry.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const auto rest = entry.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return std::nullopt;
    const auto inside = entry.substr(1, end - 1);
    return inside.find(':') == std::string_view::npos ? std::nullopt : ip_address::parse(inside);
  }
  const auto colon = entry.find(':');
  if (colon != std::string_view::npos &&
      entry.find(':', colon + 1) == std::string_view::npos) { // IPv4 with a port
    if (!is_port(entry.substr(colon + 1))) return std::nullopt;
    entry = entry.substr(0, colon);
  }
  return ip_address::parse(entry);
}

} // namespace

bool is_trusted(const std::vector<ip_network>& proxies, const ip_address& one) {
  return std::any_of(proxies.begin(), proxies.end(),
                     [&](const ip_network& network) { return network.contains(one); });
}

std::optional<ip_address> forwarded_client(const std::vector<ip_network>& proxies,
                                           std::string_view forwarded_for) {
  for (;;) {
    const auto comma = forwarded_for.rfind(',');
    const auto address = entry_address(forwarded_for.substr(comma == std::string_view::npos ? 0 : comma + 1));
    if (!address || comma == std::string_view::npos || !is_trusted(proxies, *address)) return address;
    forwarded_for = forwarded_for.substr(0, comma);
  }
}

address_key limit_key_of(const ip_address& one) {
  if (one.is_loopback()) return 0;
  address_key key = 0;
  if (one.is_v4()) {
    for (std::size_t i = 12; i < 16; ++i) key = key << 8 | one.bytes[i];
    return key;
  }
  std::memcpy(&key, one.bytes.data(), sizeof key); // the /64
  return key == 0 ? 1 : key;
}

} // namespace mooring::net
