#include "actors/census.hpp"

namespace mooring::actors {

std::string_view to_string(actor_kind kind) {
  switch (kind) {
  case actor_kind::network: return "network";
  case actor_kind::directory: return "directory";
  case actor_kind::shard_writer: return "shard_writer";
  case actor_kind::tenant: return "tenant";
  case actor_kind::device: return "device";
  case actor_kind::reader: return "reader";
  }
  return "actor";
}

census::stay& census::stay::operator=(stay&& other) noexcept {
  if (this == &other) return *this;
  if (in_ != nullptr) in_->leave(kind_, id_);
  in_ = std::exchange(other.in_, nullptr);
  kind_ = other.kind_;
  id_ = other.id_;
  return *this;
}

census::stay::~stay() {
  if (in_ != nullptr) in_->leave(kind_, id_);
}

census::stay census::enter(entry who) {
  const auto kind = who.kind;
  const auto id = who.actor_id;
  {
    const std::lock_guard hold(mutex_);
    entries_.insert_or_assign(id, std::move(who));
  }
  ++alive_[static_cast<std::size_t>(kind)];
  return {this, kind, id};
}

void census::leave(actor_kind kind, std::uint64_t id) {
  --alive_[static_cast<std::size_t>(kind)];
  const std::lock_guard hold(mutex_);
  entries_.erase(id);
}

std::vector<census::entry> census::list() const {
  const std::lock_guard hold(mutex_);
  std::vector<entry> out;
  out.reserve(entries_.size());
  for (const auto& [id, one] : entries_) out.push_back(one);
  return out;
}

} // namespace mooring::actors
