#include "bench/load/push_cases.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "bench/load/documents.hpp"
#include "bench/load/process_stats.hpp"
#include "bench/load/request.hpp"

namespace mooring::bench {
namespace {

double us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1000;
}

// Runs what must go well before something can be measured.
bool prepare(fleet& on, workload& what, std::size_t connections, std::size_t in_flight, std::string& why) {
  run_stats stats;
  on.run(what, connections, {.in_flight = std::min(in_flight, connections)}, stats);
  why = stats.first_failure;
  return stats.failures == 0;
}

// The position behind everything that the tenant of connection 0 has now.
bool find_head(fleet& on, const scenario& s, std::string& cursor, std::string& why) {
  const auto reading = make_catch_up(s, {.passes_max = 1});
  if (!prepare(on, *reading, 1, 1, why)) return false;
  cursor = reading->cursor();
  return true;
}

// The connections from `first` to before `last` listen, each from the position that `cursor_of` says.
bool subscribe(fleet& on, const scenario& s, std::size_t first, std::size_t last,
               const std::function<std::string(std::size_t)>& cursor_of, std::string& why) {
  static constexpr std::size_t at_once = 128;
  const auto query = json_string(events_document);
  const auto arrived = make_arrivals(last);
  on.set_listener(arrived.get());
  bool all = true;
  for (auto next = first; next < last && all;) {
    for (const auto until = std::min(next + at_once, last); next < until; ++next)
      on.subscribe(next, query, event_variables(s, next, cursor_of(next)));
    all = on.wait_until([&] { return arrived->count() == next - first; }, why);
  }
  on.set_listener(nullptr);
  return all;
}

std::string event_members(const push_edits& edits, std::size_t listeners) {
  const auto& latency = edits.latency();
  const auto& sent = latency.from_sending;
  const auto& answered = latency.from_answer;
  return fmt::format(
      "\"listeners\":{},\"events\":{},\"event_p50_us\":{:.1f},\"event_p95_us\":{:.1f},\"event_p99_us\":{:.1f}"
      ","
      "\"event_p999_us\":{:.1f},\"sent_to_event_p50_us\":{:.1f},\"sent_to_event_p95_us\":{:.1f},"
      "\"sent_to_event_p99_us\":{:.1f},\"sent_to_event_p999_us\":{:.1f},\"before_answer_share\":{:.3f},",
      listeners, answered.total(), us(answered.percentile(0.5)), us(answered.percentile(0.95)),
      us(answered.percentile(0.99)), us(answered.percentile(0.999)), us(sent.percentile(0.5)),
      us(sent.percentile(0.95)), us(sent.percentile(0.99)), us(sent.percentile(0.999)),
      answered.total() == 0
          ? 0.0
          : static_cast<double>(latency.before_answer) / static_cast<double>(answered.total()));
}

} // namespace

int measure_push(const arguments& a, scenario s, const token_maker& token) {
  const auto editors = a.in_flight;
  const auto all = editors + a.connections;
  s.connections = all;
  s.entities = std::max<std::uint64_t>(s.entities, editors);
  fleet clients({.port = a.port, .token_of = [&](std::size_t c) { return token(s.tenant, user_of(c)); }});
  std::string why;
  std::string head;
  const auto registering = make_registration(s, 0);
  const auto filling = make_fill(s, 100);
  if (!clients.open(all, why)) return fail(why);
  if (!prepare(clients, *registering, all, 64, why)) return fail("while registering: " + why);
  if (!prepare(clients, *filling, std::min<std::size_t>(8, editors), 8, why))
    return fail("while making the entities: " + why);
  if (!find_head(clients, s, head, why)) return fail("while looking for the head: " + why);
  if (!subscribe(
          clients, s, editors, all, [&](std::size_t) { return head; }, why))
    return fail("while subscribing: " + why);

  push_options who{.editors = editors, .hears = std::vector<bool>(all, true)};
  std::fill_n(who.hears.begin(), editors, false);
  const auto edits = make_push_edits(clients, s, std::move(who));
  clients.set_listener(edits.get());
  run_stats stats;
  clients.run(*edits, editors,
              {.in_flight = editors, .warm_up_seconds = a.warm_up, .seconds = a.seconds, .server = a.server},
              stats);
  // Nothing comes that was not waited for.
  if (stats.failures == 0 && !clients.idle(0.3, why)) {
    stats.failures = 1;
    stats.first_failure = "after the run: " + why;
  }
  clients.close_all();
  return report(a, stats, event_members(*edits, a.connections));
}

int measure_quiet(const arguments& a, scenario s, const token_maker& token) {
  constexpr std::size_t editors = 8;
  constexpr std::size_t own = editors + 1; // with the device that hears
  constexpr std::size_t few = own + 10;
  const auto all = few + a.connections;
  s.connections = all;
  s.domain = "JOURNAL"; // its user's own
  const auto same_tenant = [](std::size_t c) { return c < own || c % 2 == 0; };
  fleet clients({.port = a.port,
                 .source_addresses = 16, // one address has too few ports to come back again and again
                 .token_of = [&](std::size_t c) {
                   return token(same_tenant(c) ? s.tenant : fmt::format("{}-{:02}", s.tenant, c / 2 % 100),
                                user_of(c < own ? 0 : c));
                 }});
  std::string why;
  std::string head;
  const auto cursor_of = [&](std::size_t c) { return same_tenant(c) ? head : std::string(); };
  const auto registering = make_registration(s, 0);
  if (!clients.open(few, why)) return fail(why);
  if (!prepare(clients, *registering, few, 64, why)) return fail("while registering: " + why);
  if (!find_head(clients, s, head, why)) return fail("while looking for the head: " + why);
  if (!subscribe(clients, s, editors, few, cursor_of, why)) return fail("while subscribing: " + why);
  if (!clients.idle(1, why)) return fail(why);

  // Memory, before anything was edited.
  const auto before = memory_of(a.server);
  if (!clients.open(all, why)) return fail(why + fmt::format(" ({} connections)", clients.size()));
  const auto registering_more = make_registration(s, few);
  if (!prepare(clients, *registering_more, all, 64, why)) return fail("while registering: " + why);
  const auto registered_cpu = cpu_time_of(a.server).total_ns;
  if (!subscribe(clients, s, few, all, cursor_of, why)) return fail("while subscribing: " + why);
  const auto subscribed_cpu = cpu_time_of(a.server).total_ns;
  if (!clients.idle(3, why)) return fail("an idle subscriber was lost: " + why);
  const auto idle_cpu = cpu_time_of(a.server).total_ns - subscribed_cpu;
  const auto after = memory_of(a.server);

  // Edits that one device hears of, while many listen, while few do, and while many do again.
  struct phase {
    run_stats stats;
    double cpu_us = 0, p50_us = 0, p99_us = 0;
  };
  scenario journal = s;
  std::uint64_t salt = s.salt;
  const auto run_edits = [&](std::size_t listening, phase& found) {
    push_options who{.editors = editors, .hears = std::vector<bool>(all, false), .creates = true};
    who.hears[editors] = true;
    journal.salt = ++salt;
    const auto edits = make_push_edits(clients, journal, std::move(who));
    clients.set_listener(edits.get());
    clients.run(
        *edits, editors,
        {.in_flight = editors, .warm_up_seconds = a.warm_up, .seconds = a.seconds, .server = a.server},
        found.stats);
    if (found.stats.failures == 0 && !clients.idle(0.3, why)) {
      found.stats.failures = 1;
      found.stats.first_failure = fmt::format("after the run with {} listening: {}", listening, why);
    }
    clients.set_listener(nullptr);
    if (found.stats.failures > 0 || found.stats.operations == 0) return false;
    found.cpu_us =
        static_cast<double>(found.stats.server_cpu_ns) / 1000 / static_cast<double>(found.stats.operations);
    found.p50_us = us(edits->latency().from_sending.percentile(0.5));
    found.p99_us = us(edits->latency().from_sending.percentile(0.99));
    return true;
  };
  phase many;
  phase alone;
  phase again;
  if (!run_edits(all, many)) return report(a, many.stats);
  clients.close_all(few);
  if (!clients.idle(1, why)) return fail("a connection was lost while others closed: " + why);
  if (!run_edits(few, alone)) return report(a, alone.stats);
  if (!clients.open(all, why)) return fail(why);
  if (!find_head(clients, s, head, why)) return fail("while looking for the head: " + why);
  if (!subscribe(clients, s, few, all, cursor_of, why)) return fail("while subscribing again: " + why);
  if (!run_edits(all, again)) return report(a, again.stats);

  // They do listen: one edit that the whole tenant may see reaches every one of its devices, and no other.
  scenario shared = s;
  shared.domain = "TASK";
  push_options who{.editors = 1, .hears = std::vector<bool>(all, false), .creates = true, .edits_max = 1};
  for (std::size_t c = editors; c < all; ++c) who.hears[c] = same_tenant(c);
  const auto one = make_push_edits(clients, shared, std::move(who));
  clients.set_listener(one.get());
  run_stats told;
  clients.run(*one, 1, {.server = a.server}, told);
  if (told.failures == 0 && !clients.idle(0.5, why)) {
    told.failures = 1;
    told.first_failure = "after the edit for all: " + why;
  }
  if (told.failures > 0) return report(a, told);
  const auto heard = one->heard();
  clients.close_all();

  const auto n = static_cast<double>(a.connections);
  const auto per_one = [&](std::int64_t kib) { return static_cast<double>(kib) * 1024 / n; };
  fmt::print(
      "{{\"case\":{},\"target\":{},\"connections\":{},\"resident_bytes_per_connection\":{:.0f},"
      "\"anonymous_bytes_per_connection\":{:.0f},\"resident_kib\":{},\"subscribe_cpu_us\":{:.1f},"
      "\"idle_cores\":{:.4f},\"few\":{},\"few_cpu_us\":{:.2f},\"many_cpu_us\":{:.2f},"
      "\"many_cpu_us_before\":{:.2f},\"many_cpu_us_after\":{:.2f},\"few_p50_us\":{:.1f},"
      "\"few_p99_us\":{:.1f},\"many_p50_us\":{:.1f},\"many_p99_us\":{:.1f},\"told_all\":{},"
      "\"other_cores\":{:.2f},\"failures\":0}}\n",
      quoted(a.kind), quoted(a.target), a.connections, per_one(after.resident_kib - before.resident_kib),
      per_one(after.anonymous_kib - before.anonymous_kib), after.resident_kib,
      static_cast<double>(subscribed_cpu - registered_cpu) / 1000 / n, static_cast<double>(idle_cpu) / 3e9,
      few - own, alone.cpu_us, (many.cpu_us + again.cpu_us) / 2, many.cpu_us, again.cpu_us, alone.p50_us,
      alone.p99_us, again.p50_us, again.p99_us, heard, alone.stats.other_cores);
  return 0;
}

int measure_catch_up(const arguments& a, scenario s, const token_maker& token) {
  constexpr std::size_t editors = 8;
  constexpr std::size_t batch_size = 1000;
  const auto all = editors + a.connections;
  s.connections = all;
  fleet clients({.port = a.port, .token_of = [&](std::size_t c) { return token(s.tenant, user_of(c)); }});
  std::string why;
  std::string before;
  const auto registering = make_registration(s, 0);
  const auto filling = make_fill(s, batch_size);
  if (!clients.open(all, why)) return fail(why);
  if (!prepare(clients, *registering, all, 64, why)) return fail("while registering: " + why);
  if (!find_head(clients, s, before, why)) return fail("while looking for the head: " + why);
  if (!prepare(clients, *filling, editors, editors, why)) return fail("while making the entities: " + why);
  const auto catching_up = make_catch_up(s, {.cursor = before, .batch_size = batch_size, .first = editors});
  run_stats stats;
  clients.run(
      *catching_up, all,
      {.in_flight = a.connections, .warm_up_seconds = a.warm_up, .seconds = a.seconds, .server = a.server},
      stats);
  clients.close_all();
  return report(a, stats);
}

} // namespace mooring::bench
