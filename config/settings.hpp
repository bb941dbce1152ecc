// Every knob of a node in one validated struct: defaults, then the TOML file, then the environment, then flags.
//
// The table in settings.cpp is the one place that names a setting: its key (`network.threads`), its variable
// (`MOORING_NETWORK_THREADS`), its bounds and its sentence for people. The example file and the reference in the README
// are printed from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace mooring::config {

// A key that verifies tokens of another issuer.
struct verification_key {
  std::string kid;       // the token header's `kid`
  std::string algorithm; // "RS256" or "ES256": ours, never the token's
  std::string file;      // PEM public key
};

struct settings {
  // What the operator should hear of: variables named MOORING_… that are no settings.
  std::vector<std::string> warnings;

  struct {
    std::string folder = "./mooring-data";
    std::int64_t shards = 1;
    std::int64_t map_bytes_initial = 64ll << 20;
    std::int64_t map_bytes_max = 1ll << 40;
    std::int64_t disk_reserve_bytes = 512ll << 20;
    double disk_reserve_share = 0.05;
    std::int64_t apply_bytes_max = 16ll << 20;
    std::int64_t apply_age_ms = 1'000;
  } data;

  struct {
    std::string listen = "127.0.0.1:8440";
    bool insecure = false;
    std::int64_t threads = 1;
    std::string tls_certificate;
    std::string tls_key;
    std::vector<std::string> allowed_origins;
    std::vector<std::string> trusted_proxies;
    std::int64_t connections_max = 100'000;
    std::int64_t connections_per_address_max = 100'000;
    std::int64_t message_bytes_max = 11ll << 20;
    std::int64_t queued_bytes_max = 4ll << 20;
    std::int64_t in_flight_max = 64;
    std::int64_t subscriptions_per_connection = 32;
    std::int64_t header_timeout_ms = 5'000;
    std::int64_t init_timeout_ms = 3'000;
    std::int64_t message_timeout_ms = 10'000;
    std::int64_t write_timeout_ms = 10'000;
    std::int64_t ping_interval_ms = 30'000;
    bool metrics = true;
  } network;

  struct {
    std::string audience;
    std::string issuer;
    std::int64_t clock_skew_ms = 60'000;
    std::vector<verification_key> keys;
  } auth;

  struct {
    std::int64_t idempotency_window_ms = 24ll * 3600 * 1000;
    std::int64_t retention_ms = 30ll * 24 * 3600 * 1000;
    std::int64_t clock_skew_ms = 5ll * 60 * 1000;
    std::int64_t batch_items_max = 1'000;
    std::int64_t payload_bytes_max = 10ll << 20;
    std::vector<std::string> shared_domains = {"ATTENDANCE", "TASK", "TICKET", "WORK_ORDER"};
  } sync;

  struct {
    std::int64_t per_minute = 10;
    std::int64_t battery_saver_ms = 60'000;
  } push;

  struct {
    std::int64_t depth_max = 12;
    std::int64_t complexity_max = 1'000;
    std::int64_t aliases_max = 30;
    std::int64_t root_fields_max = 10;
    std::int64_t document_bytes_max = 64ll << 10;
    std::int64_t documents_cached_max = 1'024;
    bool introspection = true;
  } graphql;

  struct {
    bool enabled = true;
    double user_per_second = 200;
    double user_burst = 2'000;
    double tenant_per_second = 50'000;
    double tenant_burst = 100'000;
    double address_per_second = 50'000;
    double address_burst = 100'000;
  } limits;

  struct {
    std::int64_t devices_alive_max = 100'000;
    std::int64_t idle_timeout_ms = 60'000;
    std::int64_t tenant_queue_max = 10'000;
    std::int64_t request_timeout_ms = 30'000;
    std::int64_t restarts_max = 10;
    std::int64_t restart_period_ms = 60'000;
  } actors;

  struct {
    std::string level = "info";
    bool json = false;
    std::string file;
  } log;
};

// Environment as pairs NAME=value; only names that start with MOORING_ count. One of those that is no setting is not used,
// and is one of the warnings: whatever started the node may have variables of its own.
using environment_variables = std::vector<std::pair<std::string, std::string>>;
environment_variables process_environment();

// One setting given by hand: {"network.listen", "127.0.0.1:9000"}.
using overrides = std::vector<std::pair<std::string, std::string>>;

// Reads `file` (empty: none), then the environment, then `given`, and validates. A failure says which setting, where it
// came from, what was wrong and what would be right (bad_user_input; not_found when the file does not exist).
result<settings> load(const std::filesystem::path& file, const environment_variables& environment,
                      const overrides& given);

// Listening beyond loopback needs TLS or `insecure`; certificate and key go together; …
result<void> validate(const settings& values);

// {"127.0.0.1", 8440} of "127.0.0.1:8440" or "[::1]:8440"; port 0 lets the system choose.
result<std::pair<std::string, std::uint16_t>> split_address(std::string_view text);
bool is_loopback(std::string_view address);

// "1h", "90s", "250ms", "30d", "15m"; "10MiB", "64KiB", "1GiB", plain numbers (ms, bytes).
result<std::int64_t> parse_duration_ms(std::string_view text);
result<std::int64_t> parse_bytes(std::string_view text);

// The commented example file with every setting at its default (docs/mooring.example.toml), and the README's table.
std::string example_toml();
std::string reference_table();

} // namespace mooring::config
