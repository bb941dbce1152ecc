// The certificate and key of the server, as an OpenSSL context that connections share.
//
// A context is immutable. Reloading makes a new one for the connections to come; those that are open keep
// theirs.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"

struct ssl_ctx_st;

namespace mooring::net {

using tls_context = std::shared_ptr<ssl_ctx_st>;

// TLS 1.2 and later, ALPN http/1.1, idle connections without record buffers. bad_user_input names the file at
// fault and why: not there, not PEM, a key that is not the certificate's.
result<tls_context> load_tls_context(const std::string& certificate_file, const std::string& key_file);

} // namespace mooring::net
