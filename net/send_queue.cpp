#include "net/send_queue.hpp"

#include <utility>
#include <vector>

namespace mooring::net {

namespace {
constexpr std::size_t piece_bytes = 64 << 10;
// Pieces go round between the connections of a thread: a busy one gets one that has its size already.
constexpr std::size_t spare_pieces_max = 64;
thread_local std::vector<std::string> spare_pieces;

void spare(std::string&& piece) {
  if (piece.capacity() <= piece_bytes && spare_pieces.size() < spare_pieces_max) {
    piece.clear();
    spare_pieces.push_back(std::move(piece));
  }
  piece = std::string();
}
} // namespace

std::string& send_queue::tail() {
  if (tail_.size() >= piece_bytes) {
    full_bytes_ += tail_.size();
    full_.push_back(std::move(tail_));
    tail_ = std::string();
  }
  if (tail_.capacity() < 64 && tail_.empty() && !spare_pieces.empty()) {
    tail_ = std::move(spare_pieces.back());
    spare_pieces.pop_back();
  }
  return tail_;
}

void send_queue::take(std::size_t bytes) {
  sent_ += bytes;
  auto& first = full_.empty() ? tail_ : full_.front();
  if (sent_ < first.size()) return;
  sent_ = 0;
  if (full_.empty()) {
    spare(std::move(tail_));
    return;
  }
  full_bytes_ -= first.size();
  spare(std::move(first));
  full_.pop_front();
}

void send_queue::clear() {
  full_.clear();
  full_bytes_ = 0;
  sent_ = 0;
  if (!tail_.empty()) spare(std::move(tail_));
}

} // namespace mooring::net
