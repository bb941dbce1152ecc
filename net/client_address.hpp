// Who stands behind a proxy, and how addresses are counted.
//
// Only what a trusted proxy appended to X-Forwarded-For is believed: entries are read from the right, and the
// first that is no trusted proxy itself is the client. What stands left of it was written by the client, or
// by nobody we know.
//
// Plain functions: no socket, no state, no thread.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/ip.hpp"
#include "net/connection_limits.hpp"

namespace mooring::net {

bool is_trusted(const std::vector<ip_network>& proxies, const ip_address& one);

// `forwarded_for`: the header's value; several headers joined by commas, in their order. Entries may carry a
// port
// ("192.0.2.1:80", "[2001:db8::1]:80"). Nothing when an entry that has to be read is no address: then the
// peer itself counts as the client. When all are trusted, the left-most is the client.
std::optional<ip_address> forwarded_client(const std::vector<ip_network>& proxies,
                                           std::string_view forwarded_for);

// As connection_limits counts: an IPv6 address as its /64, loopback not at all.
address_key limit_key_of(const ip_address& one);

} // namespace mooring::net
