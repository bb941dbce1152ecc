#include "cluster/snapshot_codec.hpp"

#include "base/hash.hpp"
#include "cluster/bytes.hpp"

namespace mooring::cluster {
namespace {

constexpr std::uint8_t snapshot_version = 1;
constexpr std::size_t head_bytes = 8;
constexpr std::size_t crc_at = 4;

} // namespace

result<std::string> encode_snapshot(stable_storage& from, std::size_t bytes_max) {
  std::string out{static_cast<char>(snapshot_version), 0, 0, 0, 0, 0, 0, 0};
  bool fits = true;
  const char first_table = static_cast<char>(table_tag_first);
  const auto read =
      from.scan(std::string_view(&first_table, 1), [&](std::string_view key, std::string_view value) {
        append_integer(out, static_cast<std::uint16_t>(key.size()));
        append_integer(out, static_cast<std::uint32_t>(value.size()));
        out.append(key).append(value);
        return fits = out.size() <= bytes_max;
      });
  if (!read) return read.failure();
  if (!fits) return error{error_code::payload_too_large, "the shard is too large for a snapshot by value"};
  store_integer(out.data() + crc_at, crc32c(std::string_view(out).substr(head_bytes)));
  return out;
}

bool decode_snapshot(std::string_view bytes, std::vector<row>& rows) {
  if (bytes.size() < head_bytes || static_cast<std::uint8_t>(bytes[0]) != snapshot_version) return false;
  if (load_integer<std::uint32_t>(bytes.data() + crc_at) != crc32c(bytes.substr(head_bytes))) return false;
  byte_reader in(bytes.substr(head_bytes));
  std::string_view previous;
  while (in.left() != 0) {
    const auto key_bytes = in.integer<std::uint16_t>();
    const auto value_bytes = in.integer<std::uint32_t>();
    row each;
    each.key = in.bytes(key_bytes);
    each.value = in.bytes(value_bytes);
    if (!in.ok() || each.key.empty() || each.key.size() > row_key_bytes_max || each.key <= previous ||
        static_cast<unsigned char>(each.key.front()) < table_tag_first)
      return false;
    previous = each.key;
    rows.push_back(each);
  }
  return in.ok();
}

} // namespace mooring::cluster
