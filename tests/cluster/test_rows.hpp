// Write batches of the cluster tests: rows one after the other, each {key bytes u8, removed u8, value bytes
// u16, …}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cluster/types.hpp"

namespace mooring::cluster::testing {

inline void put_row(std::string& body, std::string_view key, std::string_view value) {
  body.push_back(static_cast<char>(key.size()));
  body.push_back(0);
  body.push_back(static_cast<char>(value.size() & 0xff));
  body.push_back(static_cast<char>(value.size() >> 8));
  body.append(key).append(value);
}

inline void remove_row(std::string& body, std::string_view key) {
  body.push_back(static_cast<char>(key.size()));
  body.push_back(1);
  body.append(2, 0);
  body.append(key);
}

// A row_reader.
inline bool read_test_rows(std::string_view body, std::vector<row>& out) {
  while (!body.empty()) {
    if (body.size() < 4) return false;
    const auto key_bytes = static_cast<unsigned char>(body[0]);
    const auto removed = body[1];
    const auto value_bytes = static_cast<std::size_t>(static_cast<unsigned char>(body[2]) |
                                                      static_cast<unsigned char>(body[3]) << 8);
    body.remove_prefix(4);
    if (removed < 0 || removed > 1 || (removed && value_bytes != 0) || body.size() < key_bytes + value_bytes)
      return false;
    out.push_back({body.substr(0, key_bytes), body.substr(key_bytes, value_bytes), removed == 1});
    body.remove_prefix(key_bytes + value_bytes);
  }
  return true;
}

// A key of the tables.
inline std::string table_key(std::string_view rest) {
  return "\x10" + std::string(rest);
}

inline std::string one_row(std::string_view rest, std::string_view value) {
  std::string body;
  put_row(body, table_key(rest), value);
  return body;
}

} // namespace mooring::cluster::testing
