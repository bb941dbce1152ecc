#include "net/jwt.hpp"

#include <doctest/doctest.h>

#include "net/token_cache.hpp"
#include "tests/net/signed_token.hpp"

using namespace mooring;
using namespace mooring::net;
using namespace mooring::net::test;

namespace {

const std::string secret(32, 'k');
constexpr instant now{1'759'060'800'000};
const std::string good_claims = R"({"sub":"u","tenant":"t","exp":1759064400})";

std::string token(const std::string& claims) {
  return hs256(R"({"alg":"HS256"})", claims, secret);
}

std::shared_ptr<const jwt_verifier> verifier(std::vector<jwt_key> keys = {{"", jwt_algorithm::hs256, secret}},
                                             jwt_options rest = {}) {
  rest.keys = std::move(keys);
  auto made = jwt_verifier::create(std::move(rest));
  REQUIRE(made.ok());
  return *made;
}

std::string fault(const jwt_verifier& by, const std::string& text) {
  const auto verified = by.verify(text, now);
  if (verified) return "";
  CHECK(verified.failure().code == error_code::unauthenticated);
  return verified.failure().message;
}

} // namespace

TEST_CASE("a token made for the command line verifies and carries its claims") {
  token_claims claims;
  claims.tenant = "acme";
  claims.user = "ana \"the first\"";
  claims.device = "phone-1";
  claims.roles = {"admin", "auditor"};
  claims.issued = now;
  const auto made = make_token(claims, secret);
  REQUIRE(made.ok());
  const auto who = verifier()->verify(*made, now);
  REQUIRE(who.ok());
  CHECK(who->tenant == "acme");
  CHECK(who->user == "ana \"the first\"");
  CHECK(who->device == "phone-1");
  CHECK(who->is_admin);
  CHECK_FALSE(who->is_operator);
  CHECK(who->expires == now + 3'600'000);
}

TEST_CASE("a token is not made from claims that would not verify") {
  token_claims claims;
  claims.user = "u";
  CHECK_FALSE(make_token(claims, secret).ok());
  claims.tenant = "t";
  claims.issued = now;
  CHECK(make_token(claims, secret).ok());
  CHECK_FALSE(make_token(claims, "short").ok());
  claims.user = "u\n";
  CHECK_FALSE(make_token(claims, secret).ok());
  claims.user = "\xff";
  CHECK_FALSE(make_token(claims, secret).ok());
  claims.user = std::string(256, 'u');
  CHECK_FALSE(make_token(claims, secret).ok());
}

TEST_CASE("claims that are missing or of another type refuse the token") {
  const auto by = verifier();
  CHECK(fault(*by, token(good_claims)) == "");
  const struct {
    const char* claims;
    const char* named;
  } cases[] = {
      {R"({"sub":"u","tenant":"t"})", "`exp`"},
      {R"({"sub":"u","tenant":"t","exp":"1759064400"})", "`exp`"},
      {R"({"sub":"u","tenant":"t","exp":null})", "`exp`"},
      {R"({"sub":"u","tenant":"t","exp":-1})", "`exp`"},
      {R"({"sub":"u","tenant":"t","exp":1e300})", "`exp`"},
      {R"({"sub":"u","tenant":"t","exp":[1759064400]})", "`exp`"},
      {R"({"sub":"u","tenant":"t","exp":1759060800})", "expired"},
      {R"({"sub":"u","tenant":"t","exp":18446744073709551615})", "`exp`"},
      {R"({"tenant":"t","exp":1759064400})", "`sub`"},
      {R"({"sub":7,"tenant":"t","exp":1759064400})", "`sub`"},
      {R"({"sub":"","tenant":"t","exp":1759064400})", "`sub`"},
      {R"({"sub":"a\u0000b","tenant":"t","exp":1759064400})", "`sub`"},
      {R"({"sub":"a\u0085b","tenant":"t","exp":1759064400})", "`sub`"},
      {R"({"sub":"u","exp":1759064400})", "`tenant`"},
      {R"({"sub":"u","tenant":["t"],"exp":1759064400})", "`tenant`"},
      {R"({"sub":"u","tenant":"t\n","exp":1759064400})", "`tenant`"},
      {R"({"sub":"u","tenant":"t","device":"","exp":1759064400})", "`device`"},
      {R"({"sub":"u","tenant":"t","device":{},"exp":1759064400})", "`device`"},
      {R"({"sub":"u","tenant":"t","roles":"admin","exp":1759064400})", "`roles`"},
      {R"({"sub":"u","tenant":"t","roles":["admin",1],"exp":1759064400})", "`roles`"},
      {R"({"sub":"u","tenant":"t","nbf":1759060861,"exp":1759064400})", "not valid yet"},
      {R"({"sub":"u","tenant":"t","iat":1759060861,"exp":1759064400})", "not valid yet"},
      {R"({"sub":"u","tenant":"t","iat":"now","exp":1759064400})", "`iat`"},
      {R"(["sub"])", "not a JSON object"},
      {R"("sub")", "not a JSON object"},
      {R"({"sub":"u",)", "not a JSON object"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.claims);
    CHECK(fault(*by, token(one.claims)).find(one.named) != std::string::npos);
  }
  CHECK(fault(*by, token(R"({"sub":")" + std::string(256, 'u') + R"(","tenant":"t","exp":1759064400})")) !=
        "");
  CHECK(fault(*by, token(R"({"sub":")" + std::string(255, 'u') + R"(","tenant":"t","exp":1759064400})")) ==
        "");
  CHECK(
      fault(*by, token(R"({"sub":"u","tenant":"t","nbf":1759060860,"iat":1759060860.5,"exp":1759064400})")) !=
      "");
  CHECK(
      fault(*by, token(R"({"sub":"u","tenant":"t","nbf":1759060860,"iat":1759060860,"exp":1759064400.5})")) ==
      "");
}

TEST_CASE("the algorithm is our key's, whatever the token says") {
  const auto by = verifier();
  for (const char* header :
       {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":""})", R"({"alg":123})", R"({"alg":null})",
        R"({"alg":["HS256"]})", R"({"alg":"HS512"})", R"({"alg":"RS256"})", R"({"alg":"hs256"})", R"({})",
        R"([])", R"({"alg":"HS256","crit":["exp"]})", R"({"alg":"HS256","kid":1})"}) {
    CAPTURE(header);
    CHECK(fault(*by, hs256(header, good_claims, secret)) != "");
  }
  CHECK(fault(*by, hs256(R"({"typ":5,"alg":"HS256"})", good_claims, secret)) == "");
  // No signature at all.
  CHECK(fault(*by, base64url_encode(R"({"alg":"none"})") + "." + base64url_encode(good_claims) + ".") != "");
  CHECK(fault(*by, base64url_encode(R"({"alg":"HS256"})") + "." + base64url_encode(good_claims) + ".") != "");

  // The public key used as an HMAC secret, with and without naming the key.
  const key_pair rsa(true);
  const auto pem = rsa.pem();
  const auto by_rsa = verifier({{"main", jwt_algorithm::rs256, pem}});
  CHECK(fault(*by_rsa, hs256(R"({"alg":"HS256","kid":"main"})", good_claims, pem)) ==
        "the token's algorithm is not the one of its key");
  CHECK(fault(*by_rsa, hs256(R"({"alg":"HS256"})", good_claims, pem)) != "");
  CHECK(fault(*by_rsa, hs256(R"({"alg":"RS256","kid":"main"})", good_claims, pem)) ==
        "the token's signature does not verify");
}

TEST_CASE("RS256 and ES256 verify with the key that the token names") {
  const key_pair rsa(true);
  const key_pair ec(false);
  const key_pair other_rsa(true);
  const key_pair other_ec(false);
  const auto by = verifier({{"r", jwt_algorithm::rs256, rsa.pem()},
                            {"e", jwt_algorithm::es256, ec.pem()},
                            {"", jwt_algorithm::hs256, secret}});
  CHECK(fault(*by, rsa.sign(R"({"alg":"RS256","kid":"r"})", good_claims)) == "");
  CHECK(fault(*by, ec.sign(R"({"alg":"ES256","kid":"e"})", good_claims)) == "");
  CHECK(fault(*by, token(good_claims)) == "");
  CHECK(fault(*by, other_rsa.sign(R"({"alg":"RS256","kid":"r"})", good_claims)) != "");
  CHECK(fault(*by, other_ec.sign(R"({"alg":"ES256","kid":"e"})", good_claims)) != "");
  CHECK(fault(*by, rsa.sign(R"({"alg":"RS256","kid":"e"})", good_claims)) != "");
  CHECK(fault(*by, rsa.sign(R"({"alg":"RS256","kid":"unknown"})", good_claims)) ==
        "the token is signed by a key that is not known here");
  CHECK(fault(*by, rsa.sign(R"({"alg":"RS256"})", good_claims)) != "");
  // ES256 signatures of another length, and of zeros.
  const auto signed_part =
      base64url_encode(R"({"alg":"ES256","kid":"e"})") + "." + base64url_encode(good_claims);
  for (const std::size_t length : {0U, 63U, 65U, 64U})
    CHECK(fault(*by, signed_part + "." + base64url_encode(std::string(length, '\0'))) != "");
}

TEST_CASE("tokens that are cut, too long, badly encoded or absurdly nested are refused and nothing breaks") {
  const auto by = verifier();
  const auto good = token(good_claims);
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK(fault(*by, good.substr(0, length)) != "");
  for (std::size_t at = 0; at < good.size(); ++at) {
    auto changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    CHECK(fault(*by, changed) != "");
  }
  CHECK(fault(*by, good + ".") != "");
  CHECK(fault(*by, good + "=") != "");
  CHECK(fault(*by, "." + good) != "");
  CHECK(fault(*by, good + " ") != "");
  CHECK(fault(*by, "...") != "");
  CHECK(fault(*by, std::string(4097, 'a')) == "the token is longer than 4096 bytes");
  const auto nested = std::string(1'000, '[') + std::string(1'000, ']');
  CHECK(fault(*by, token(nested)) != "");
  CHECK(fault(*by, hs256(nested, good_claims, secret)) != "");
  CHECK(fault(*by, token(std::string(10'000, '[') + std::string(10'000, ']'))) != "");
}

TEST_CASE("a member that comes twice is refused: others might take the other one") {
  const auto by = verifier();
  CHECK(fault(*by, token(R"({"sub":"u","tenant":"t","tenant":"other","exp":1759064400})")) ==
        "the token has a claim twice");
  CHECK(fault(*by, hs256(R"({"alg":"HS256","typ":"JWT","alg":"none"})", good_claims, secret)) ==
        "the token's header has a member twice");
}

TEST_CASE("audience and issuer are asked for when they are configured") {
  jwt_options options;
  options.audience = "mooring";
  options.issuer = "https://id.example.com";
  const auto by = verifier({{"", jwt_algorithm::hs256, secret}}, options);
  const auto with = [](const std::string& rest) {
    return token(R"({"sub":"u","tenant":"t","exp":1759064400)" + rest + "}");
  };
  const std::string issuer = R"(,"iss":"https://id.example.com")";
  CHECK(fault(*by, with(issuer + R"(,"aud":"mooring")")) == "");
  CHECK(fault(*by, with(issuer + R"(,"aud":["other","mooring"])")) == "");
  CHECK(fault(*by, with(issuer + R"(,"aud":["other"])")) != "");
  CHECK(fault(*by, with(issuer + R"(,"aud":7)")) != "");
  CHECK(fault(*by, with(issuer)) != "");
  CHECK(fault(*by, with(R"(,"aud":"mooring")")) != "");
  CHECK(fault(*by, with(R"(,"aud":"mooring","iss":"https://id.example.com/")")) != "");
}

TEST_CASE("the leeway lets a token live a little after its expiry, and no longer") {
  jwt_options options;
  options.expiry_leeway_ms = 30'000;
  const auto by = verifier({{"", jwt_algorithm::hs256, secret}}, options);
  const auto text = token(R"({"sub":"u","tenant":"t","exp":1759060800})");
  CHECK(by->verify(text, now).ok());
  CHECK(by->verify(text, now + 29'999).ok());
  CHECK_FALSE(by->verify(text, now + 30'000).ok());
}

TEST_CASE("keys that nobody should use are refused when the verifier is made") {
  const key_pair ec(false);
  const auto made = [](std::vector<jwt_key> keys) {
    jwt_options options;
    options.keys = std::move(keys);
    return jwt_verifier::create(std::move(options)).ok();
  };
  CHECK_FALSE(made({}));
  CHECK_FALSE(made({{"", jwt_algorithm::hs256, "short"}}));
  CHECK_FALSE(made({{"", jwt_algorithm::rs256, "no PEM"}}));
  CHECK_FALSE(made({{"", jwt_algorithm::rs256, ec.pem()}}));
  CHECK_FALSE(made({{"", jwt_algorithm::es256, key_pair(true).pem()}}));
  CHECK_FALSE(made({{"", jwt_algorithm::rs256, key_pair(true, 1024).pem()}}));
  CHECK_FALSE(made({{"a", jwt_algorithm::es256, ec.pem()}, {"a", jwt_algorithm::es256, ec.pem()}}));
  CHECK(made({{"a", jwt_algorithm::es256, ec.pem()}, {"b", jwt_algorithm::es256, ec.pem()}}));
}

TEST_CASE("base64url has exactly one spelling for a value") {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar", "\xff\xfe\xfd"}) {
    CHECK(base64url_decode(base64url_encode(text)) == text);
  }
  CHECK(base64url_encode("\xfb\xff") == "-_8");
  for (const char* text : {"A", "Zg==", "Zh", "Zm9=", "Zm 9", "Zm9v\n", "+/8", "Zm9vY"}) {
    CAPTURE(text);
    CHECK_FALSE(base64url_decode(text).has_value());
  }
}

TEST_CASE("the token cache remembers successes within its bound and not beyond their expiry") {
  token_cache cache(verifier(), 2);
  const auto one = token(good_claims);
  const auto first = cache.verify(one, now);
  REQUIRE(first.ok());
  CHECK(cache.verify(one, now + 1'000).value() == *first);
  CHECK_FALSE(cache.verify(one + "x", now).ok());
  CHECK(cache.size() == 1);
  for (const char* user : {"a", "b", "c"})
    CHECK(cache.verify(token(std::string(R"({"sub":")") + user + R"(","tenant":"t","exp":1759064400})"), now)
              .ok());
  CHECK(cache.size() == 2);
  CHECK(cache.verify(one, now).value() != *first); // was pushed out, verified again
  CHECK_FALSE(cache.verify(one, now + 3'600'000).ok());
  CHECK(cache.size() == 1);
}
