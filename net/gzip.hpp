// gzip (RFC 1952) for HTTP bodies, on zlib.
//
// One gzip_codec per network thread; its working memory (256 KiB to compress, 40 KiB to inflate) is made at
// first use.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mooring::net {

class gzip_codec {
 public:
  gzip_codec();
  ~gzip_codec();
  gzip_codec(const gzip_codec&) = delete;
  gzip_codec& operator=(const gzip_codec&) = delete;

  // At the fastest level: the server's CPU is dearer than the last tenth of the size.
  std::string compress(std::string_view plain);

  // payload_too_large when the inflated bytes would be more than `bytes_max` (found out before they are all
  // made); bad_user_input when it is no gzip, is cut short, or bytes follow it. Several members are one text,
  // as in RFC 1952. The result has `padding` readable bytes behind its end.
  result<std::string> inflate(std::string_view compressed, std::size_t bytes_max, std::size_t padding);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace mooring::net
