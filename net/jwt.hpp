// JSON Web Tokens: verifying the ones clients bring, and making the ones `mooring token` prints.
//
// The verifier trusts nothing in the token that it can know from its own configuration: the algorithm belongs
// to our key and the token's `alg` must only agree with it, so `none` and the RS256→HS256 confusion have no
// way in. The signature is checked before the claims are read. It never throws.
//
// Threads: a jwt_verifier is immutable after `create`; `verify` may be called from any thread.
// Errors: error_code::unauthenticated with a sentence that names the fault, never a part of the token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/gateway.hpp"

namespace mooring::net {

enum class jwt_algorithm : std::uint8_t { hs256, rs256, es256 };
std::string_view to_string(jwt_algorithm algorithm); // "HS256"
std::optional<jwt_algorithm> jwt_algorithm_from(std::string_view name);

struct jwt_key {
  std::string id; // matched with the token's `kid`; empty: the key for tokens without one
  jwt_algorithm algorithm = jwt_algorithm::hs256;
  std::string material; // HS256: the secret's bytes, at least 32; else a public key in PEM
};

struct jwt_options {
  std::vector<jwt_key> keys;           // ids are unique
  std::optional<std::string> audience; // when set, `aud` must name it
  std::optional<std::string> issuer;   // when set, `iss` must equal it
  std::int64_t skew_ms = 60'000;       // how far `nbf` and `iat` may lie ahead of our clock; at most 60 s
  std::int64_t expiry_leeway_ms = 0;   // how long a token is still taken after `exp`; at most 60 s
};

inline constexpr std::size_t token_bytes_max = 4096;
inline constexpr std::size_t jwt_secret_bytes_min = 32; // RFC 7518, 3.2: as long as the hash

class jwt_verifier {
 public:
  // bad_user_input when a key is unusable: a short secret, a PEM that does not parse, an RSA key under 2048
  // bits, an EC key that is not on P-256, two keys of one id, no key at all.
  static result<std::shared_ptr<const jwt_verifier>> create(jwt_options options);
  ~jwt_verifier();

  // Claims: `exp` required; `sub`, `tenant` required, 1 to 255 bytes without control characters; `device`
  // optional, 1 to 128 bytes; `roles` an optional list of strings. A wrong type in any of them refuses the
  // token.
  result<identity> verify(std::string_view token, instant now) const;

  std::int64_t expiry_leeway_ms() const { return options_.expiry_leeway_ms; }

 private:
  struct loaded_key;
  jwt_verifier();
  const loaded_key* key_for(std::optional<std::string_view> id) const;
  jwt_options options_; // without the keys' material
  std::vector<loaded_key> keys_;
};

struct token_claims {
  std::string tenant;
  std::string user;
  std::optional<std::string> device;
  std::vector<std::string> roles;
  std::optional<std::string> audience;
  std::optional<std::string> issuer;
  instant issued;
  std::int64_t ttl_ms = 3'600'000;
};

// An HS256 token. bad_user_input when a claim would not pass `verify`.
result<std::string> make_token(const token_claims& claims, std::string_view secret,
                               std::string_view key_id = {});

// Base64url without padding (RFC 4648, 5). The decoder is strict: no padding, no blanks, no bits left over,
// so that a value has exactly one spelling.
std::string base64url_encode(std::string_view bytes);
std::optional<std::string> base64url_decode(std::string_view text);

} // namespace mooring::net
