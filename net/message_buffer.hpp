// Bytes that came and wait to be parsed: one malloc'ed block, contiguous, with json_padding readable bytes
// behind it.
//
// Has the shape of Beast's DynamicBuffer. Memory is never cleared and is given back when the connection falls
// idle.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>

#include <boost/asio/buffer.hpp>

#include "base/json.hpp"

namespace mooring::net {

class message_buffer {
 public:
  using const_buffers_type = boost::asio::const_buffer;
  using mutable_buffers_type = boost::asio::mutable_buffer;

  message_buffer() = default;
  message_buffer(const message_buffer&) = delete;
  message_buffer& operator=(const message_buffer&) = delete;
  message_buffer(message_buffer&& other) noexcept { swap(other); }
  message_buffer& operator=(message_buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~message_buffer() { std::free(block_); }

  std::size_t size() const { return end_ - begin_; }
  std::size_t max_size() const { return std::numeric_limits<std::size_t>::max() / 4; }
  std::size_t capacity() const { return capacity_; }
  const_buffers_type data() const { return {block_ + begin_, size()}; }
  std::string_view view() const { return {block_ + begin_, size()}; }

  mutable_buffers_type prepare(std::size_t n) {
    if (begin_ != 0 && end_ + n + json_padding > capacity_) {
      std::memmove(block_, block_ + begin_, size());
      end_ -= begin_;
      begin_ = 0;
    }
    if (end_ + n + json_padding > capacity_) {
      // Doubling bounds the copying of a message that comes in pieces.
      std::size_t wanted = end_ + n + json_padding;
      if (capacity_ != 0 && wanted < 2 * capacity_) wanted = 2 * capacity_;
      auto* grown = static_cast<char*>(std::realloc(block_, wanted));
      if (grown == nullptr) throw std::bad_alloc();
      block_ = grown;
      capacity_ = wanted;
    }
    return {block_ + end_, n};
  }
  void commit(std::size_t n) { end_ += n; }
  void consume(std::size_t n) {
    if (n >= size()) {
      begin_ = end_ = 0;
    } else {
      begin_ += n;
    }
  }
  // Frees the block when it holds nothing and is larger than `keep_bytes`.
  void release(std::size_t keep_bytes) {
    if (size() != 0 || capacity_ <= keep_bytes) return;
    std::free(block_);
    block_ = nullptr;
    capacity_ = 0;
  }

 private:
  void swap(message_buffer& other) {
    std::swap(block_, other.block_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }
  char* block_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

} // namespace mooring::net
