// base/time.hpp: an instant that was read is written as 24 characters that read as the same instant.
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "base/time.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  const auto at = mooring::parse_instant({reinterpret_cast<const char*>(bytes), length});
  if (!at) return 0;
  const auto text = mooring::to_string(*at);
  MOORING_CHECK(text.size() == 24, "an instant is 24 characters");
  const auto again = mooring::parse_instant(text);
  MOORING_CHECK(again.has_value() && *again == *at, "what we write we read");
  return 0;
}
