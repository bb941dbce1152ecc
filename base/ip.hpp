// Internet addresses and networks as values. An IPv4 address and the same one mapped into IPv6 are equal.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace mooring {

struct ip_address {
  std::array<unsigned char, 16> bytes{}; // network order; IPv4 as ::ffff:a.b.c.d

  // "192.0.2.1" or "2001:db8::1"; nothing else: no port, no brackets, no zone.
  static std::optional<ip_address> parse(std::string_view text);
  bool is_v4() const;
  bool is_loopback() const;
  std::string text() const; // the canonical spelling
  bool operator==(const ip_address&) const = default;
};

struct ip_network {
  ip_address first;
  unsigned prefix = 128; // bits of the 128 that count

  // "10.0.0.0/8", "2001:db8::/32", or a single address. Nothing when bits beyond the prefix are set: most
  // often a typo.
  static std::optional<ip_network> parse(std::string_view text);
  bool contains(const ip_address& one) const;
};

} // namespace mooring
