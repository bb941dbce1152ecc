#include "graphql/sha256.hpp"

#include <array>

#include <openssl/evp.h>

#include "base/check.hpp"

namespace mooring::graphql {

namespace {

std::array<unsigned char, 32> sha256(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  unsigned int bytes = 0;
  const auto done = EVP_Digest(text.data(), text.size(), digest.data(), &bytes, EVP_sha256(), nullptr);
  MOORING_CHECK(done == 1 && bytes == digest.size(), "OpenSSL computes SHA-256");
  return digest;
}

} // namespace

std::string sha256_hex(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(64);
  for (const auto byte : sha256(text)) {
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

digest128 sha256_128(std::string_view text) {
  const auto digest = sha256(text);
  const auto word = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value = value << 8 | digest[at + i];
    return value;
  };
  return {word(8), word(0)};
}

} // namespace mooring::graphql
