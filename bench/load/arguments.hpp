// What mooring_load was asked for, and how its cases say what they found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "bench/load/fleet.hpp"

namespace mooring::bench {

struct arguments {
  std::string kind, secret_file, tenant = "bench", target = "server";
  std::uint16_t port = 0;
  std::size_t connections = 1, in_flight = 0;
  double seconds = 5, warm_up = 1;
  std::uint64_t entities = 1000, part = 0, parts = 1;
  pid_t server = 0;
  bool no_fill = false;
};

// `text` as a JSON string; control characters are left out.
std::string quoted(const std::string& text);

// Prints the line of JSON of a run; `more` are further members, each followed by a comma. Returns the exit
// code.
int report(const arguments& a, const run_stats& r, std::string_view more = {});

// Prints why nothing was measured, and returns the exit code.
int fail(const std::string& why);

} // namespace mooring::bench
