// The client's side of a long body: one GET with a bearer token, its answer handed on piece by piece. For the
// commands that talk to another node; blocks.
//
// https verifies the certificate and its name, against the system's store or the given file.
// Failures: bad_user_input, the URL or the CA file; unavailable, the node cannot be reached, its answer ended
// early, or it says so (503); unauthenticated and forbidden, the node says so; internal, any other answer or
// a certificate that does not verify. The message names the host and says what the node said. The token is in
// none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mooring::net {

struct http_url {
  bool is_tls = false;
  std::string host; // without brackets
  std::uint16_t port = 0;
  std::string path; // "" or "/…" without a slash at its end
};

// "https://sync.example.org", "http://[::1]:8440/behind/a/proxy". bad_user_input for anything else.
result<http_url> parse_http_url(std::string_view text);

struct download_options {
  http_url from;
  std::string target; // the path that is asked for, behind the URL's
  std::string bearer;
  std::string ca_file; // PEM; empty: the system's store
  std::int64_t connect_timeout_ms = 10'000;
  std::int64_t silence_timeout_ms = 60'000; // without a byte of the answer
};

// Each piece of a 200's body goes to `take`, whose failure ends the download and is returned. ok: the body is
// whole.
result<void> download(const download_options& options,
                      const std::function<result<void>(std::string_view)>& take);

} // namespace mooring::net
