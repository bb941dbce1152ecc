#include "cluster/entry_rows.hpp"

#include "storage/write_batch.hpp"

namespace mooring::cluster {

bool read_entry_rows(std::string_view body, std::vector<row>& out) {
  storage::entry_reader reader(body);
  while (const auto each = reader.next())
    out.push_back({each->key, each->value.value_or(std::string_view{}), !each->value});
  return !reader.failed();
}

} // namespace mooring::cluster
