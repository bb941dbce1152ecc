// bounded_cache: shared immutable values by key, bounded in number and bytes, in shards with a lock each.
//
// Segmented LRU: a value comes in on probation and is protected once it was asked for again. Probation is
// evicted first, so that a client who sends a thousand documents once each does not push out the ones that
// everybody uses. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace mooring::graphql {

template<class Key, class Value, class Hash = std::hash<Key>> class bounded_cache {
 public:
  using pointer = std::shared_ptr<const Value>;

  bounded_cache(std::size_t count_max, std::size_t bytes_max) {
    const std::size_t shards = count_max >= 256 ? 8 : 1;
    count_max_ = std::max<std::size_t>(1, count_max / shards);
    bytes_max_ = bytes_max / shards;
    for (std::size_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<shard>());
  }

  // Null: not there.
  pointer find(const Key& key) {
    auto& in = shard_of(key);
    const std::lock_guard hold(in.lock);
    const auto found = in.by_key.find(key);
    if (found == in.by_key.end()) return nullptr;
    const auto at = found->second;
    auto& from = at->is_protected ? in.kept : in.probation;
    in.kept.splice(in.kept.begin(), from, at);
    if (!at->is_protected) {
      at->is_protected = true;
      in.kept_bytes += at->bytes;
      while (in.kept.size() > 1 && (in.kept.size() > share(count_max_) || in.kept_bytes > share(bytes_max_)))
        demote(in);
    }
    return at->value;
  }

  // Keeps the value unless it alone is over the bound. What is there under the key is replaced.
  void insert(const Key& key, pointer value, std::size_t bytes) {
    auto& in = shard_of(key);
    const std::lock_guard hold(in.lock);
    if (const auto there = in.by_key.find(key); there != in.by_key.end()) remove(in, there->second);
    if (bytes > bytes_max_) return;
    while (!in.by_key.empty() && (in.by_key.size() >= count_max_ || in.bytes + bytes > bytes_max_)) {
      remove(in, in.probation.empty() ? std::prev(in.kept.end()) : std::prev(in.probation.end()));
      evictions_.fetch_add(1, std::memory_order_relaxed);
    }
    in.probation.push_front({key, std::move(value), bytes, false});
    in.by_key.emplace(key, in.probation.begin());
    in.bytes += bytes;
  }

  std::size_t count() const {
    return sum([](const shard& in) { return in.by_key.size(); });
  }
  std::size_t bytes() const {
    return sum([](const shard& in) { return in.bytes; });
  }
  std::uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

 private:
  struct entry {
    Key key;
    pointer value;
    std::size_t bytes;
    bool is_protected;
  };
  using list = std::list<entry>; // most recently used first
  struct shard {
    mutable std::mutex lock;
    list probation;
    list kept;
    std::unordered_map<Key, typename list::iterator, Hash> by_key;
    std::size_t bytes = 0;
    std::size_t kept_bytes = 0;
  };

  // The part of a bound that protected values may take.
  static std::size_t share(std::size_t bound) { return bound - bound / 5; }

  shard& shard_of(const Key& key) { return *shards_[(Hash{}(key) >> 7) % shards_.size()]; }

  void demote(shard& in) {
    const auto last = std::prev(in.kept.end());
    last->is_protected = false;
    in.kept_bytes -= last->bytes;
    in.probation.splice(in.probation.begin(), in.kept, last);
  }
  void remove(shard& in, typename list::iterator at) {
    in.bytes -= at->bytes;
    if (at->is_protected) in.kept_bytes -= at->bytes;
    in.by_key.erase(at->key);
    (at->is_protected ? in.kept : in.probation).erase(at);
  }
  template<class F> std::size_t sum(const F& of) const {
    std::size_t out = 0;
    for (const auto& each : shards_) {
      const std::lock_guard hold(each->lock);
      out += of(*each);
    }
    return out;
  }

  std::vector<std::unique_ptr<shard>> shards_;
  std::size_t count_max_ = 1;
  std::size_t bytes_max_ = 0;
  std::atomic<std::uint64_t> evictions_{0};
};

} // namespace mooring::graphql
