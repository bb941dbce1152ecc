#include "base/ip.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace mooring {

namespace {

constexpr std::array<unsigned char, 12> v4_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// True when the bits from `prefix` on are zero.
bool ends_in_zeros(const ip_address& of, unsigned prefix) {
  for (unsigned bit = prefix; bit < 128; ++bit)
    if (of.bytes[bit / 8] & (0x80u >> (bit % 8))) return false;
  return true;
}

} // namespace

std::optional<ip_address> ip_address::parse(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof terminated) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  if (std::memchr(terminated, 0, text.size()) != nullptr) return std::nullopt;
  ip_address out;
  if (inet_pton(AF_INET6, terminated, out.bytes.data()) == 1) return out;
  std::copy(v4_prefix.begin(), v4_prefix.end(), out.bytes.begin());
  if (inet_pton(AF_INET, terminated, out.bytes.data() + v4_prefix.size()) == 1) return out;
  return std::nullopt;
}

bool ip_address::is_v4() const {
  return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
}

bool ip_address::is_loopback() const {
  if (is_v4()) return bytes[12] == 127;
  return bytes.back() == 1 &&
         std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned char b) { return b == 0; });
}

std::string ip_address::text() const {
  char out[INET6_ADDRSTRLEN] = {};
  if (is_v4())
    inet_ntop(AF_INET, bytes.data() + v4_prefix.size(), out, sizeof out);
  else
    inet_ntop(AF_INET6, bytes.data(), out, sizeof out);
  return out;
}

std::optional<ip_network> ip_network::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto first = ip_address::parse(text.substr(0, slash));
  if (!first) return std::nullopt;
  ip_network out{*first, 128};
  if (slash == std::string_view::npos) return out;
  const auto digits = text.substr(slash + 1);
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), out.prefix);
  // How it is written decides what the number counts from.
  const unsigned added = text.substr(0, slash).find(':') == std::string_view::npos ? 96 : 0;
  if (failed != std::errc{} || end != digits.data() + digits.size() || out.prefix > 128 - added)
    return std::nullopt;
  out.prefix += added;
  if (!ends_in_zeros(*first, out.prefix)) return std::nullopt;
  return out;
}

bool ip_network::contains(const ip_address& one) const {
  const auto whole = prefix / 8;
  if (!std::equal(first.bytes.begin(), first.bytes.begin() + whole, one.bytes.begin())) return false;
  const auto rest = prefix % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff00u >> rest);
  return (first.bytes[whole] & mask) == (one.bytes[whole] & mask);
}

} // namespace mooring
