// A target with one fault of each kind, behind something that only a mutation brings. PLANTED_FAULT says
// which is live.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "tests/fuzz/seeds.hpp"

namespace {

volatile std::uint64_t sink = 0;

std::uint64_t deep(std::string_view text, std::size_t at) { // a parser without a limit of nesting
  if (at == text.size() || text[at] != '[') return at;
  volatile char frame[2048];
  std::memset(const_cast<char*>(frame), static_cast<int>(at), sizeof frame);
  return deep(text, at + 1) + static_cast<std::uint64_t>(frame[at % sizeof frame]);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), length);
  const char* const which = std::getenv("PLANTED_FAULT");
  const std::string_view fault = which == nullptr ? "" : which;
  if (fault == "recursion") sink = deep(text, text.find('[') == text.npos ? length : text.find('['));
  const bool reached = text.find("\"b\":") != text.npos && text.find("true") == text.npos;
  if (!reached) return 0;
  if (fault == "crash") sink = *reinterpret_cast<const volatile std::uint64_t*>(sink); // the null page
  if (fault == "abort") std::abort();
  if (fault == "exception") throw std::runtime_error("nobody catches this");
  if (fault == "hang")
    while (sink != 1) sink = 2;
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t*, std::size_t)) {
  static constexpr std::string_view seed = R"({"a":true,"b":[1,2]})";
  add(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
}
