#include "net/jwt.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base/json.hpp"
#include "base/json_writer.hpp"
#include "net/text.hpp"

namespace mooring::net {

namespace {

constexpr std::size_t identity_bytes_max = 255;
constexpr std::size_t device_bytes_max = 128;
constexpr std::size_t roles_max = 64;
constexpr double seconds_max = 253'402'300'799.0; // the year 9999, the last that an instant's text can show

struct key_deleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using key_pointer = std::unique_ptr<EVP_PKEY, key_deleter>;

error refused(std::string message) {
  return {error_code::unauthenticated, std::move(message)};
}
error unusable(std::string message) {
  return {error_code::bad_user_input, std::move(message)};
}

bool has_control_characters(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return true;
    // U+0080 to U+009F, the C1 controls.
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

bool is_name(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max && is_utf8(text) && !has_control_characters(text);
}

std::array<unsigned char, 32> hmac_sha256(std::string_view secret, std::string_view message) {
  std::array<unsigned char, 32> digest{};
  unsigned int length = 0;
  const auto* made =
      HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest.data(), &length);
  MOORING_CHECK(made != nullptr && length == digest.size(), "HMAC-SHA256 gives 32 bytes");
  return digest;
}

// A JOSE signature of ES256 is r and s, 32 bytes each; OpenSSL wants the DER of ECDSA-Sig-Value.
std::optional<std::vector<unsigned char>> der_of(std::string_view signature) {
  if (signature.size() != 64) return std::nullopt;
  const auto* bytes = reinterpret_cast<const unsigned char*>(signature.data());
  ECDSA_SIG* both = ECDSA_SIG_new();
  BIGNUM* r = BN_bin2bn(bytes, 32, nullptr);
  BIGNUM* s = BN_bin2bn(bytes + 32, 32, nullptr);
  if (both == nullptr || r == nullptr || s == nullptr || ECDSA_SIG_set0(both, r, s) != 1) {
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(both);
    return std::nullopt;
  }
  std::vector<unsigned char> der(80);
  auto* out = der.data();
  const auto length = i2d_ECDSA_SIG(both, &out);
  ECDSA_SIG_free(both);
  if (length <= 0) return std::nullopt;
  der.resize(static_cast<std::size_t>(length));
  return der;
}

bool verify_with(EVP_PKEY* key, const unsigned char* signature, std::size_t signature_bytes,
                 std::string_view message) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  if (context == nullptr) return false;
  const bool ok =
      EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, key) == 1 &&
      EVP_DigestVerify(context, signature, signature_bytes,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
  EVP_MD_CTX_free(context);
  ERR_clear_error();
  return ok;
}

result<key_pointer> load_public_key(const jwt_key& from) {
  const auto named = [&](std::string_view fault) {
    return unusable("JWT key '" + from.id + "' (" + std::string(to_string(from.algorithm)) +
                    "): " + std::string(fault));
  };
  BIO* pem = BIO_new_mem_buf(from.material.data(), static_cast<int>(from.material.size()));
  key_pointer key(pem == nullptr ? nullptr : PEM_read_bio_PUBKEY(pem, nullptr, nullptr, nullptr));
  BIO_free(pem);
  ERR_clear_error();
  if (!key) return named("is not a public key in PEM form (BEGIN PUBLIC KEY)");
  if (from.algorithm == jwt_algorithm::rs256) {
    if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) return named("is not an RSA key");
    if (EVP_PKEY_get_bits(key.get()) < 2048) return named("has fewer than 2048 bits");
  } else {
    char group[64] = {};
    std::size_t length = 0;
    if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_EC ||
        EVP_PKEY_get_utf8_string_param(key.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &length) !=
            1 ||
        std::string_view(group, length) != "prime256v1")
      return named("is not an EC key on the curve P-256");
  }
  return key;
}

// Seconds since 1970, as a JSON number, to an instant. Nothing when it is no number or lies outside of our
// calendar.
std::optional<instant> instant_of(const json_value& claim) {
  if (claim.absent()) return std::nullopt;
  const auto kind = claim.kind();
  if (kind != json_kind::integer && kind != json_kind::unsigned_integer && kind != json_kind::number)
    return std::nullopt;
  const double seconds = claim.number();
  if (!(seconds >= 0.0) || seconds > seconds_max) return std::nullopt;
  return instant{static_cast<std::int64_t>(std::floor(seconds * 1000.0))};
}

bool names_audience(const json_value& claim, std::string_view wanted) {
  if (claim.absent()) return false;
  if (claim.kind() == json_kind::string) return claim.string() == wanted;
  if (claim.kind() != json_kind::array) return false;
  bool found = false;
  claim.for_each_element([&](const json_value& one) {
    if (one.kind() == json_kind::string && one.string() == wanted) found = true;
  });
  return found;
}

result<identity> identity_of(const json_value& claims) {
  identity who;
  const auto user = claims.find("sub");
  if (user.absent() || user.kind() != json_kind::string || !is_name(user.string(), identity_bytes_max))
    return refused("the token's claim `sub` is missing or is not a string of 1 to 255 bytes");
  who.user = user.string();
  const auto tenant = claims.find("tenant");
  if (tenant.absent() || tenant.kind() != json_kind::string || !is_name(tenant.string(), identity_bytes_max))
    return refused("the token's claim `tenant` is missing or is not a string of 1 to 255 bytes");
  who.tenant = tenant.string();
  if (const auto device = claims.find("device"); !device.absent() && device.kind() != json_kind::null) {
    if (device.kind() != json_kind::string || !is_name(device.string(), device_bytes_max))
      return refused("the token's claim `device` is not a string of 1 to 128 bytes");
    who.device = std::string(device.string());
  }
  if (const auto roles = claims.find("roles"); !roles.absent() && roles.kind() != json_kind::null) {
    bool are_strings = roles.kind() == json_kind::array && roles.size() <= roles_max;
    if (are_strings) {
      roles.for_each_element([&](const json_value& role) {
        if (role.kind() != json_kind::string) {
          are_strings = false;
          return;
        }
        who.is_admin = who.is_admin || role.string() == "admin";
        who.is_operator = who.is_operator || role.string() == "operator";
      });
    }
    if (!are_strings) return refused("the token's claim `roles` is not a list of strings");
  }
  return who;
}

} // namespace

std::string_view to_string(jwt_algorithm algorithm) {
  switch (algorithm) {
  case jwt_algorithm::hs256: return "HS256";
  case jwt_algorithm::rs256: return "RS256";
  case jwt_algorithm::es256: return "ES256";
  }
  return "";
}

std::optional<jwt_algorithm> jwt_algorithm_from(std::string_view name) {
  for (const auto algorithm : {jwt_algorithm::hs256, jwt_algorithm::rs256, jwt_algorithm::es256})
    if (to_string(algorithm) == name) return algorithm;
  return std::nullopt;
}

struct jwt_verifier::loaded_key {
  std::string id;
  jwt_algorithm algorithm = jwt_algorithm::hs256;
  std::string secret;     // HS256
  key_pointer public_key; // RS256, ES256
};

jwt_verifier::jwt_verifier() = default;
jwt_verifier::~jwt_verifier() {
  for (auto& key : keys_) OPENSSL_cleanse(key.secret.data(), key.secret.size());
}

result<std::shared_ptr<const jwt_verifier>> jwt_verifier::create(jwt_options options) {
  if (options.keys.empty()) return unusable("no JWT key is configured: nobody could sign in");
  if (options.skew_ms < 0 || options.skew_ms > 60'000)
    return unusable("the clock skew for JWT must be 0 to 60 seconds");
  if (options.expiry_leeway_ms < 0 || options.expiry_leeway_ms > 60'000)
    return unusable("the leeway for a JWT's expiry must be 0 to 60 seconds");
  std::shared_ptr<jwt_verifier> made(new jwt_verifier);
  for (auto& key : options.keys) {
    if (made->key_for(key.id) != nullptr) return unusable("two JWT keys have the id '" + key.id + "'");
    loaded_key loaded;
    loaded.id = key.id;
    loaded.algorithm = key.algorithm;
    if (key.algorithm == jwt_algorithm::hs256) {
      if (key.material.size() < jwt_secret_bytes_min)
        return unusable("the HS256 secret '" + key.id + "' has fewer than 32 bytes");
      loaded.secret = key.material;
      OPENSSL_cleanse(key.material.data(), key.material.size());
    } else {
      auto public_key = load_public_key(key);
      if (!public_key) return public_key.failure();
      loaded.public_key = std::move(*public_key);
    }
    made->keys_.push_back(std::move(loaded));
  }
  options.keys.clear();
  made->options_ = std::move(options);
  return std::shared_ptr<const jwt_verifier>(std::move(made));
}

const jwt_verifier::loaded_key* jwt_verifier::key_for(std::optional<std::string_view> id) const {
  for (const auto& key : keys_)
    if (key.id == id.value_or("")) return &key;
  return nullptr;
}

namespace {

// RFC 7515, 4 and RFC 7519, 4: whoever takes the first and whoever takes the last would see different tokens.
bool repeats_a_member(const json_value& object) {
  std::vector<std::string_view> names;
  object.for_each_member([&](std::string_view name, const json_value&) { names.push_back(name); });
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

} // namespace

result<identity> jwt_verifier::verify(std::string_view token, instant now) const {
  if (token.empty()) return refused("the token is empty");
  if (token.size() > token_bytes_max) return refused("the token is longer than 4096 bytes");
  const auto first_dot = token.find('.');
  const auto last_dot = token.rfind('.');
  if (first_dot == std::string_view::npos || first_dot == last_dot ||
      token.find('.', first_dot + 1) != last_dot)
    return refused("the token does not have three parts");
  const auto header_text = base64url_decode(token.substr(0, first_dot));
  const auto claims_text = base64url_decode(token.substr(first_dot + 1, last_dot - first_dot - 1));
  const auto signature = base64url_decode(token.substr(last_dot + 1));
  if (!header_text || !claims_text || !signature) return refused("a part of the token is not base64url");

  json_parser parser;
  const loaded_key* key = nullptr;
  {
    const auto header = parser.parse(*header_text);
    if (!header || header->kind() != json_kind::object)
      return refused("the token's header is not a JSON object");
    if (repeats_a_member(*header)) return refused("the token's header has a member twice");
    const auto algorithm = header->find("alg");
    if (algorithm.absent() || algorithm.kind() != json_kind::string)
      return refused("the token's header has no `alg` that is a string");
    // RFC 7515, 4.1.11: who does not understand an extension named critical must refuse. We understand none.
    if (!header->find("crit").absent()) return refused("the token's header names critical extensions");
    const auto id = header->find("kid");
    if (!id.absent() && id.kind() != json_kind::string) return refused("the token's `kid` is not a string");
    if (id.absent()) {
      key = key_for(std::nullopt);
      if (key == nullptr && keys_.size() == 1) key = &keys_.front();
    } else {
      key = key_for(id.string());
    }
    if (key == nullptr) return refused("the token is signed by a key that is not known here");
    if (algorithm.string() != to_string(key->algorithm))
      return refused("the token's algorithm is not the one of its key");
  }

  const auto signed_part = token.substr(0, last_dot);
  bool genuine = false;
  switch (key->algorithm) {
  case jwt_algorithm::hs256: {
    const auto expected = hmac_sha256(key->secret, signed_part);
    genuine = signature->size() == expected.size() &&
              CRYPTO_memcmp(signature->data(), expected.data(), expected.size()) == 0;
    break;
  }
  case jwt_algorithm::rs256:
    genuine = verify_with(key->public_key.get(), reinterpret_cast<const unsigned char*>(signature->data()),
                          signature->size(), signed_part);
    break;
  case jwt_algorithm::es256:
    if (const auto der = der_of(*signature))
      genuine = verify_with(key->public_key.get(), der->data(), der->size(), signed_part);
    break;
  }
  if (!genuine) return refused("the token's signature does not verify");

  const auto claims = parser.parse(*claims_text);
  if (!claims || claims->kind() != json_kind::object)
    return refused("the token's claims are not a JSON object");
  if (repeats_a_member(*claims)) return refused("the token has a claim twice");
  const auto expires = instant_of(claims->find("exp"));
  if (!expires) return refused("the token's claim `exp` is missing or is not a time");
  if (now >= *expires + options_.expiry_leeway_ms) return refused("the token has expired");
  for (const auto* name : {"nbf", "iat"}) {
    const auto claim = claims->find(name);
    if (claim.absent()) continue;
    const auto at = instant_of(claim);
    if (!at) return refused("the token's claim `" + std::string(name) + "` is not a time");
    if (*at > now + options_.skew_ms) return refused("the token is not valid yet");
  }
  if (options_.audience && !names_audience(claims->find("aud"), *options_.audience))
    return refused("the token is for another audience");
  if (options_.issuer) {
    const auto issuer = claims->find("iss");
    if (issuer.absent() || issuer.kind() != json_kind::string || issuer.string() != *options_.issuer)
      return refused("the token is from another issuer");
  }
  auto who = identity_of(*claims);
  if (who) who->expires = *expires;
  return who;
}

result<std::string> make_token(const token_claims& claims, std::string_view secret, std::string_view key_id) {
  if (secret.size() < jwt_secret_bytes_min) return unusable("the secret has fewer than 32 bytes");
  if (!is_name(claims.tenant, identity_bytes_max))
    return unusable("the tenant must be 1 to 255 bytes without control characters");
  if (!is_name(claims.user, identity_bytes_max))
    return unusable("the user must be 1 to 255 bytes without control characters");
  if (claims.device && !is_name(*claims.device, device_bytes_max))
    return unusable("the device must be 1 to 128 bytes without control characters");
  if (claims.roles.size() > roles_max) return unusable("a token has at most 64 roles");
  if (claims.ttl_ms < 1000) return unusable("a token must live for at least one second");

  std::string header = R"({"alg":"HS256","typ":"JWT")";
  if (!key_id.empty()) {
    header += R"(,"kid":)";
    append_json_string(header, key_id);
  }
  header += '}';
  std::string body = R"({"sub":)";
  append_json_string(body, claims.user);
  body += R"(,"tenant":)";
  append_json_string(body, claims.tenant);
  if (claims.device) {
    body += R"(,"device":)";
    append_json_string(body, *claims.device);
  }
  if (!claims.roles.empty()) {
    body += R"(,"roles":[)";
    for (const auto& role : claims.roles) {
      if (&role != &claims.roles.front()) body += ',';
      append_json_string(body, role);
    }
    body += ']';
  }
  if (claims.audience) {
    body += R"(,"aud":)";
    append_json_string(body, *claims.audience);
  }
  if (claims.issuer) {
    body += R"(,"iss":)";
    append_json_string(body, *claims.issuer);
  }
  body += R"(,"iat":)";
  append_json_integer(body, claims.issued.ms / 1000);
  body += R"(,"exp":)";
  append_json_integer(body, (claims.issued.ms + claims.ttl_ms) / 1000);
  body += '}';

  auto token = base64url_encode(header) + '.' + base64url_encode(body);
  const auto signature = hmac_sha256(secret, token);
  token += '.';
  token += base64url_encode({reinterpret_cast<const char*>(signature.data()), signature.size()});
  if (token.size() > token_bytes_max) return unusable("the token would be longer than 4096 bytes");
  return token;
}

std::string base64url_encode(std::string_view bytes) {
  static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    held += 8;
    while (held >= 6) {
      held -= 6;
      out += alphabet[(bits >> held) & 63];
    }
  }
  if (held > 0) out += alphabet[(bits << (6 - held)) & 63];
  return out;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<std::uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = static_cast<std::uint32_t>(c - '0') + 52;
    else if (c == '-')
      value = 62;
    else if (c == '_')
      value = 63;
    else
      return std::nullopt;
    bits = (bits << 6) | value;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>((bits >> held) & 0xff);
    }
  }
  if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;
  return out;
}

} // namespace mooring::net
