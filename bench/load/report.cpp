#include <cstdio>

#include <fmt/core.h>

#include "bench/load/arguments.hpp"
#include "bench/load/process_stats.hpp"

namespace mooring::bench {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) >= 0x20) out.push_back(c);
  }
  return out + "\"";
}

int report(const arguments& a, const run_stats& r, std::string_view more) {
  const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000; };
  const auto per = [](std::int64_t ns, std::uint64_t n) {
    return n == 0 ? 0.0 : static_cast<double>(ns) / 1000 / static_cast<double>(n);
  };
  const auto seconds = r.seconds > 0 ? r.seconds : 1; // a run that failed at its begin
  const auto memory = memory_of(a.server);
  fmt::print(
      "{{\"case\":{},\"target\":{},\"connections\":{},\"in_flight\":{},\"entities\":{},\"seconds\":{:.3f},"
      "\"operations\":{},\"items\":{},\"operations_per_s\":{:.1f},\"items_per_s\":{:.1f},",
      quoted(a.kind), quoted(a.target), a.connections, a.in_flight, a.entities, r.seconds, r.operations,
      r.items, static_cast<double>(r.operations) / seconds, static_cast<double>(r.items) / seconds);
  fmt::print("\"p50_us\":{:.1f},\"p95_us\":{:.1f},\"p99_us\":{:.1f},\"p999_us\":{:.1f},\"max_us\":{:.1f},",
             us(r.latency.percentile(0.5)), us(r.latency.percentile(0.95)), us(r.latency.percentile(0.99)),
             us(r.latency.percentile(0.999)), us(r.latency.max()));
  fmt::print(
      "\"server_cpu_us_per_operation\":{:.2f},\"server_cpu_us_per_item\":{:.3f},\"server_cores\":{:.3f},"
      "\"server_system_share\":{:.2f},\"generator_cpu_us_per_operation\":{:.2f},\"other_cores\":{:.2f},",
      per(r.server_cpu_ns, r.operations), per(r.server_cpu_ns, r.items),
      static_cast<double>(r.server_cpu_ns) / 1e9 / seconds, r.server_system_share,
      per(r.own_cpu_ns, r.operations), r.other_cores);
  fmt::print("{}", more);
  fmt::print("\"resident_kib\":{},\"anonymous_kib\":{},\"resident_peak_kib\":{},\"failures\":{},\"first_"
             "failure\":{}}}\n",
             memory.resident_kib, memory.anonymous_kib, memory.resident_peak_kib, r.failures,
             quoted(r.first_failure));
  if (r.failures > 0) std::fprintf(stderr, "mooring_load: %s\n", r.first_failure.c_str());
  return r.failures == 0 && r.operations + r.items > 0 ? 0 : 1; // an operation may outlast the run
}

int fail(const std::string& why) {
  std::fprintf(stderr, "mooring_load: %s\n", why.c_str());
  return 2;
}

} // namespace mooring::bench
