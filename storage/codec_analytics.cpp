// What was counted in an hour.
#include "storage/codec.hpp"

#include <algorithm>

#include "storage/row_value.hpp"

namespace mooring::storage {

namespace {

constexpr std::size_t domain_counts_elements = 5;

}

void encode_analytics(packer& out, std::string_view key, const sync::analytics_hour& of) {
  const auto devices = of.devices.pack();
  sealed_value seal(out, key,
                    1 + 7 * number_bytes + 3 * head_bytes + devices.size() + 2 * of.buckets * number_bytes +
                        domain_counts_elements * sync::domain_count * number_bytes);
  out.array(10);
  out.integer(of.requests);
  out.integer(of.succeeded);
  out.integer(of.replayed);
  out.integer(of.conflicts_by_policy);
  out.integer(of.conflicts_opened);
  out.integer(of.bytes);
  out.integer(of.duration_sum_us);
  // Only what was counted: most hours use few of either.
  const auto used = static_cast<std::size_t>(
      std::count_if(of.durations.begin(), of.durations.end(), [](std::int64_t one) { return one != 0; }));
  out.array(2 * used);
  for (std::size_t i = 0; i < of.durations.size(); ++i) {
    if (of.durations[i] == 0) continue;
    out.number(i);
    out.integer(of.durations[i]);
  }
  const auto met = static_cast<std::size_t>(std::count_if(
      of.domains.begin(), of.domains.end(), [](const auto& one) { return one != sync::domain_counts{}; }));
  out.array(domain_counts_elements * met);
  for (std::size_t i = 0; i < of.domains.size(); ++i) {
    const auto& one = of.domains[i];
    if (one == sync::domain_counts{}) continue;
    out.number(i);
    out.integer(one.items);
    out.integer(one.failed);
    out.integer(one.duplicates);
    out.integer(one.conflicts);
  }
  out.bin(devices);
}

result<sync::analytics_hour> decode_analytics(std::string_view key, std::string_view value) {
  return decode<sync::analytics_hour>(
      key, value, table::analytics, [](unpacker& from, const key_parts& parts, sync::analytics_hour& of) {
        expect_array(from, 10);
        of.hour = parts.hour;
        of.requests = from.integer();
        of.succeeded = from.integer();
        of.replayed = from.integer();
        of.conflicts_by_policy = from.integer();
        of.conflicts_opened = from.integer();
        of.bytes = from.integer();
        of.duration_sum_us = from.integer();
        auto elements = from.array();
        if (elements % 2 != 0) from.fail();
        for (; elements > 0 && from.ok(); elements -= 2) {
          const auto bucket = from.number();
          const auto count = from.integer();
          if (bucket >= of.durations.size()) return from.fail();
          of.durations[bucket] = count;
        }
        elements = from.array();
        if (elements % domain_counts_elements != 0) from.fail();
        for (; elements > 0 && from.ok(); elements -= domain_counts_elements) {
          auto& one = of.domains[static_cast<std::size_t>(from.one_of(sync::domain::work_order))];
          one.items = from.integer();
          one.failed = from.integer();
          one.duplicates = from.integer();
          one.conflicts = from.integer();
        }
        auto devices = sync::device_sketch::unpack(from.bin());
        if (!devices) return from.fail();
        of.devices = std::move(*devices);
      });
}

} // namespace mooring::storage
