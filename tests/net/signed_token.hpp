// Tokens of any header and claims behind a right signature, and keys to sign with: what jwt_test and the token fuzzer need, and
// make_token does not make.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "net/jwt.hpp"

namespace mooring::net::test {

inline std::string signed_part(std::string_view header, std::string_view claims) {
  return base64url_encode(header) + "." + base64url_encode(claims);
}

inline std::string hs256(std::string_view header, std::string_view claims, std::string_view secret) {
  const auto text = signed_part(header, claims);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &length);
  return text + "." + base64url_encode({reinterpret_cast<const char*>(mac.data()), length});
}

// A fresh key for RS256, or for ES256 (P-256).
class key_pair {
 public:
  explicit key_pair(bool is_rsa, unsigned bits = 2048)
      : key_(is_rsa ? EVP_RSA_gen(bits) : EVP_EC_gen("P-256")) {}
  key_pair(const key_pair&) = delete;
  key_pair& operator=(const key_pair&) = delete;
  ~key_pair() { EVP_PKEY_free(key_); }

  std::string pem() const { // the public half
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(out, key_);
    char* text = nullptr;
    const auto length = BIO_get_mem_data(out, &text);
    std::string pem_text(text, static_cast<std::size_t>(length));
    BIO_free(out);
    return pem_text;
  }

  std::string sign(std::string_view header, std::string_view claims) const {
    const auto text = signed_part(header, claims);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::size_t length = 1024;
    std::string signature(length, '\0');
    EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &length,
                   reinterpret_cast<const unsigned char*>(text.data()), text.size());
    EVP_MD_CTX_free(context);
    signature.resize(length);
    return text + "." +
           base64url_encode(EVP_PKEY_get_base_id(key_) == EVP_PKEY_EC ? raw(signature) : signature);
  }

 private:
  // Of an ECDSA signature in DER the two numbers side by side, as RFC 7518, 3.4 wants it.
  static std::string raw(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* both = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string numbers(64, '\0');
    auto* const to = reinterpret_cast<unsigned char*>(numbers.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(both), to, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(both), to + 32, 32);
    ECDSA_SIG_free(both);
    return numbers;
  }

  EVP_PKEY* key_;
};

} // namespace mooring::net::test
