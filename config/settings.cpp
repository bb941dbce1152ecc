#include "config/settings.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <span>
#include <sstream>
#include <variant>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/ip.hpp"
#include "config/nearest.hpp"

extern "C" char** environ; // NOLINT: POSIX gives it no header in C++

namespace mooring::config {

namespace {

enum class unit { none, ms, bytes };

// One row of the table of settings.
struct setting {
  std::string_view key;
  std::variant<std::string*, bool*, std::int64_t*, double*, std::vector<std::string>*> at;
  std::string_view about;
  double least = 0;
  double most = 9e15;
  unit in = unit::none;
};

std::vector<setting> table(settings& s) {
  return {
      {"data.folder", &s.data.folder, "Where everything is kept. Made with mode 0700 when it is absent."},
      {"data.shards", &s.data.shards,
       "Threads that write, each with its own LMDB file. Fixed when the folder is made.", 1, 64},
      {"data.map_bytes_initial", &s.data.map_bytes_initial,
       "LMDB map of a shard at first; it grows by itself.", 1 << 20, 9e15, unit::bytes},
      {"data.map_bytes_max", &s.data.map_bytes_max, "LMDB map of a shard at most.", 1 << 20, 9e15,
       unit::bytes},
      {"data.disk_reserve_bytes", &s.data.disk_reserve_bytes,
       "Free disk that is never used: below it uploads get STORAGE_FULL.", 0, 9e15, unit::bytes},
      {"data.disk_reserve_share", &s.data.disk_reserve_share,
       "The same as a share of the disk; the larger of both counts.", 0, 0.9},
      {"data.apply_bytes_max", &s.data.apply_bytes_max,
       "Committed writes that may wait in the log before they go to the tables.", 4096, 1 << 30, unit::bytes},
      {"data.apply_age_ms", &s.data.apply_age_ms, "How long they may wait.", 0, 60'000, unit::ms},

      {"network.listen", &s.network.listen, "Address and port; port 0 lets the system choose."},
      {"network.insecure", &s.network.insecure, "Allow to listen beyond loopback without TLS."},
      {"network.threads", &s.network.threads, "Threads that serve sockets.", 1, 256},
      {"network.tls_certificate", &s.network.tls_certificate, "PEM chain. Read again on SIGHUP."},
      {"network.tls_key", &s.network.tls_key, "PEM private key. Read again on SIGHUP."},
      {"network.allowed_origins", &s.network.allowed_origins,
       "Origins of web pages that may connect, for example https://app.example.org. Apps that send no Origin "
       "always may."},
      {"network.trusted_proxies", &s.network.trusted_proxies,
       "Proxies by address or network, for example 10.0.0.0/8. Behind them, limits per address count the "
       "client that "
       "X-Forwarded-For names: its right-most entry that is no such proxy."},
      {"network.connections_max", &s.network.connections_max, "Open connections in all.", 1, 10'000'000},
      {"network.connections_per_address_max", &s.network.connections_per_address_max,
       "Open connections of one address.", 1, 10'000'000},
      {"network.message_bytes_max", &s.network.message_bytes_max,
       "A larger WebSocket message closes with 1009, a larger body is 413.", 1024, 1 << 30, unit::bytes},
      {"network.queued_bytes_max", &s.network.queued_bytes_max,
       "Answers and events of one connection that may wait to be read. From there on nothing more is read "
       "from it, "
       "until a quarter is left.",
       4096, 1 << 30, unit::bytes},
      {"network.in_flight_max", &s.network.in_flight_max,
       "Requests of one connection at a time; more wait in the socket.", 1, 10'000},
      {"network.subscriptions_per_connection", &s.network.subscriptions_per_connection,
       "Subscriptions that one WebSocket may hold; a further one is refused with RATE_LIMITED.", 1, 10'000},
      {"network.header_timeout_ms", &s.network.header_timeout_ms, "For a request's headers to arrive.", 100,
       600'000, unit::ms},
      {"network.init_timeout_ms", &s.network.init_timeout_ms, "For connection_init to arrive; then 4408.",
       100, 600'000, unit::ms},
      {"network.message_timeout_ms", &s.network.message_timeout_ms, "For a message or body to arrive whole.",
       100, 600'000, unit::ms},
      {"network.write_timeout_ms", &s.network.write_timeout_ms, "For a peer to take what is sent to it.", 100,
       600'000, unit::ms},
      {"network.ping_interval_ms", &s.network.ping_interval_ms, "Silence after which a connection is pinged.",
       1'000, 3'600'000, unit::ms},
      {"network.metrics", &s.network.metrics, "Serve /metrics."},

      {"auth.audience", &s.auth.audience, "The token's `aud` must hold this; empty: not checked."},
      {"auth.issuer", &s.auth.issuer, "The token's `iss` must be this; empty: not checked."},
      {"auth.clock_skew_ms", &s.auth.clock_skew_ms, "How far the issuer's clock may be off.", 0, 600'000,
       unit::ms},

      {"sync.idempotency_window_ms", &s.sync.idempotency_window_ms,
       "How long keys and operation ids are remembered.", 60'000, 9e12, unit::ms},
      {"sync.retention_ms", &s.sync.retention_ms,
       "How long tombstones, closed conflicts and notifications are kept.", 60'000, 9e12, unit::ms},
      {"sync.clock_skew_ms", &s.sync.clock_skew_ms,
       "modifiedAt further ahead than this counts as the server's clock.", 0, 86'400'000, unit::ms},
      {"sync.batch_items_max", &s.sync.batch_items_max, "Items of one upload.", 1, 100'000},
      {"sync.payload_bytes_max", &s.sync.payload_bytes_max, "Bytes of one upload.", 1024, 1 << 30,
       unit::bytes},
      {"sync.shared_domains", &s.sync.shared_domains, "Domains whose entities the whole tenant sees."},

      {"push.per_minute", &s.push.per_minute,
       "Pushes of one user in a minute; beyond, NORMAL ones wait and leave together. 0: no limit.", 0,
       1'000'000},
      {"push.battery_saver_ms", &s.push.battery_saver_ms, "How long battery saver holds NORMAL pushes back.",
       1'000, 86'400'000, unit::ms},

      {"graphql.depth_max", &s.graphql.depth_max, "Nesting of a query.", 3, 100},
      {"graphql.complexity_max", &s.graphql.complexity_max, "Fields of a query.", 10, 1'000'000},
      {"graphql.aliases_max", &s.graphql.aliases_max, "Aliases of a query.", 0, 10'000},
      {"graphql.root_fields_max", &s.graphql.root_fields_max, "Root fields of a query.", 1, 1'000},
      {"graphql.document_bytes_max", &s.graphql.document_bytes_max, "Bytes of a query's text.", 1024, 1 << 24,
       unit::bytes},
      {"graphql.documents_cached_max", &s.graphql.documents_cached_max, "Prepared documents kept.", 1,
       1'000'000},
      {"graphql.introspection", &s.graphql.introspection, "Answer introspection queries."},

      {"limits.enabled", &s.limits.enabled,
       "Rate limits; costs are those of the fields (syncBatch 5, a query field 1, …)."},
      {"limits.user_per_second", &s.limits.user_per_second,
       "Cost that one user may spend a second, over time.", 0.001, 1e9},
      {"limits.user_burst", &s.limits.user_burst, "… and at once.", 5, 1e9},
      {"limits.tenant_per_second", &s.limits.tenant_per_second, "The same for a tenant.", 0.001, 1e9},
      {"limits.tenant_burst", &s.limits.tenant_burst, "… and at once.", 5, 1e9},
      {"limits.address_per_second", &s.limits.address_per_second, "The same for a network address.", 0.001,
       1e9},
      {"limits.address_burst", &s.limits.address_burst, "… and at once.", 5, 1e9},

      {"actors.devices_alive_max", &s.actors.devices_alive_max,
       "Device actors kept in memory; beyond, idle ones stop.", 100, 100'000'000},
      {"actors.idle_timeout_ms", &s.actors.idle_timeout_ms,
       "Idle time after which device and tenant actors stop.", 1'000, 86'400'000, unit::ms},
      {"actors.tenant_queue_max", &s.actors.tenant_queue_max,
       "Commands of one tenant that may wait for their commit; beyond, UNAVAILABLE.", 1, 10'000'000},
      {"actors.request_timeout_ms", &s.actors.request_timeout_ms,
       "A request without an answer by then gets UNAVAILABLE.", 100, 600'000, unit::ms},
      {"actors.restarts_max", &s.actors.restarts_max,
       "Restarts of one actor within the period before its supervisor fails.", 0, 1'000'000},
      {"actors.restart_period_ms", &s.actors.restart_period_ms, "The period that restarts are counted in.",
       100, 86'400'000, unit::ms},

      {"log.level", &s.log.level, "debug, info, warning, error or off."},
      {"log.json", &s.log.json, "One JSON object a line."},
      {"log.file", &s.log.file, "A file; empty: standard error."},
  };
}

std::string variable_of(std::string_view key) {
  std::string name = "MOORING_";
  for (const char c : key)
    name.push_back(c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  return name;
}

// The nearest known key, for "did you mean".
std::string nearest_key(std::string_view key, settings& s) {
  std::vector<std::string> known;
  for (const auto& row : table(s)) known.emplace_back(row.key);
  return nearest(key, known);
}

error wrong(std::string_view where, std::string_view key, std::string_view what) {
  return {error_code::bad_user_input, fmt::format("{}: {}: {}", where, key, what), std::string(key)};
}

result<void> in_bounds(const setting& row, double value, std::string_view where) {
  if (value < row.least || value > row.most || std::isnan(value))
    return wrong(where, row.key,
                 fmt::format("{} is out of bounds; it goes from {} to {}", value, row.least, row.most));
  return {};
}

// A setting given as text: environment and flags.
result<void> set_from_text(const setting& row, const std::string& text, std::string_view where) {
  if (auto* const* at = std::get_if<std::string*>(&row.at)) {
    **at = text;
  } else if (auto* const* at_bool = std::get_if<bool*>(&row.at)) {
    if (text != "true" && text != "false") return wrong(where, row.key, "is true or false");
    **at_bool = text == "true";
  } else if (auto* const* at_list = std::get_if<std::vector<std::string>*>(&row.at)) {
    (*at_list)->clear();
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) (*at_list)->push_back(part);
  } else if (auto* const* at_double = std::get_if<double*>(&row.at)) {
    double value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc{} || end != text.data() + text.size())
      return wrong(where, row.key, "is no number");
    if (auto bounded = in_bounds(row, value, where); !bounded) return bounded;
    **at_double = value;
  } else {
    auto* const number = std::get<std::int64_t*>(row.at);
    result<std::int64_t> value = row.in == unit::ms ? parse_duration_ms(text) : parse_bytes(text);
    if (!value) return wrong(where, row.key, value.failure().message);
    if (auto bounded = in_bounds(row, static_cast<double>(*value), where); !bounded) return bounded;
    *number = *value;
  }
  return {};
}

result<void> set_from_toml(const setting& row, const toml::node& node, std::string_view where) {
  if (const auto text = node.value_exact<std::string>();
      text && !std::holds_alternative<std::vector<std::string>*>(row.at) &&
      !std::holds_alternative<bool*>(row.at))
    return set_from_text(row, *text, where);
  if (auto* const* at = std::get_if<bool*>(&row.at)) {
    const auto value = node.value_exact<bool>();
    if (!value) return wrong(where, row.key, "is true or false");
    **at = *value;
    return {};
  }
  if (auto* const* at = std::get_if<std::vector<std::string>*>(&row.at)) {
    const auto* const array = node.as_array();
    if (array == nullptr) return wrong(where, row.key, "is a list of texts");
    (*at)->clear();
    for (const auto& element : *array) {
      const auto text = element.value_exact<std::string>();
      if (!text) return wrong(where, row.key, "is a list of texts");
      (*at)->push_back(*text);
    }
    return {};
  }
  if (auto* const* at = std::get_if<double*>(&row.at)) {
    const auto value = node.value<double>();
    if (!value) return wrong(where, row.key, "is a number");
    if (auto bounded = in_bounds(row, *value, where); !bounded) return bounded;
    **at = *value;
    return {};
  }
  if (auto* const* at = std::get_if<std::int64_t*>(&row.at)) {
    const auto value = node.value_exact<std::int64_t>();
    if (!value) return wrong(where, row.key, "is a whole number");
    if (auto bounded = in_bounds(row, static_cast<double>(*value), where); !bounded) return bounded;
    **at = *value;
    return {};
  }
  return wrong(where, row.key, "is a text");
}

result<void> read_keys(const toml::node& node, std::string_view where, settings& out) {
  const auto* const array = node.as_array();
  if (array == nullptr) return wrong(where, "auth.keys", "is a list of tables: [[auth.keys]]");
  for (const auto& element : *array) {
    const auto* const entry = element.as_table();
    if (entry == nullptr) return wrong(where, "auth.keys", "is a list of tables: [[auth.keys]]");
    verification_key key;
    for (const auto& [name, value] : *entry) {
      const auto text = value.value_exact<std::string>();
      if (!text) return wrong(where, "auth.keys", "kid, algorithm and file are texts");
      if (name == "kid")
        key.kid = *text;
      else if (name == "algorithm")
        key.algorithm = *text;
      else if (name == "file")
        key.file = *text;
      else
        return wrong(where, "auth.keys",
                     fmt::format("has no '{}'; it has kid, algorithm and file", name.str()));
    }
    out.auth.keys.push_back(std::move(key));
  }
  return {};
}

result<void> read_table(const toml::table& from, const std::string& prefix, std::string_view where,
                        settings& out) {
  const auto rows = table(out);
  for (const auto& [name, node] : from) {
    const std::string key = prefix + std::string(name.str());
    if (key == "auth.keys") {
      if (auto read = read_keys(node, where, out); !read) return read;
      continue;
    }
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const setting& one) { return one.key == key; });
    if (row != rows.end()) {
      if (auto set = set_from_toml(*row, node, where); !set) return set;
      continue;
    }
    const bool is_section = std::any_of(rows.begin(), rows.end(),
                                        [&](const setting& one) { return one.key.starts_with(key + "."); });
    if (is_section && node.is_table()) {
      if (auto read = read_table(*node.as_table(), key + ".", where, out); !read) return read;
      continue;
    }
    return wrong(where, key, fmt::format("is no setting; did you mean {}?", nearest_key(key, out)));
  }
  return {};
}

} // namespace

namespace {

// Read by commands, not a setting.
constexpr std::string_view token_variable = "MOORING_TOKEN";

// About the key that a variable's name stands for: MOORING_NETWORK_LISTEN is network.listen.
std::string key_of_variable(std::string_view name) {
  std::string out;
  for (const char c : name.substr(std::min<std::size_t>(name.size(), 8)))
    out.push_back(c == '_' && out.find('.') == std::string::npos
                      ? '.'
                      : static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  return out;
}

} // namespace

environment_variables process_environment() {
  environment_variables out;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const auto equals = entry.find('=');
    if (equals != std::string_view::npos && entry.starts_with("MOORING_"))
      out.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

result<settings> load(const std::filesystem::path& file, const environment_variables& environment,
                      const overrides& given) {
  settings out;
  if (!file.empty()) {
    std::ifstream in(file);
    if (!in) return error{error_code::not_found, fmt::format("{}: cannot be read", file.string())};
    try {
      const auto parsed = toml::parse(in, file.string());
      if (auto read = read_table(parsed, "", file.string(), out); !read) return read.failure();
    } catch (const toml::parse_error& failed) {
      return error{error_code::bad_user_input,
                   fmt::format("{}:{}: {}", file.string(), failed.source().begin.line, failed.description())};
    }
  }
  const auto rows = table(out);
  for (const auto& [name, value] : environment) {
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const setting& one) { return variable_of(one.key) == name; });
    if (row == rows.end()) {
      // Whoever runs the node may export what is not meant for it; a misspelt setting is worth a word.
      if (name != token_variable)
        out.warnings.push_back(fmt::format("environment: {} is no setting; the nearest is {}", name,
                                           variable_of(nearest_key(key_of_variable(name), out))));
      continue;
    }
    if (auto set = set_from_text(*row, value, "environment"); !set) return set.failure();
  }
  for (const auto& [key, value] : given) {
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const setting& one) { return one.key == key; });
    if (row == rows.end())
      return wrong("command line", key,
                   fmt::format("is no setting; did you mean {}?", nearest_key(key, out)));
    if (auto set = set_from_text(*row, value, "command line"); !set) return set.failure();
  }
  if (auto valid = validate(out); !valid) return valid.failure();
  return out;
}

// As browsers send it (RFC 6454): scheme, host, and a port that is not the scheme's own.
static bool is_origin(std::string_view text) {
  if (text == "*" || text == "null") return true;
  const auto end = text.find("://");
  if (end == std::string_view::npos || end == 0) return false;
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
  };
  const auto scheme = text.substr(0, end);
  auto rest = text.substr(end + 3);
  if (rest.starts_with('[')) { // an IPv6 address
    const auto closed = rest.find(']');
    if (closed == std::string_view::npos || !ip_address::parse(rest.substr(1, closed - 1))) return false;
    rest.remove_prefix(closed + 1);
    if (rest.empty()) return true;
  } else if (rest.empty() || rest.starts_with(':')) {
    return false;
  }
  const auto host = rest.substr(0, rest.find(':'));
  const auto port = rest.substr(host.size());
  return std::all_of(scheme.begin(), scheme.end(), [&](char c) { return is_plain(c) || c == '+'; }) &&
         std::all_of(host.begin(), host.end(), is_plain) &&
         (port.empty() ||
          (port.size() > 1 && port.size() <= 6 && std::all_of(port.begin() + 1, port.end(), [](char c) {
             return std::isdigit(static_cast<unsigned char>(c)) != 0;
           })));
}

result<void> validate(const settings& values) {
  const auto address = split_address(values.network.listen);
  if (!address) return address.failure();
  const bool tls = !values.network.tls_certificate.empty();
  if (tls != !values.network.tls_key.empty())
    return wrong("settings", "network.tls_certificate", "certificate and key go together");
  if (!tls && !values.network.insecure && !is_loopback(address->first))
    return wrong(
        "settings", "network.listen",
        fmt::format("{} is reachable from other machines: give a certificate and key, or say --insecure when "
                    "something in front of the node does TLS",
                    address->first));
  for (const auto& key : values.auth.keys) {
    if (key.kid.empty()) return wrong("settings", "auth.keys", "each key needs a kid");
    if (key.algorithm != "RS256" && key.algorithm != "ES256")
      return wrong("settings", "auth.keys",
                   fmt::format("key '{}': the algorithm is RS256 or ES256", key.kid));
    if (key.file.empty())
      return wrong("settings", "auth.keys", fmt::format("key '{}': needs a file", key.kid));
  }
  static constexpr std::string_view domains[] = {
      "VOICE", "BEHAVIORAL", "SESSION", "METRICS", "JOURNAL", "ATTENDANCE", "TASK", "TICKET", "WORK_ORDER"};
  for (const auto& name : values.sync.shared_domains)
    if (std::find(std::begin(domains), std::end(domains), name) == std::end(domains))
      return wrong("settings", "sync.shared_domains", fmt::format("'{}' is no domain", name));
  static constexpr std::string_view levels[] = {"debug", "info", "warning", "error", "off"};
  if (std::find(std::begin(levels), std::end(levels), values.log.level) == std::end(levels))
    return wrong("settings", "log.level", "is debug, info, warning, error or off");
  for (const auto& origin : values.network.allowed_origins)
    if (!is_origin(origin))
      return wrong(
          "settings", "network.allowed_origins",
          fmt::format("'{}' is no origin; write https://app.example.org, with the port when it is not the "
                      "usual one, and nothing behind it; or * for all",
                      origin));
  for (const auto& proxy : values.network.trusted_proxies)
    if (!ip_network::parse(proxy))
      return wrong(
          "settings", "network.trusted_proxies",
          fmt::format("'{}' is no address and no network; write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32",
                      proxy));
  if (values.data.map_bytes_initial > values.data.map_bytes_max)
    return wrong("settings", "data.map_bytes_initial", "is larger than data.map_bytes_max");
  if (values.sync.payload_bytes_max > values.network.message_bytes_max)
    return wrong("settings", "sync.payload_bytes_max",
                 "is larger than network.message_bytes_max, which would hide it");
  return {};
}

result<std::pair<std::string, std::uint16_t>> split_address(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto bad = [&](std::string_view why) {
    return wrong("settings", "network.listen",
                 fmt::format("'{}' {}; write ADDRESS:PORT, for example 127.0.0.1:8440", text, why));
  };
  if (colon == std::string_view::npos) return bad("has no port");
  auto host = text.substr(0, colon);
  const auto port_text = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, failed] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (failed != std::errc{} || end != port_text.data() + port_text.size() || port > 65535)
    return bad("has no valid port");
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return bad("needs brackets around an IPv6 address");
  if (host.empty()) return bad("has no address");
  return std::pair{std::string(host), static_cast<std::uint16_t>(port)};
}

bool is_loopback(std::string_view address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

namespace {

struct suffix {
  std::string_view name;
  std::int64_t factor;
};

result<std::int64_t> with_suffix(std::string_view text, std::span<const suffix> known,
                                 std::string_view examples) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (failed == std::errc{} && value >= 0)
    for (const auto& one : known)
      if (one.name == rest && value <= INT64_MAX / one.factor) return value * one.factor;
  return error{error_code::bad_user_input, fmt::format("'{}' is not understood; write {}", text, examples)};
}

} // namespace

result<std::int64_t> parse_duration_ms(std::string_view text) {
  static constexpr suffix known[] = {{"", 1},       {"ms", 1},        {"s", 1'000},
                                     {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  return with_suffix(text, known, "a duration such as 250ms, 30s, 15m, 1h or 30d");
}

result<std::int64_t> parse_bytes(std::string_view text) {
  static constexpr suffix known[] = {{"", 1},          {"B", 1},         {"KiB", 1 << 10},
                                     {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1ll << 40}};
  return with_suffix(text, known, "a number, or bytes such as 64KiB, 10MiB or 1GiB");
}

namespace {

std::string shown(std::int64_t value, unit in) {
  const auto fits = [&](std::int64_t factor) { return value != 0 && value % factor == 0; };
  if (in == unit::ms) {
    if (fits(86'400'000)) return fmt::format("\"{}d\"", value / 86'400'000);
    if (fits(3'600'000)) return fmt::format("\"{}h\"", value / 3'600'000);
    if (fits(60'000)) return fmt::format("\"{}m\"", value / 60'000);
    if (fits(1'000)) return fmt::format("\"{}s\"", value / 1'000);
    return fmt::format("\"{}ms\"", value);
  }
  if (in == unit::bytes) {
    if (fits(1ll << 40)) return fmt::format("\"{}TiB\"", value >> 40);
    if (fits(1 << 30)) return fmt::format("\"{}GiB\"", value >> 30);
    if (fits(1 << 20)) return fmt::format("\"{}MiB\"", value >> 20);
    if (fits(1 << 10)) return fmt::format("\"{}KiB\"", value >> 10);
  }
  return fmt::format("{}", value);
}

std::string shown(const setting& row) {
  if (auto* const* at = std::get_if<std::string*>(&row.at)) return fmt::format("\"{}\"", **at);
  if (auto* const* at = std::get_if<bool*>(&row.at)) return **at ? "true" : "false";
  if (auto* const* at = std::get_if<double*>(&row.at)) return fmt::format("{}", **at);
  if (auto* const* at = std::get_if<std::int64_t*>(&row.at)) return shown(**at, row.in);
  std::string out = "[";
  for (const auto& element : *std::get<std::vector<std::string>*>(row.at))
    out += fmt::format("{}\"{}\"", out.size() > 1 ? ", " : "", element);
  return out + "]";
}

} // namespace

std::string example_toml() {
  settings defaults;
  std::string out =
      "# Every setting of a Mooring node at its default. Uncomment what you change.\n"
      "# The same name works as an environment variable: network.listen is MOORING_NETWORK_LISTEN.\n";
  std::string_view section;
  for (const auto& row : table(defaults)) {
    const auto dot = row.key.find('.');
    if (row.key.substr(0, dot) != section) {
      section = row.key.substr(0, dot);
      out += fmt::format("\n[{}]\n", section);
    }
    out += fmt::format("# {}\n# {} = {}\n", row.about, row.key.substr(dot + 1), shown(row));
  }
  out +=
      "\n# Tokens of another issuer, verified by a public key. The algorithm is the one given here.\n"
      "# [[auth.keys]]\n# kid = \"2026-01\"\n# algorithm = \"ES256\"\n# file = \"/etc/mooring/issuer.pem\"\n";
  return out;
}

std::string reference_table() {
  settings defaults;
  std::string out = "| setting | default | what it is |\n|---|---|---|\n";
  for (const auto& row : table(defaults))
    out += fmt::format("| `{}` | `{}` | {} |\n", row.key, shown(row), row.about);
  return out;
}

} // namespace mooring::config
