#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

#include "base/log.hpp"

namespace mooring::detail {

void check_failed(const char* expression, const char* expected, const char* file, int line) {
  // Standard error directly as well: the logger may be the one that is broken.
  std::fprintf(stderr, "mooring: broken invariant: %s (%s) at %s:%d\n", expected, expression, file, line);
  std::fflush(stderr);
  log::stop();
  std::abort();
}

} // namespace mooring::detail
