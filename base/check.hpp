// MOORING_CHECK: an invariant that stops the process when it is broken, in release builds too.
//
// For what cannot happen unless the code is wrong. Bad input is never an invariant: it is an `error`.
#pragma once

namespace mooring::detail {
[[noreturn]] void check_failed(const char* expression, const char* expected, const char* file, int line);
}

#define MOORING_CHECK(expression, expected)                                                                  \
  (static_cast<bool>(expression)                                                                             \
       ? static_cast<void>(0)                                                                                \
       : ::mooring::detail::check_failed(#expression, expected, __FILE__, __LINE__))
