// WebSocket frames of a client, RFC 6455: prepared ones that only get their ids patched, and the reader of
// the server's. Client frames are masked; the mask is fixed per template, so that a patch is one XOR a byte
// and the server unmasks as it would for any client.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mooring::bench {

enum class opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// Appends one whole masked frame.
void append_frame(std::string& out, opcode kind, std::string_view payload);

// A text frame with holes of fixed width. Build it with text() and hole(), then finish(); after that stamp()
// appends a copy to a buffer and fill() writes into one hole of that copy.
class frame_template {
 public:
  using slot = std::size_t; // of the payload: where the hole begins

  void text(std::string_view part) { payload_.append(part); }
  slot hole(std::size_t width) {
    const slot at = payload_.size();
    payload_.append(width, ' ');
    return at;
  }
  void finish();

  // Appends the frame and returns where it begins in `out`.
  std::size_t stamp(std::string& out) const {
    const auto begin = out.size();
    out.append(frame_);
    return begin;
  }
  void fill(std::string& out, std::size_t begin, slot at, std::string_view value) const {
    char* to = out.data() + begin + header_ + at;
    for (std::size_t i = 0; i < value.size(); ++i)
      to[i] = static_cast<char>(static_cast<unsigned char>(value[i]) ^ mask_[(at + i) & 3U]);
  }
  std::size_t payload_bytes() const { return payload_.size(); }

 private:
  std::string payload_, frame_;
  std::size_t header_ = 0;
  std::array<unsigned char, 4> mask_{};
};

// One frame at the front of `bytes`, as servers send them (not masked).
struct server_frame {
  opcode kind{};
  bool last = false; // FIN
  std::string_view payload;
  std::size_t size = 0; // of the frame with its header
};
enum class frame_state : std::uint8_t { incomplete, complete, malformed };
frame_state read_frame(std::string_view bytes, server_frame& frame);

} // namespace mooring::bench
