// E to H: the cases in which devices listen. Each prints its line and returns the exit code.
#pragma once

#include "bench/load/arguments.hpp"
#include "bench/load/workloads.hpp"

namespace mooring::bench {

// Makes tokens; the tenant and user of each connection are the case's business.
using token_maker = std::function<std::string(const std::string& tenant, const std::string& user)>;

// E, F: `connections` devices of as many users of one tenant listen, `in_flight` editors edit.
int measure_push(const arguments& a, scenario s, const token_maker& token);

// G: what an idle subscriber needs, and what an edit costs that only one user may see while few and while
// `connections` others listen: every second one of the same tenant, the others of a hundred more.
int measure_quiet(const arguments& a, scenario s, const token_maker& token);

// H: `connections` devices catch up with `entities` changes.
int measure_catch_up(const arguments& a, scenario s, const token_maker& token);

} // namespace mooring::bench
