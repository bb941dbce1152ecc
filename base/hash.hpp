// Hashes and checksums.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mooring {

// XXH3, 64 bits. Fast; not against an attacker who wants collisions.
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);

// A seed that differs from process to process, for tables in memory: who does not know it cannot choose what collides.
// What is stored or sent is hashed without it.
std::uint64_t process_seed();

// 128 bits, little-endian pair {low, high}. XXH3.
struct digest128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const digest128&) const = default;
};
digest128 hash128(std::string_view bytes);

// CRC-32C (Castagnoli), as in iSCSI: initial and final complement are applied here. `crc` continues an earlier one.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

} // namespace mooring
