#include "base/hash.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "base/text_map.hpp"

using namespace mooring;

TEST_CASE("CRC-32C gives the check value of its specification and can be continued") {
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c("456789", crc32c("123")) == 0xe3069283);
}

TEST_CASE("texts that were made to collide do so without the process's seed only") {
  const auto text_of = [](const char* file) {
    std::ifstream in(std::string(MOORING_SOURCE_DIR) + "/tests/api/same_hash/" + file, std::ios::binary);
    REQUIRE(in.good());
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const auto one = text_of("of_a_client.txt"), other = text_of("made_to_collide.txt");
  CHECK(one != other);
  CHECK(hash64(one) == hash64(other));
  CHECK(text_hash{}(one) != text_hash{}(other));
  CHECK(process_seed() == process_seed());
}
