// net/jwt.hpp: tokens as clients bring them, and header and claims of any content behind a right signature,
// so that what is read after the signature is reached as well.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.hpp"
#include "net/jwt.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;
using namespace mooring::net;

namespace {

constexpr std::string_view secret = "a secret of the fuzz target, 32 bytes or more";
constexpr instant now{1'759'060'800'000};

const jwt_verifier& verifier() {
  static const auto made = [] {
    jwt_options options;
    options.keys.push_back({"", jwt_algorithm::hs256, std::string(secret)});
    auto created = jwt_verifier::create(std::move(options));
    MOORING_CHECK(created.ok(), "the key of this target is usable");
    return std::move(*created);
  }();
  return *made;
}

std::string sign(std::string_view header, std::string_view claims) {
  auto token = base64url_encode(header) + "." + base64url_encode(claims);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(token.data()), token.size(), mac.data(), &length);
  return token + "." + base64url_encode({reinterpret_cast<const char*>(mac.data()), length});
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

} // namespace

// The first byte: even, the rest is a token; odd, a header and claims (after the first newline) to be signed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  if (length == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, length - 1);
  if (bytes[0] % 2 == 0) {
    check(text);
    if (const auto decoded = base64url_decode(text))
      MOORING_CHECK(base64url_encode(*decoded) == text, "a value has one spelling");
    return 0;
  }
  const auto end = text.find('\n');
  check(sign(text.substr(0, end), end == std::string_view::npos ? "" : text.substr(end + 1)));
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  const auto give = [&](char kind, std::string_view text) {
    const auto seed = kind + std::string(text);
    add(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
  };
  static constexpr std::string_view header = R"({"alg":"HS256","typ":"JWT"})";
  static constexpr std::string_view claims =
      R"({"sub":"anna","tenant":"acme","device":"phone-1","roles":["admin","operator"],"iat":1759060000,"nbf":1759060000,"exp":1759064400})";
  const auto token = sign(header, claims);
  MOORING_CHECK(verifier().verify(token, now).ok(), "the seed is a good token");
  give('\0', token);
  give('\0', base64url_encode(header) + "." + base64url_encode(claims) + ".");
  for (const std::string_view head :
       {header, std::string_view(R"({"alg":"none"})"), std::string_view(R"({"alg":123,"typ":5})"),
        std::string_view(R"({"alg":"RS256","kid":"x"})"),
        std::string_view(R"({"typ":"JWT","alg":"HS256","crit":["b64"]})")})
    give('\1', std::string(head) + "\n" + std::string(claims));
  for (const std::string_view other :
       {R"([1,2])", R"({"sub":"a","tenant":"b"})", R"({"sub":1,"tenant":{},"exp":"soon"})",
        R"({"sub":"a","tenant":"b","exp":1e300})", R"({"sub":"a","tenant":"b","exp":18446744073709551615})",
        R"({"sub":"a","tenant":"b","exp":-1,"roles":"admin"})",
        R"({"sub":"a","tenant":"b","exp":1759064400.5})",
        R"({"sub":"a\u0000b","tenant":"","exp":1759064400})"})
    give('\1', std::string(header) + "\n" + std::string(other));
}
