#include "actors/outbox.hpp"

#include <algorithm>

#include <caf/all.hpp>

namespace mooring::actors {

void outbox::add(const shard_writer_actor& writer, const tenant_actor& from, std::uint64_t sequence,
                 std::string_view batch) {
  if (group_ && (writer != writer_ || group_->batches.size() + batch.size() > bytes_max)) flush();
  if (!group_) {
    writer_ = writer;
    group_ = std::make_shared<batch_group>();
    group_->batches.reserve(usual_bytes_ + batch.size());
  }
  group_->batches.append(batch);
  const auto [place, is_new] = place_.try_emplace(from.id(), group_->last.size());
  if (is_new)
    group_->last.push_back({from, sequence});
  else
    group_->last[place->second].sequence = sequence;
  group_->parts.push_back({place->second, group_->batches.size()});
}

void outbox::flush() {
  if (!group_) return;
  usual_bytes_ = std::max(group_->batches.size(), usual_bytes_ - usual_bytes_ / 8);
  place_.clear();
  caf::anon_send(std::exchange(writer_, {}), commit_group{std::exchange(group_, nullptr)});
}

} // namespace mooring::actors
