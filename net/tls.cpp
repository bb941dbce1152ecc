#include "net/tls.hpp"

#include <string_view>

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace mooring::net {

namespace {

error unusable(const std::string& what, const std::string& file) {
  char reason[256] = "unknown reason";
  if (const auto code = ERR_peek_last_error(); code != 0) ERR_error_string_n(code, reason, sizeof reason);
  ERR_clear_error();
  return {error_code::bad_user_input, "TLS: " + what + " '" + file + "': " + reason};
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                    unsigned int offered_length, void*) {
  static constexpr unsigned char ours[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, ours, sizeof ours - 1, offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

} // namespace

result<tls_context> load_tls_context(const std::string& certificate_file, const std::string& key_file) {
  ERR_clear_error();
  tls_context context(SSL_CTX_new(TLS_server_method()), [](SSL_CTX* one) { SSL_CTX_free(one); });
  if (!context) return error{error_code::internal, "TLS: OpenSSL gives no context"};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A peer that cuts the connection without close_notify is an ordinary end: every message of ours is framed.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Resumption by tickets only: a server-side cache would grow with the number of phones.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1)
    return unusable("cannot use the certificate", certificate_file);
  // No passphrase is ever asked for on a terminal.
  SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return 0; });
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return unusable("cannot use the key", key_file);
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return unusable("the certificate does not belong to the key", key_file);
  return context;
}

} // namespace mooring::net
