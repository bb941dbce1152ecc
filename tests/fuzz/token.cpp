// net/jwt.hpp: tokens as clients bring them; header and claims of any content behind a right signature of each algorithm, so
// that what is read after the signature is reached as well; and signatures of any content behind a good header and claims.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "net/jwt.hpp"
#include "tests/fuzz/seeds.hpp"
#include "tests/net/signed_token.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

constexpr std::string_view secret = "a secret of the fuzz target, 32 bytes or more";
constexpr instant now{1'759'060'800'000};
constexpr std::string_view good_claims =
    R"({"sub":"anna","tenant":"acme","device":"phone-1","roles":["admin","operator"],"iat":1759060000,"nbf":1759060000,"exp":1759064400})";
constexpr std::string_view rs256_header = R"({"alg":"RS256","kid":"r"})",
                           es256_header = R"({"alg":"ES256","kid":"e"})";

const key_pair& rsa() {
  static const key_pair made(true);
  return made;
}
const key_pair& ec() {
  static const key_pair made(false);
  return made;
}

const jwt_verifier& verifier() {
  static const auto made = [] {
    jwt_options options;
    options.keys.push_back({"", jwt_algorithm::hs256, std::string(secret)});
    options.keys.push_back({"r", jwt_algorithm::rs256, rsa().pem()});
    options.keys.push_back({"e", jwt_algorithm::es256, ec().pem()});
    auto created = jwt_verifier::create(std::move(options));
    MOORING_CHECK(created.ok(), "the keys of this target are usable");
    return std::move(*created);
  }();
  return *made;
}

void check(std::string_view token) {
  const auto who = verifier().verify(token, now);
  if (!who) {
    MOORING_CHECK(who.failure().code == error_code::unauthenticated, "a bad token is unauthenticated");
    return;
  }
  MOORING_CHECK(token.size() <= token_bytes_max, "the limit on tokens holds");
  MOORING_CHECK(!who->tenant.empty() && who->tenant.size() <= 255, "a tenant is named");
  MOORING_CHECK(!who->user.empty() && who->user.size() <= 255, "a user is named");
  MOORING_CHECK(!who->device || (!who->device->empty() && who->device->size() <= 128),
                "a device is named or not");
  MOORING_CHECK(who->expires > now, "an expired token is refused");
}

// What an input is, by its first byte: a token; header and claims (after the first newline) to be signed with one of the keys; or
// the signature of a token whose header and claims are good.
enum class kind : std::uint8_t { token, hs256, rs256, es256, rs256_signature, es256_signature, count };

void check_signature(std::string_view header, std::string_view signature) {
  const auto token = signed_part(header, good_claims) + "." + base64url_encode(signature);
  MOORING_CHECK(!verifier().verify(token, now).ok(), "nobody signs without the key");
  check(token);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  if (length == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, length - 1);
  const auto end = text.find('\n');
  const auto header = text.substr(0, end), claims = end == std::string_view::npos ? "" : text.substr(end + 1);
  switch (static_cast<kind>(bytes[0] % static_cast<int>(kind::count))) {
  case kind::token:
    check(text);
    if (const auto decoded = base64url_decode(text))
      MOORING_CHECK(base64url_encode(*decoded) == text, "a value has one spelling");
    break;
  case kind::hs256: check(hs256(header, claims, secret)); break;
  case kind::rs256: check(rsa().sign(header, claims)); break;
  case kind::es256: check(ec().sign(header, claims)); break;
  case kind::rs256_signature: check_signature(rs256_header, text); break;
  case kind::es256_signature: check_signature(es256_header, text); break;
  case kind::count: break;
  }
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  const auto give = [&](kind of, std::string_view text) {
    const auto seed = static_cast<char>(of) + std::string(text);
    add(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
  };
  static constexpr std::string_view header = R"({"alg":"HS256","typ":"JWT"})";
  for (const auto& token : {hs256(header, good_claims, secret), rsa().sign(rs256_header, good_claims),
                            ec().sign(es256_header, good_claims)}) {
    MOORING_CHECK(verifier().verify(token, now).ok(), "the seed is a good token");
    give(kind::token, token);
  }
  give(kind::token, signed_part(header, good_claims) + ".");
  give(kind::rs256, std::string(rs256_header) + "\n" + std::string(good_claims));
  give(kind::es256, std::string(es256_header) + "\n" + std::string(good_claims));
  for (const std::size_t bytes : {0, 63, 64, 65, 256}) {
    give(kind::rs256_signature, std::string(bytes, '\0'));
    give(kind::es256_signature, std::string(bytes, '\xff'));
  }
  for (const std::string_view head :
       {header, std::string_view(R"({"alg":"none"})"), std::string_view(R"({"alg":123,"typ":5})"),
        std::string_view(R"({"alg":"RS256","kid":"x"})"),
        std::string_view(R"({"typ":"JWT","alg":"HS256","crit":["b64"]})")})
    give(kind::hs256, std::string(head) + "\n" + std::string(good_claims));
  for (const std::string_view other :
       {R"([1,2])", R"({"sub":"a","tenant":"b"})", R"({"sub":1,"tenant":{},"exp":"soon"})",
        R"({"sub":"a","tenant":"b","exp":1e300})", R"({"sub":"a","tenant":"b","exp":18446744073709551615})",
        R"({"sub":"a","tenant":"b","exp":-1,"roles":"admin"})",
        R"({"sub":"a","tenant":"b","exp":1759064400.5})",
        R"({"sub":"a\u0000b","tenant":"","exp":1759064400})"})
    give(kind::hs256, std::string(header) + "\n" + std::string(other));
}
