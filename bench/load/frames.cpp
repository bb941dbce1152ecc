#include "bench/load/frames.hpp"

namespace mooring::bench {
namespace {

constexpr std::array<unsigned char, 4> fixed_mask{0x5b, 0xc3, 0x1e, 0xa7};

void append_header(std::string& out, opcode kind, std::size_t length) {
  out.push_back(static_cast<char>(0x80U | static_cast<unsigned>(kind)));
  if (length < 126) {
    out.push_back(static_cast<char>(0x80U | length));
  } else if (length < 65536) {
    out.push_back(static_cast<char>(0x80U | 126U));
    out.push_back(static_cast<char>(length >> 8));
    out.push_back(static_cast<char>(length));
  } else {
    out.push_back(static_cast<char>(0x80U | 127U));
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(length >> shift));
  }
  out.append(reinterpret_cast<const char*>(fixed_mask.data()), fixed_mask.size());
}

} // namespace

void append_frame(std::string& out, opcode kind, std::string_view payload) {
  append_header(out, kind, payload.size());
  const auto begin = out.size();
  out.append(payload);
  for (std::size_t i = 0; i < payload.size(); ++i)
    out[begin + i] = static_cast<char>(static_cast<unsigned char>(payload[i]) ^ fixed_mask[i & 3U]);
}

void frame_template::finish() {
  mask_ = fixed_mask;
  frame_.clear();
  append_frame(frame_, opcode::text, payload_);
  header_ = frame_.size() - payload_.size();
}

frame_state read_frame(std::string_view bytes, server_frame& frame) {
  if (bytes.size() < 2) return frame_state::incomplete;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if ((byte(0) & 0x70U) != 0 || (byte(1) & 0x80U) != 0) return frame_state::malformed;
  std::size_t header = 2;
  std::uint64_t length = byte(1) & 0x7fU;
  if (length >= 126) {
    const std::size_t extra = length == 126 ? 2 : 8;
    header += extra;
    if (bytes.size() < header) return frame_state::incomplete;
    length = 0;
    for (std::size_t i = 0; i < extra; ++i) length = (length << 8) | byte(2 + i);
    if (length > (std::uint64_t{1} << 32)) return frame_state::malformed;
  }
  if (bytes.size() - header < length) return frame_state::incomplete;
  frame.kind = static_cast<opcode>(byte(0) & 0x0fU);
  frame.last = (byte(0) & 0x80U) != 0;
  frame.payload = bytes.substr(header, length);
  frame.size = header + length;
  return frame_state::complete;
}

} // namespace mooring::bench
