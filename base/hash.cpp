#include "base/hash.hpp"

#include <cstring>
#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace mooring {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::uint64_t process_seed() {
  static const std::uint64_t seed = [] {
    std::random_device source;
    return std::uint64_t{source()} << 32 | source();
  }();
  return seed;
}

digest128 hash128(std::string_view bytes) {
  const auto digest = XXH3_128bits(bytes.data(), bytes.size());
  return {digest.low64, digest.high64};
}

namespace {

constexpr std::uint32_t castagnoli_reversed = 0x82f63b78;

struct crc_table {
  std::uint32_t at[256];
  constexpr crc_table()
      : at{} {
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? castagnoli_reversed : 0);
      at[i] = crc;
    }
  }
};
constexpr crc_table table;

std::uint32_t crc32c_portable(const char* data, std::size_t size, std::uint32_t crc) {
  for (std::size_t i = 0; i < size; ++i)
    crc = (crc >> 8) ^ table.at[(crc ^ static_cast<unsigned char>(data[i])) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(const char* data, std::size_t size,
                                                             std::uint32_t crc) {
  std::uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++data, --size) narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*data));
  return narrow;
}
const bool have_sse42 = __builtin_cpu_supports("sse4.2") != 0;
#endif

} // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
#if defined(__x86_64__)
  if (have_sse42) return ~crc32c_sse42(bytes.data(), bytes.size(), ~crc);
#endif
  return ~crc32c_portable(bytes.data(), bytes.size(), ~crc);
}

} // namespace mooring
