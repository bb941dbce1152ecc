// request_arena: memory that is given out by moving a pointer and freed all at once; inline, no virtual call.
//
// One per request (coerced arguments), one per plan (its fields and constants). It may begin in memory that
// the owner brings, so that an ordinary request never asks the heap. Only trivially destructible things live
// in it: nothing is destroyed. Not thread-safe while it is filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

namespace mooring::graphql {

class request_arena {
 public:
  request_arena() = default;
  // Begins in memory that the caller owns and that outlives the arena.
  request_arena(char* initial, std::size_t bytes)
      : at_(initial)
      , end_(initial + bytes) {}
  ~request_arena() { release(); }
  request_arena(const request_arena&) = delete;
  request_arena& operator=(const request_arena&) = delete;

  void* allocate(std::size_t bytes, std::size_t alignment) {
    auto at = aligned(alignment);
    if (at_ == nullptr || at + bytes > reinterpret_cast<std::uintptr_t>(end_)) {
      grow(bytes + alignment);
      at = aligned(alignment);
    }
    at_ = reinterpret_cast<char*>(at + bytes);
    return reinterpret_cast<void*>(at);
  }
  // `count` value-initialised elements.
  template<class T> std::span<T> array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    if (count == 0) return {};
    auto* first = static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
    for (std::size_t i = 0; i < count; ++i) new (first + i) T();
    return {first, count};
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {"", 0};
    auto* to = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }
  // Bytes asked of the heap.
  std::size_t heap_bytes() const { return heap_bytes_; }

 private:
  struct block {
    block* previous;
  };
  std::uintptr_t aligned(std::size_t alignment) const {
    return (reinterpret_cast<std::uintptr_t>(at_) + alignment - 1) & ~(std::uintptr_t{alignment} - 1);
  }
  void grow(std::size_t at_least) {
    const auto bytes = sizeof(block) + (at_least > next_block_ ? at_least : next_block_);
    if (next_block_ < block_bytes_max) next_block_ *= 2;
    auto* fresh = static_cast<block*>(::operator new(bytes));
    fresh->previous = last_;
    last_ = fresh;
    heap_bytes_ += bytes;
    at_ = reinterpret_cast<char*>(fresh + 1);
    end_ = reinterpret_cast<char*>(fresh) + bytes;
  }
  void release() {
    while (last_ != nullptr) {
      auto* gone = last_;
      last_ = gone->previous;
      ::operator delete(gone);
    }
  }

  static constexpr std::size_t block_bytes_max = 256 * 1024;
  char* at_ = nullptr;
  char* end_ = nullptr;
  block* last_ = nullptr;
  std::size_t next_block_ = 4 * 1024;
  std::size_t heap_bytes_ = 0;
};

} // namespace mooring::graphql
