#include "base/hash.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace mooring;

TEST_CASE("CRC-32C gives the check value of its specification and can be continued") {
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c("456789", crc32c("123")) == 0xe3069283);
}
