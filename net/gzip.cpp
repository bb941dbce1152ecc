#include "net/gzip.hpp"

#include <algorithm>

#include <zlib.h>

namespace mooring::net {

struct gzip_codec::impl {
  z_stream deflating{};
  z_stream inflating{};
  bool can_deflate = false;
  bool can_inflate = false;
};

gzip_codec::gzip_codec()
    : impl_(std::make_unique<impl>()) {}
gzip_codec::~gzip_codec() {
  if (impl_->can_deflate) deflateEnd(&impl_->deflating);
  if (impl_->can_inflate) inflateEnd(&impl_->inflating);
}

namespace {
constexpr int gzip_window = 15 + 16; // the largest window, with gzip's header and trailer

Bytef* input_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}
} // namespace

std::string gzip_codec::compress(std::string_view plain) {
  auto& stream = impl_->deflating;
  if (!impl_->can_deflate) {
    const auto status = deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY);
    MOORING_CHECK(status == Z_OK, "zlib can be initialised");
    impl_->can_deflate = true;
  } else {
    deflateReset(&stream);
  }
  std::string out(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = input_of(plain);
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const auto status = deflate(&stream, Z_FINISH);
  MOORING_CHECK(status == Z_STREAM_END, "deflateBound is enough for one deflate");
  out.resize(stream.total_out);
  return out;
}

result<std::string> gzip_codec::inflate(std::string_view compressed, std::size_t bytes_max,
                                        std::size_t padding) {
  auto& stream = impl_->inflating;
  if (!impl_->can_inflate) {
    const auto status = inflateInit2(&stream, gzip_window);
    MOORING_CHECK(status == Z_OK, "zlib can be initialised");
    impl_->can_inflate = true;
  } else {
    inflateReset(&stream);
  }
  stream.next_in = input_of(compressed);
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string out;
  std::size_t made = 0;
  for (;;) {
    // One byte more than allowed tells "exactly at the limit" from "over it".
    const auto room = std::min(bytes_max + 1 - made, std::max<std::size_t>(16 << 10, made));
    out.resize(made + room);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + made);
    stream.avail_out = static_cast<uInt>(room);
    const auto status = ::inflate(&stream, Z_NO_FLUSH);
    made += room - stream.avail_out;
    if (made > bytes_max)
      return error{error_code::payload_too_large,
                   "the inflated body is larger than " + std::to_string(bytes_max) + " bytes"};
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      inflateReset(&stream); // a further member
      continue;
    }
    if (status != Z_OK && status != Z_BUF_ERROR)
      return error{error_code::bad_user_input, "the body is not valid gzip"};
    if (stream.avail_in == 0 && stream.avail_out > 0)
      return error{error_code::bad_user_input, "the gzip body is cut short"};
  }
  out.resize(made);
  out.reserve(made + padding);
  return out;
}

} // namespace mooring::net
