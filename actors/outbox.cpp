#include "actors/outbox.hpp"

#include <algorithm>

#include <caf/all.hpp>

namespace mooring::actors {

result<void> outbox::add(const sender& from, std::uint64_t sequence, const sync::write_list& writes,
                         storage::numbering before, bool is_upkeep) {
  if (group_ && from.writer != writer_) flush();
  if (!group_) {
    writer_ = from.writer;
    group_ = std::make_shared<batch_group>();
    group_->batches.reserve(usual_bytes_ + usual_bytes_ / 4);
  }
  if (auto added = storage::append_batch(group_->batches, from.hash, writes, before); !added) {
    if (group_->parts.empty()) group_.reset();
    return added;
  }
  group_->is_upkeep = group_->is_upkeep && is_upkeep;
  const auto [place, is_new] = place_.try_emplace(from.tenant.id(), group_->last.size());
  if (is_new)
    group_->last.push_back({from.tenant, sequence});
  else
    group_->last[place->second].sequence = sequence;
  group_->parts.push_back({place->second, group_->batches.size()});
  if (group_->batches.size() >= bytes_max) flush();
  return {};
}

void outbox::flush() {
  if (!group_) return;
  usual_bytes_ = std::max(group_->batches.size(), usual_bytes_ - usual_bytes_ / 8);
  place_.clear();
  caf::anon_send(std::exchange(writer_, {}), commit_group{std::exchange(group_, nullptr)});
}

} // namespace mooring::actors
