#include "app/metrics.hpp"

#include <limits>
#include <utility>

#include <fmt/format.h>
#include <malloc.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "sync/model.hpp"

namespace mooring::app {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

using labels = std::vector<std::pair<std::string, std::string>>;

// Collects families in the order of their first sample.
class page {
 public:
  void counter(const std::string& name, const char* help, double value, const labels& with = {}) {
    sample(name, help, MetricType::Counter, with).counter.value = value;
  }
  void gauge(const std::string& name, const char* help, double value, const labels& with = {}) {
    sample(name, help, MetricType::Gauge, with).gauge.value = value;
  }
  // `counts` holds what fell into each bucket, with the bucket's upper bound.
  void histogram(const std::string& name, const char* help,
                 const std::vector<std::pair<double, std::uint64_t>>& counts, double sum,
                 const labels& with = {}) {
    auto& to = sample(name, help, MetricType::Histogram, with).histogram;
    std::uint64_t total = 0;
    for (const auto& [bound, count] : counts) {
      total += count;
      ClientMetric::Bucket bucket;
      bucket.cumulative_count = total;
      bucket.upper_bound = bound;
      to.bucket.push_back(bucket);
    }
    to.sample_count = total;
    to.sample_sum = sum;
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  ClientMetric& sample(const std::string& name, const char* help, MetricType type, const labels& with) {
    if (families_.empty() || families_.back().name != name) {
      MetricFamily family;
      family.name = name;
      family.help = help;
      family.type = type;
      families_.push_back(std::move(family));
    }
    auto& metric = families_.back().metric.emplace_back();
    for (const auto& [label, value] : with) {
      ClientMetric::Label one;
      one.name = label;
      one.value = value;
      metric.label.push_back(std::move(one));
    }
    return metric;
  }
  std::vector<MetricFamily> families_;
};

void write_requests(page& to, const api::service& service) {
  for (const auto& one : service.outcomes()) {
    to.counter("mooring_fields_total", "Root fields resolved, by outcome.",
               static_cast<double>(one->succeeded), {{"field", one->name}, {"outcome", "success"}});
    to.counter("mooring_fields_total", "Root fields resolved, by outcome.", static_cast<double>(one->failed),
               {{"field", one->name}, {"outcome", "error"}});
  }
  for (const auto& one : service.outcomes()) {
    std::vector<std::pair<double, std::uint64_t>> counts;
    for (std::size_t i = 0; i < one->latency.size(); ++i)
      counts.emplace_back(i < one->bounds_us.size() ? static_cast<double>(one->bounds_us[i]) / 1e6
                                                    : std::numeric_limits<double>::infinity(),
                          one->latency[i]);
    to.histogram("mooring_field_seconds", "From a request's arrival to its field's answer.", counts,
                 static_cast<double>(one->latency_sum_us) / 1e6, {{"field", one->name}});
  }
  for (std::size_t i = 0; i < error_code_count; ++i) {
    const auto code = static_cast<error_code>(i);
    if (code == error_code::validation_error) continue; // an item's, never a request's
    to.counter("mooring_errors_total", "Errors of fields, and of requests refused before execution, by code.",
               static_cast<double>(service.errors(code)), {{"code", std::string(to_string(code))}});
  }
  to.counter("mooring_rate_limited_total", "Requests over a rate limit.",
             static_cast<double>(service.rate_limited()));
  const auto engine = service.engine().counters();
  to.counter("mooring_documents_refused_total", "Documents that did not parse, validate or fit the limits.",
             static_cast<double>(engine.documents_refused));
  to.counter("mooring_prepared_hits_total", "Requests whose document was prepared already.",
             static_cast<double>(engine.prepared_hits));
  to.counter("mooring_prepared_misses_total", "Requests whose document had to be prepared.",
             static_cast<double>(engine.prepared_misses));
  to.gauge("mooring_prepared_documents", "Prepared documents kept.",
           static_cast<double>(engine.prepared_documents));
}

void write_sync(page& to, const actors::actor_counters& from) {
  to.counter("mooring_commands_total", "Commands decided.", static_cast<double>(from.commands));
  to.counter("mooring_replays_total", "Uploads answered from their stored answer.",
             static_cast<double>(from.replays));
  to.counter("mooring_items_total", "Uploaded items, by outcome.", static_cast<double>(from.items_synced),
             {{"outcome", "synced"}});
  to.counter("mooring_items_total", "Uploaded items, by outcome.", static_cast<double>(from.items_failed),
             {{"outcome", "failed"}});
  for (std::size_t d = 0; d < from.conflicts.size(); ++d)
    for (std::size_t s = 0; s < from.conflicts[d].size(); ++s)
      if (const std::uint64_t count = from.conflicts[d][s]; count > 0)
        to.counter("mooring_conflicts_total", "Conflicts found, by domain and the strategy that decided.",
                   static_cast<double>(count),
                   {{"domain", std::string(sync::to_string(static_cast<sync::domain>(d)))},
                    {"strategy", std::string(sync::to_string(static_cast<sync::strategy>(s)))}});
  to.counter("mooring_queries_total", "Queries run.", static_cast<double>(from.queries));
  to.counter("mooring_queries_near_head_total",
             "Of these: answered by their tenants, before the tables had it all.",
             static_cast<double>(from.queries_near_head));
  to.counter("mooring_timeouts_total", "Requests without an answer in time.",
             static_cast<double>(from.timeouts));
  to.counter("mooring_swept_rows_total", "Rows removed because they expired.",
             static_cast<double>(from.swept_rows));
  to.counter("mooring_events_written_total",
             "Events written as JSON, each for all subscriptions that select the same of it.",
             static_cast<double>(from.events_written));
  to.gauge("mooring_commands_waiting", "Commands decided and not yet durable.",
           static_cast<double>(from.commands_waiting));
  to.gauge("mooring_answers_held_bytes", "Answers to queries that wait until what they show is durable.",
           static_cast<double>(from.answers_held_bytes));
}

void write_actors(page& to, const actors::census& who) {
  for (std::size_t kind = 0; kind < actors::actor_kinds; ++kind)
    to.gauge("mooring_actors_alive", "Actors alive, by kind.",
             static_cast<double>(who.alive(static_cast<actors::actor_kind>(kind))),
             {{"kind", std::string(actors::to_string(static_cast<actors::actor_kind>(kind)))}});
  for (std::size_t kind = 0; kind < actors::actor_kinds; ++kind)
    to.counter("mooring_actor_restarts_total", "Actors that failed and were started again, by kind.",
               static_cast<double>(who.restarts(static_cast<actors::actor_kind>(kind))),
               {{"kind", std::string(actors::to_string(static_cast<actors::actor_kind>(kind)))}});
}

void write_shards(page& to, const std::vector<actors::shard_report>& shards) {
  const auto each = [&](const std::string& name, const char* help, bool counts, auto value) {
    for (std::size_t n = 0; n < shards.size(); ++n) {
      const labels with{{"shard", std::to_string(n)}};
      if (counts)
        to.counter(name, help, static_cast<double>(value(shards[n])), with);
      else
        to.gauge(name, help, static_cast<double>(value(shards[n])), with);
    }
  };
  using report = actors::shard_report;
  each("mooring_shard_leading", "1 while the shard takes uploads.", false,
       [](const report& x) { return x.leading ? 1 : 0; });
  each("mooring_commits_total", "Durable transactions.", true, [](const report& x) { return x.commits; });
  each("mooring_commit_bytes_total", "Bytes in them.", true, [](const report& x) { return x.commit_bytes; });
  each("mooring_log_entries_total", "Entries appended to the log.", true,
       [](const report& x) { return x.entries; });
  each("mooring_rows_applied_total", "Rows written to the tables.", true,
       [](const report& x) { return x.rows_applied; });
  each("mooring_applies_total", "Transactions that wrote rows to the tables.", true,
       [](const report& x) { return x.applies; });
  each("mooring_shard_reloads_total", "Times the shard was loaded anew after a storage error.", true,
       [](const report& x) { return x.reloads; });
  each("mooring_storage_full_total", "Groups refused because the disk's reserve was reached.", true,
       [](const report& x) { return x.storage_full; });
  each("mooring_log_bytes", "Size of the log.", false, [](const report& x) { return x.log_bytes; });
  each("mooring_unapplied_bytes", "Committed, not yet in the tables.", false,
       [](const report& x) { return x.pending_bytes; });
  each("mooring_lmdb_map_bytes", "LMDB's map.", false, [](const report& x) { return x.files.map_bytes; });
  each("mooring_lmdb_file_bytes", "LMDB's file.", false, [](const report& x) { return x.files.file_bytes; });
  each("mooring_lmdb_free_pages", "Pages of it that can be used again.", false,
       [](const report& x) { return x.files.free_pages; });
  each("mooring_lmdb_readers", "Read transactions open.", false,
       [](const report& x) { return x.files.readers; });
  each("mooring_lmdb_readers_overdue", "Read transactions open for too long.", false,
       [](const report& x) { return x.files.readers_overdue; });
  each("mooring_disk_free_bytes", "Free space of the shard's disk.", false,
       [](const report& x) { return x.files.disk_free_bytes; });
  for (std::size_t n = 0; n < shards.size(); ++n)
    to.histogram("mooring_commit_seconds", "Time of a durable transaction, flush included.",
                 shards[n].commit_seconds, shards[n].commit_seconds_sum, {{"shard", std::to_string(n)}});
  for (std::size_t n = 0; n < shards.size(); ++n)
    to.histogram("mooring_group_batches", "Batches that one log entry held.", shards[n].group_sizes,
                 static_cast<double>(shards[n].group_sum), {{"shard", std::to_string(n)}});
}

void write_network(page& to, const net::net_totals& from) {
  const auto number = [](std::uint64_t value) { return static_cast<double>(value); };
  to.gauge("mooring_connections", "Open connections, by kind.", number(from.http_connections),
           {{"kind", "http"}});
  to.gauge("mooring_connections", "Open connections, by kind.", number(from.websocket_connections),
           {{"kind", "websocket"}});
  to.gauge("mooring_tls_connections", "Of these, with TLS.", number(from.tls_connections));
  to.gauge("mooring_requests_in_flight", "Requests given to the actors and not answered.",
           number(from.requests_in_flight));
  to.gauge("mooring_subscriptions", "Subscriptions open.", number(from.subscriptions));
  to.gauge("mooring_queued_bytes", "Answers and events that wait for peers to read them.",
           number(from.queued_bytes));
  to.counter("mooring_events_sent_total", "Events sent to subscriptions.", number(from.events_sent));
  to.counter("mooring_connections_accepted_total", "Connections accepted.",
             number(from.connections_accepted));
  const std::pair<const char*, std::uint64_t> refusals[] = {
      {"connection_limit", from.refused_connections_limit},
      {"address_limit", from.refused_address_limit},
      {"handshake", from.refused_handshakes},
      {"origin", from.refused_origins},
      {"token", from.refused_tokens}};
  for (const auto& [why, count] : refusals)
    to.counter("mooring_refused_total", "Connections and tokens refused, by reason.", number(count),
               {{"reason", why}});
  to.counter("mooring_deadline_closes_total", "Connections closed because a deadline passed.",
             number(from.deadline_closes));
  to.counter("mooring_queue_overflows_total", "WebSockets closed with 1013: the reader was too slow.",
             number(from.queue_overflows));
  to.counter("mooring_read_pauses_total", "Times that nothing more was read from a peer: its queue was full.",
             number(from.read_pauses));
  to.counter("mooring_received_bytes_total", "Bytes received.", number(from.bytes_received));
  to.counter("mooring_sent_bytes_total", "Bytes sent.", number(from.bytes_sent));
  to.counter("mooring_messages_total", "WebSocket messages, by direction.", number(from.messages_received),
             {{"direction", "in"}});
  to.counter("mooring_messages_total", "WebSocket messages, by direction.", number(from.messages_sent),
             {{"direction", "out"}});
  to.counter("mooring_http_responses_total", "HTTP responses, by class.", number(from.http_2xx),
             {{"class", "2xx"}});
  to.counter("mooring_http_responses_total", "HTTP responses, by class.", number(from.http_4xx),
             {{"class", "4xx"}});
  to.counter("mooring_http_responses_total", "HTTP responses, by class.", number(from.http_5xx),
             {{"class", "5xx"}});
  for (std::size_t i = 0; i < from.closes.size(); ++i)
    to.counter("mooring_websocket_closes_total", "WebSockets closed, by code.", number(from.closes[i]),
               {{"code", i == 0 ? "other" : std::to_string(net::counted_close_codes[i])}});
}

} // namespace

bool node_status::is_ready(std::string& why_not) {
  if (stopping_) {
    why_not = "the node is stopping";
    return false;
  }
  return runtime_.is_ready(why_not);
}

std::string node_status::metrics_text() {
  page to;
  to.gauge("mooring_build_info", "The version as a label.", 1, {{"version", MOORING_VERSION}});
  write_requests(to, service_);
  write_sync(to, runtime_.counters());
  write_actors(to, runtime_.who());
  write_shards(to, runtime_.shards());
  write_network(to, network_());
  to.gauge("mooring_backup_running", "1 while a backup is being sent.", backups_.is_running() ? 1 : 0);
  to.counter("mooring_backups_total", "Backups over the network, by outcome.",
             static_cast<double>(backups_.completed()), {{"outcome", "success"}});
  to.counter("mooring_backups_total", "Backups over the network, by outcome.",
             static_cast<double>(backups_.failed()), {{"outcome", "error"}});
  const auto heap = ::mallinfo2();
  to.gauge("mooring_heap_bytes", "Bytes of the heap in use.",
           static_cast<double>(heap.uordblks + heap.hblkhd));
  return to.text();
}

} // namespace mooring::app
