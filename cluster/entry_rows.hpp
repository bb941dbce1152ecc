// The row_reader of the product: an entry's body is write batches, one after the other
// (storage/write_batch.hpp).
#pragma once

#include "cluster/types.hpp"

namespace mooring::cluster {

bool read_entry_rows(std::string_view body, std::vector<row>& out);

} // namespace mooring::cluster
