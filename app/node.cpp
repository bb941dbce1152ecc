#include "app/node.hpp"

#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "actors/runtime.hpp"
#include "api/service.hpp"
#include "app/metrics.hpp"
#include "base/hash.hpp"
#include "base/ip.hpp"
#include "base/log.hpp"
#include "net/jwt.hpp"
#include "net/server.hpp"
#include "storage/data_folder.hpp"

namespace mooring::app {

namespace {

// A shard with much in its log takes a while to bring its tables up to date.
constexpr std::int64_t ready_timeout_ms = 120'000;

storage::environment_options environment_of(const config::settings& from, const storage::data_folder& folder,
                                            unsigned n) {
  storage::environment_options out;
  out.folder = folder.shard_folder(n);
  out.map_bytes_initial = static_cast<std::uint64_t>(from.data.map_bytes_initial);
  out.map_bytes_max = static_cast<std::uint64_t>(from.data.map_bytes_max);
  out.disk_reserve_bytes = static_cast<std::uint64_t>(from.data.disk_reserve_bytes);
  out.disk_reserve_share = from.data.disk_reserve_share;
  return out;
}

sync::rule_settings rules_of(const config::settings& from) {
  sync::rule_settings out;
  out.idempotency_window_ms = from.sync.idempotency_window_ms;
  out.retention_ms = from.sync.retention_ms;
  out.clock_skew_ms = from.sync.clock_skew_ms;
  out.batch_items_max = static_cast<std::size_t>(from.sync.batch_items_max);
  out.payload_bytes_max = static_cast<std::size_t>(from.sync.payload_bytes_max);
  out.shared.fill(false);
  for (const auto& name : from.sync.shared_domains)
    if (const auto domain = sync::parse_domain(name)) out.shared[static_cast<std::size_t>(*domain)] = true;
  return out;
}

actors::actor_settings actors_of(const config::settings& from) {
  actors::actor_settings out;
  out.push.pushes_per_minute = static_cast<std::int32_t>(from.push.per_minute);
  out.push.battery_saver_ms = from.push.battery_saver_ms;
  out.rules = rules_of(from);
  out.devices_alive_max = static_cast<std::size_t>(from.actors.devices_alive_max);
  out.idle_timeout_ms = from.actors.idle_timeout_ms;
  out.tenant_queue_max = static_cast<std::size_t>(from.actors.tenant_queue_max);
  out.request_timeout_ms = from.actors.request_timeout_ms;
  out.restarts_max = static_cast<std::uint32_t>(from.actors.restarts_max);
  out.restart_period_ms = from.actors.restart_period_ms;
  return out;
}

api::service_options service_of(const config::settings& from, std::string node_id) {
  api::service_options out;
  out.version = MOORING_VERSION;
  out.node_id = std::move(node_id);
  out.introspection = from.graphql.introspection;
  out.limits.depth = static_cast<std::uint32_t>(from.graphql.depth_max);
  out.limits.complexity = static_cast<std::uint32_t>(from.graphql.complexity_max);
  out.limits.aliases = static_cast<std::uint32_t>(from.graphql.aliases_max);
  out.limits.root_fields = static_cast<std::uint32_t>(from.graphql.root_fields_max);
  out.document_bytes_max = static_cast<std::size_t>(from.graphql.document_bytes_max);
  out.documents_cached_max = static_cast<std::size_t>(from.graphql.documents_cached_max);
  out.rules = rules_of(from);
  out.rates.per_user = out.rates.per_tenant = out.rates.per_address = {};
  if (from.limits.enabled) {
    out.rates.per_user = {from.limits.user_per_second, from.limits.user_burst};
    out.rates.per_tenant = {from.limits.tenant_per_second, from.limits.tenant_burst};
    out.rates.per_address = {from.limits.address_per_second, from.limits.address_burst};
  }
  return out;
}

result<net::server_options> server_of(const config::settings& from) {
  auto address = config::split_address(from.network.listen);
  if (!address) return address.failure();
  net::server_options out;
  out.listen = {{address->first == "localhost" ? "127.0.0.1" : address->first, address->second}};
  out.threads = static_cast<unsigned>(from.network.threads);
  out.tls_certificate_file = from.network.tls_certificate;
  out.tls_key_file = from.network.tls_key;
  out.allowed_origins = from.network.allowed_origins;
  for (const auto& proxy : from.network.trusted_proxies)
    if (const auto network = ip_network::parse(proxy))
      out.trusted_proxies.push_back(*network); // validated by config
  out.serve_metrics = from.network.metrics;
  out.connections_max = static_cast<std::size_t>(from.network.connections_max);
  out.connections_per_address_max = static_cast<std::size_t>(from.network.connections_per_address_max);
  out.message_bytes_max = static_cast<std::size_t>(from.network.message_bytes_max);
  out.queued_bytes_max = static_cast<std::size_t>(from.network.queued_bytes_max);
  out.requests_in_flight_max = static_cast<std::size_t>(from.network.in_flight_max);
  out.subscriptions_max = static_cast<std::size_t>(from.network.subscriptions_per_connection);
  out.header_timeout_ms = from.network.header_timeout_ms;
  out.init_timeout_ms = from.network.init_timeout_ms;
  out.message_timeout_ms = from.network.message_timeout_ms;
  out.write_timeout_ms = from.network.write_timeout_ms;
  out.ping_interval_ms = from.network.ping_interval_ms;
  return out;
}

result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return error{error_code::not_found, fmt::format("{}: cannot be read", path)};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

result<std::shared_ptr<const net::jwt_verifier>> verifier_of(const config::settings& from,
                                                             std::string secret) {
  net::jwt_options out;
  out.keys.push_back({"", net::jwt_algorithm::hs256, std::move(secret)});
  for (const auto& key : from.auth.keys) {
    auto pem = read_file(key.file);
    if (!pem) return pem.failure();
    const auto algorithm = net::jwt_algorithm_from(key.algorithm);
    if (!algorithm)
      return error{error_code::bad_user_input, fmt::format("key {}: unknown algorithm", key.kid)};
    out.keys.push_back({key.kid, *algorithm, std::move(*pem)});
  }
  if (!from.auth.audience.empty()) out.audience = from.auth.audience;
  if (!from.auth.issuer.empty()) out.issuer = from.auth.issuer;
  out.skew_ms = std::min<std::int64_t>(from.auth.clock_skew_ms, 60'000);
  return net::jwt_verifier::create(std::move(out));
}

} // namespace

struct node::parts {
  parts(storage::data_folder opened, actors::runtime_options runtime_options,
        api::service_options service_options, std::function<net::net_totals()> network)
      : folder(std::move(opened))
      , runtime(std::move(runtime_options))
      , service(std::move(service_options))
      , status(runtime, service, folder.path(), std::move(network)) {}

  storage::data_folder folder; // first: its lock goes last
  actors::runtime runtime;
  api::service service;
  node_status status;
  std::unique_ptr<net::server> server;
  bool stopped = false;
};

node::node(std::unique_ptr<parts> made)
    : parts_(std::move(made)) {}

node::~node() {
  stop();
}

result<std::unique_ptr<node>> node::start(const config::settings& settings,
                                          std::function<void(const std::string& why)> fatal,
                                          const std::function<bool()>& is_over) {
  storage::data_folder_options where;
  where.folder = settings.data.folder;
  where.shards = static_cast<unsigned>(settings.data.shards);
  auto folder = storage::data_folder::open(where);
  if (!folder) return folder.failure();
  auto secret = folder->secret();
  if (!secret) return secret.failure();
  // The node's name to its clients: stable for a folder, and nobody learns the secret from it.
  const auto node_id = fmt::format("node-{:08x}", static_cast<std::uint32_t>(hash64(*secret, 11)));
  auto verifier = verifier_of(settings, std::move(*secret));
  if (!verifier) return verifier.failure();
  auto network = server_of(settings);
  if (!network) return network.failure();

  actors::runtime_options runtime;
  runtime.settings = actors_of(settings);
  runtime.network_threads = network->threads;
  for (unsigned n = 0; n < folder->shards(); ++n)
    runtime.shards.push_back(environment_of(settings, *folder, n));
  runtime.apply_bytes_max = static_cast<std::uint64_t>(settings.data.apply_bytes_max);
  runtime.apply_age_ms = settings.data.apply_age_ms;
  runtime.fatal = std::move(fatal);

  // The status page asks for the server's totals, and the server is made with the status page: a late answer.
  const auto server_ref = std::make_shared<net::server*>(nullptr);
  auto made = std::make_unique<parts>(
      std::move(*folder), std::move(runtime), service_of(settings, node_id),
      [server_ref] { return *server_ref != nullptr ? (*server_ref)->totals() : net::net_totals{}; });
  if (auto ready = made->runtime.wait_ready(ready_timeout_ms, is_over); !ready) return ready.failure();
  if (std::string why; !made->runtime.is_ready(why)) log::warning("the node serves, but not all: {}", why);
  auto* const all = made.get();
  made->server = std::make_unique<net::server>(
      std::move(*network), std::move(*verifier),
      [all](net::thread_context& thread) { return all->runtime.make_gateway(thread, all->service); },
      &made->status);
  *server_ref = made->server.get();
  if (auto started = made->server->start(); !started) return started.failure();
  return std::unique_ptr<node>(new node(std::move(made)));
}

void node::stop() {
  if (parts_->stopped) return;
  parts_->stopped = true;
  parts_->status.stopping();
  parts_->server->stop();
  parts_->runtime.stop();
}

result<void> node::reload() {
  return parts_->server->reload_certificates();
}

std::uint16_t node::port() const {
  return parts_->server->ports().front();
}

} // namespace mooring::app
