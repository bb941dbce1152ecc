// mooring_load: drives one case of the benchmark against one server and prints one line of JSON.
//
// Exit codes: 0 measured, every answer right; 1 an answer was wrong or a connection was lost; 2 wrong usage
// or the server cannot be reached.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>

#include <fmt/core.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "bench/load/arguments.hpp"
#include "bench/load/fleet.hpp"
#include "bench/load/process_stats.hpp"
#include "bench/load/push_cases.hpp"
#include "bench/load/token.hpp"
#include "bench/load/workloads.hpp"

namespace mooring::bench {

std::string user_of(std::size_t connection) {
  return fmt::format("user-{:06}", connection);
}

namespace {

constexpr std::string_view usage = R"(mooring_load --case CASE --port PORT [options]

cases
  echo             the frames of `voice`, echoed by the server (the ceiling)
  voice            A: syncVoiceData with 1 new item
  voice-replay     A: the same request and key again
  batch            B: syncBatch with 50 mixed items
  edits            C: syncOperations with 1 UPDATE over --entities entities of one tenant (made first)
  edits-tenants    C: the same over --connections tenants of --entities entities each, --in-flight at a time
  edits-scattered  S: as edits, at random over a store that `fill` made
  fill             S: makes --entities entities with batches of 1,000
  changes          D: reads --entities entities (made first) from the beginning in pages of 1,000
  idle             I: memory of --connections authenticated connections that do nothing
  push             E, F: --connections devices listen, --in-flight editors edit, each when all have heard
  push-quiet       G: --connections devices listen; memory, and the cost of edits for somebody else
  phones           M: an upload of 1 new item and `changes` since the last time, in turn
  catch-up         H: --connections devices catch up with --entities changes (made first)

options
  --connections N  (1)     --in-flight N  (as many as connections)
  --seconds S      (5)     --warm-up S    (1)
  --entities N     (1000)  --part I --parts N   of edits-scattered, so that runs over one store do not meet
  --pid PID        of the server, to read its CPU time and memory
  --secret FILE    the HS256 secret of the server     --tenant NAME  (bench)
  --target NAME    printed as it is                   --no-fill      the store has the entities already
)";

bool parse(int argc, char** argv, arguments& a) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--no-fill") {
      a.no_fill = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    const std::string value = argv[++i];
    const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
    if (name == "--case")
      a.kind = value;
    else if (name == "--port")
      a.port = static_cast<std::uint16_t>(number());
    else if (name == "--connections")
      a.connections = number();
    else if (name == "--in-flight")
      a.in_flight = number();
    else if (name == "--seconds")
      a.seconds = std::strtod(value.c_str(), nullptr);
    else if (name == "--warm-up")
      a.warm_up = std::strtod(value.c_str(), nullptr);
    else if (name == "--entities")
      a.entities = number();
    else if (name == "--part")
      a.part = number();
    else if (name == "--parts")
      a.parts = std::max(1ULL, number());
    else if (name == "--pid")
      a.server = static_cast<pid_t>(number());
    else if (name == "--secret")
      a.secret_file = value;
    else if (name == "--tenant")
      a.tenant = value;
    else if (name == "--target")
      a.target = value;
    else
      return false;
  }
  if (a.in_flight == 0) a.in_flight = a.connections;
  return a.port != 0 && !a.kind.empty() && a.connections > 0;
}

// Memory of idle connections: what the process grew by from one warm fleet to `connections` more.
int measure_idle(const arguments& a, const fleet_options& options) {
  fleet warm(options);
  fleet crowd(options);
  std::string why;
  if (!warm.open(64, why)) return fail(why);
  run_stats stats;
  const auto questions = make_server_info();
  warm.run(*questions, 64, {.in_flight = 8, .server = a.server}, stats);
  if (stats.failures > 0) return report(a, stats);
  if (!warm.idle(1, why)) return fail(why);
  const auto before = memory_of(a.server);
  const auto cpu_before = cpu_time_of(a.server);
  const auto begin = monotonic_ns();
  if (!crowd.open(a.connections, why)) return fail(why + fmt::format(" ({} connections)", crowd.size()));
  const auto opened = monotonic_ns();
  const auto cpu_after = cpu_time_of(a.server);
  if (!crowd.idle(3, why)) return fail("an idle connection was lost: " + why);
  const auto after = memory_of(a.server);
  const auto idle_cpu = cpu_time_of(a.server).total_ns - cpu_after.total_ns;
  run_stats alive;
  const auto more_questions = make_server_info();
  const auto asked = std::min<std::size_t>(1000, a.connections);
  crowd.run(*more_questions, asked, {.in_flight = 8, .server = a.server}, alive);
  if (alive.failures > 0 || alive.operations != asked) return report(a, alive);
  crowd.close_all();
  if (!warm.idle(1, why)) return fail("a connection was lost while others closed: " + why);
  const auto closed = memory_of(a.server);
  const auto n = static_cast<double>(a.connections);
  fmt::print("{{\"case\":\"idle\",\"target\":{},\"connections\":{},\"resident_bytes_per_connection\":{:.0f},"
             "\"anonymous_bytes_per_connection\":{:.0f},\"resident_kib_before\":{},\"resident_kib\":{},"
             "\"resident_kib_closed\":{},\"open_cpu_us_per_connection\":{:.1f},\"opened_per_s\":{:.0f},"
             "\"idle_cores\":{:.4f},\"failures\":0}}\n",
             quoted(a.target), a.connections,
             static_cast<double>(after.resident_kib - before.resident_kib) * 1024 / n,
             static_cast<double>(after.anonymous_kib - before.anonymous_kib) * 1024 / n, before.resident_kib,
             after.resident_kib, closed.resident_kib,
             static_cast<double>(cpu_after.total_ns - cpu_before.total_ns) / 1000 / n,
             n / (static_cast<double>(opened - begin) / 1e9), static_cast<double>(idle_cpu) / 3e9);
  return 0;
}

int run(const arguments& a) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < a.connections + 100)
    return fail(fmt::format("{} connections need more open files than the limit of {} (ulimit -Hn)",
                            a.connections, files.rlim_max));

  scenario s{.tenant = a.tenant, .connections = a.connections, .entities = a.entities};
  if (getrandom(&s.salt, sizeof s.salt, 0) != sizeof s.salt) return fail("getrandom");
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  s.now_ms = static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;

  const auto expires = static_cast<std::int64_t>(now.tv_sec) + 6 * 3600;
  std::string secret;
  if (a.kind != "echo") {
    secret = read_secret(a.secret_file);
    if (secret.empty()) return 2;
  }
  const auto token = [&](const std::string& tenant, const std::string& user) {
    return make_token(secret, tenant, user, expires);
  };
  if (a.kind == "push") return measure_push(a, s, token);
  if (a.kind == "push-quiet") return measure_quiet(a, s, token);
  if (a.kind == "catch-up") return measure_catch_up(a, s, token);

  const bool many_tenants = a.kind == "edits-tenants";
  fleet_options options{.port = a.port};
  if (a.kind == "echo") {
    options.speaks = protocol::echo;
  } else {
    options.token_of = [&](std::size_t connection) {
      return token(many_tenants ? fmt::format("{}-{:05}", a.tenant, connection) : a.tenant,
                   user_of(connection));
    };
  }
  if (a.kind == "idle") {
    options.source_addresses = 16; // one address has too few ports to come back to a server again and again
    return measure_idle(a, options);
  }

  fleet clients(options);
  std::string why;
  if (!clients.open(a.connections, why)) return fail(why);

  std::unique_ptr<workload> prepare;
  std::unique_ptr<workload> work;
  run_options measured{
      .in_flight = a.in_flight, .warm_up_seconds = a.warm_up, .seconds = a.seconds, .server = a.server};
  if (a.kind == "echo")
    work = make_echo(s);
  else if (a.kind == "voice")
    work = make_voice(s);
  else if (a.kind == "voice-replay")
    work = make_voice_replay(s);
  else if (a.kind == "batch")
    work = make_batch(s);
  else if (a.kind == "phones")
    work = make_phones(s);
  else if (a.kind == "edits") {
    prepare = make_fill(s, 100);
    work = make_edits(s, {});
  } else if (a.kind == "edits-scattered") {
    work = make_edits(s, {.scattered = true, .part = a.part, .parts = a.parts});
  } else if (a.kind == "edits-tenants") {
    prepare = make_own_fill(s);
    work = make_own_edits(s);
  } else if (a.kind == "changes") {
    prepare = make_fill(s, 1000);
    work = make_changes(s);
  } else if (a.kind == "fill") {
    work = make_fill(s, 1000);
    measured.warm_up_seconds = measured.seconds = 0;
  } else {
    return fail("no such case: " + a.kind);
  }
  if (prepare && !a.no_fill) {
    run_stats stats;
    clients.run(*prepare, many_tenants ? a.connections : std::min<std::size_t>(8, a.connections),
                {.in_flight = many_tenants ? 64U : 8U, .server = a.server}, stats);
    if (stats.failures > 0) return fail("while making the entities: " + stats.first_failure);
  }
  run_stats stats;
  clients.run(*work, a.connections, measured, stats);
  clients.close_all();
  return report(a, stats);
}

} // namespace
} // namespace mooring::bench

int main(int argc, char** argv) {
  mooring::bench::arguments a;
  if (!mooring::bench::parse(argc, argv, a)) {
    std::fwrite(mooring::bench::usage.data(), 1, mooring::bench::usage.size(), stderr);
    return 2;
  }
  return mooring::bench::run(a);
}
