#include "cluster/pending_apply.hpp"

#include <algorithm>
#include <cstring>

namespace mooring::cluster {
namespace {

// Sixteen bytes of the key as two numbers that sort as the bytes do: most comparisons end here, without a
// jump to the key's memory.
struct sort_item {
  std::uint64_t high, low;
  std::uint32_t at;
};

std::uint64_t prefix_of(std::string_view key, std::size_t from) {
  unsigned char bytes[8] = {};
  if (key.size() > from) std::memcpy(bytes, key.data() + from, std::min<std::size_t>(8, key.size() - from));
  std::uint64_t value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  return value;
}

// Keys of one batch share tag and tenant, so the prefix starts behind what all of them have in common.
std::size_t common_prefix(const std::vector<row>& rows) {
  auto shared = rows.front().key;
  for (const auto& each : rows) {
    const auto length = std::min(shared.size(), each.key.size());
    shared = shared.substr(
        0, static_cast<std::size_t>(std::mismatch(shared.begin(),
                                                  shared.begin() + static_cast<std::ptrdiff_t>(length),
                                                  each.key.begin())
                                        .first -
                                    shared.begin()));
    if (shared.empty()) break;
  }
  return shared.size();
}

} // namespace

void pending_apply::add(const std::vector<row>& rows, std::int64_t now_us) {
  if (entries_++ == 0) oldest_us_ = now_us;
  newest_us_ = now_us;
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  for (const auto& each : rows) bytes_ += each.key.size() + each.value.size();
}

void pending_apply::clear() {
  rows_.clear();
  merged_ = 0;
  entries_ = 0;
  bytes_ = 0;
}

const std::vector<row>& pending_apply::merged() {
  if (merged_ == rows_.size()) return rows_;
  const auto shared = common_prefix(rows_);
  std::vector<sort_item> order(rows_.size());
  for (std::size_t i = 0; i < rows_.size(); ++i)
    order[i] = {prefix_of(rows_[i].key, shared), prefix_of(rows_[i].key, shared + 8),
                static_cast<std::uint32_t>(i)};
  // By key, and the newest write of a key first.
  std::sort(order.begin(), order.end(), [&](const sort_item& a, const sort_item& b) {
    if (a.high != b.high) return a.high < b.high;
    if (a.low != b.low) return a.low < b.low;
    if (const auto compared = rows_[a.at].key.compare(rows_[b.at].key); compared != 0) return compared < 0;
    return a.at > b.at;
  });
  std::vector<row> unique;
  unique.reserve(rows_.size());
  for (const auto& item : order)
    if (unique.empty() || unique.back().key != rows_[item.at].key) unique.push_back(rows_[item.at]);
  rows_ = std::move(unique);
  merged_ = rows_.size();
  return rows_;
}

} // namespace mooring::cluster
