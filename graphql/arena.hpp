// One monotonic arena per document: nodes are never freed one by one and have no destructors.
//
// Not thread-safe while it is filled; what it holds may be read from any thread afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mooring::graphql {

// A read-only run of nodes in an arena. Unlike std::span it may hold a type that is still incomplete.
template<class T> class list {
 public:
  list() = default;
  list(const T* first, std::uint32_t size)
      : first_(first)
      , size_(size) {}
  const T* begin() const { return first_; }
  const T* end() const { return first_ + size_; }
  std::uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](std::size_t index) const { return first_[index]; } // REQUIRES: index < size()

 private:
  const T* first_ = nullptr;
  std::uint32_t size_ = 0;
};

class arena {
 public:
  explicit arena(std::size_t first_block_bytes = 4096)
      : memory_(first_block_bytes) {}

  template<class T, class... Args> T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (memory_.allocate(sizeof(T), alignof(T))) T{std::forward<Args>(args)...};
  }
  // REQUIRES: items has fewer than 2^32 elements
  template<class T> list<T> copy(const std::vector<T>& items) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (items.empty()) return {};
    auto* to = static_cast<T*>(memory_.allocate(sizeof(T) * items.size(), alignof(T)));
    std::uninitialized_copy(items.begin(), items.end(), to);
    return {to, static_cast<std::uint32_t>(items.size())};
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    auto* to = static_cast<char*>(memory_.allocate(text.size(), 1));
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

 private:
  std::pmr::monotonic_buffer_resource memory_;
};

} // namespace mooring::graphql
