// net/http_negotiation.hpp, gzip.hpp, text.hpp: the parts of an HTTP request that we read ourselves.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "net/gzip.hpp"
#include "net/http_negotiation.hpp"
#include "net/text.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;
using namespace mooring::net;

// The first byte says which part reads the rest.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  if (length == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, length - 1);
  switch (bytes[0] % 6) {
  case 0: {
    const auto pairs = parse_query_string(text);
    if (!pairs) break;
    for (const auto& [name, value] : *pairs) {
      MOORING_CHECK(is_utf8(value), "a value is UTF-8");
      MOORING_CHECK(name.size() + value.size() <= text.size(), "decoding makes nothing longer");
    }
    break;
  }
  case 1: (void)choose_media(text); break;
  case 2: (void)accepts_gzip(text); break;
  case 3: (void)is_json_content(text); break;
  case 4: {
    static gzip_codec codec;
    constexpr std::size_t bytes_max = 100'000;
    const auto plain = codec.inflate(text, bytes_max, 64);
    if (plain) MOORING_CHECK(plain->size() <= bytes_max + 64, "the limit on inflated bytes holds");
    const auto back = codec.inflate(codec.compress(text), text.size() + 1, 0);
    MOORING_CHECK(back.ok() && *back == text, "what was compressed inflates to itself");
    break;
  }
  default: {
    for (const std::size_t bytes_max : {0, 1, 2, 3, 4, 123}) {
      const auto cut = cut_utf8(text, bytes_max);
      MOORING_CHECK(cut.size() <= bytes_max && text.substr(0, cut.size()) == cut, "a cut is a prefix");
      MOORING_CHECK(!is_utf8(text) || is_utf8(cut), "a cut keeps characters whole");
    }
    const auto inner = trimmed(text);
    MOORING_CHECK(trimmed(inner) == inner, "trimming twice changes nothing");
    MOORING_CHECK(equal_ignoring_case(text, text), "a name equals itself");
  }
  }
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  const auto give = [&](char part, std::string_view text) {
    const auto seed = part + std::string(text);
    add(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
  };
  give(0, "query=%7B%20serverInfo%20%7B%20version%20%7D%20%7D&variables=%7B%22a%22%3A1%7D&operationName=Q&x");
  give(0, "a=1&a=2&=&&b+c=d+e&%C3%A4=%E2%82%AC");
  give(1, "application/graphql-response+json; charset=utf-8, application/json;q=0.9, */*;q=0.1");
  give(1, "text/html, application/*;q=0.5");
  give(2, "gzip;q=1.0, identity; q=0.5, *;q=0");
  give(3, "application/json; charset=\"utf-8\"");
  gzip_codec codec;
  give(4, codec.compress(R"({"query":"{ serverInfo { version } }"})"));
  give(4, codec.compress(std::string(200'000, 'a')));
  give(4, codec.compress("one") + codec.compress("two"));
  give(5, " \t name \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \t");
}
