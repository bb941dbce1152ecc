#include "storage/row_value.hpp"

#include <string>

namespace mooring::storage {

namespace {

constexpr std::size_t checksum_bytes = 4;

}

error row_error(std::string_view key, std::string_view what) {
  const auto parts = parse_key(key);
  std::string message = parts ? std::string(to_string(parts->in)) : std::string("unknown");
  message.append(" row ").append(to_hex(key)).append(": ").append(what);
  return error{error_code::internal, std::move(message)};
}

result<opened_value> open_value(std::string_view key, std::string_view value, table in) {
  if (value.size() < record_overhead_bytes + 1) return row_error(key, "too short");
  const auto covered = value.substr(0, value.size() - checksum_bytes);
  const auto* stored = reinterpret_cast<const unsigned char*>(value.data() + covered.size());
  const auto expected = static_cast<std::uint32_t>(stored[0]) | static_cast<std::uint32_t>(stored[1]) << 8 |
                        static_cast<std::uint32_t>(stored[2]) << 16 |
                        static_cast<std::uint32_t>(stored[3]) << 24;
  // The checksum stands in the same place in every version, so damage is never mistaken for a newer version.
  if (crc32c(covered, crc32c(key)) != expected) return row_error(key, "the checksum does not match");
  const auto version = static_cast<unsigned char>(value[0]);
  if (version > record_version(in))
    return row_error(key, "written by a newer version of mooring (record format " + std::to_string(version) +
                              ", this one knows up to " + std::to_string(record_version(in)) + ")");
  if (version == 0) return row_error(key, "record format 0 does not exist");
  return opened_value{version, covered.substr(1)};
}

document read_document(unpacker& from) {
  const auto bytes = from.bin();
  if (!bytes.empty() && !is_whole_document(bytes)) from.fail();
  return document{std::string(bytes)};
}

} // namespace mooring::storage
