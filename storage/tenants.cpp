#include "storage/tenants.hpp"

#include "storage/codec.hpp"

namespace mooring::storage {

std::optional<tenant_row> next_tenant(const read_transaction& snapshot, tenant_hash from) {
  for (;;) {
    const row_key seek(from, table::counters);
    std::optional<tenant_row> found;
    std::optional<tenant_hash> passed; // of the first row met that is no tenant's counters
    snapshot.scan(seek.view(), [&](std::string_view key, std::string_view value) {
      const auto parts = parse_key(key);
      if (!parts) return false;
      passed = parts->tenant;
      if (parts->in != table::counters) return false;
      if (auto counters = decode_counters(key, value))
        found = tenant_row{parts->tenant, std::move(counters->tenant)};
      return false;
    });
    if (found || !passed) return found;
    if (*passed == ~tenant_hash{0}) return std::nullopt;
    from = *passed + 1;
  }
}

} // namespace mooring::storage
