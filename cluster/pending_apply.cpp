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
  entries_ = 0;
  bytes_ = 0;
}

std::vector<row> pending_apply::take_merged() {
  if (rows_.empty()) return clear(), std::vector<row>();
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
  clear();
  return unique;
}

// ── apply_in_parts ──

void apply_in_parts::begin(pending_apply& what, log_index index, log_term term) {
  entries_ = what.entries();
  rows_ = what.take_merged();
  written_ = 0;
  bytes_left_ = 0;
  for (const auto& each : rows_) bytes_left_ += each.key.size() + each.value.size();
  index_ = index;
  term_ = term;
}

void apply_in_parts::clear() {
  *this = {};
}

const apply_plan& apply_in_parts::next(std::uint64_t bytes) {
  std::size_t end = written_;
  part_.bytes = 0;
  for (; end < rows_.size() && part_.bytes < bytes; ++end)
    part_.bytes += rows_[end].key.size() + rows_[end].value.size();
  part_.rows = std::span(rows_).subspan(written_, end - written_);
  part_.last_part = end == rows_.size();
  part_.index = index_;
  part_.term = term_;
  return part_;
}

bool apply_in_parts::written() {
  written_ += part_.rows.size();
  bytes_left_ -= part_.bytes;
  const bool all = part_.last_part;
  if (all) clear();
  return all;
}

} // namespace mooring::cluster
