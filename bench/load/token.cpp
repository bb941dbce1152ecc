#include "bench/load/token.hpp"

#include <array>
#include <cstdio>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace mooring::bench {
namespace {

std::string base64_url(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t held = 0;
  int bits = 0;
  for (const char c : bytes) {
    held = (held << 8) | static_cast<unsigned char>(c);
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out.push_back(digits[(held >> bits) & 63U]);
    }
  }
  if (bits > 0) out.push_back(digits[(held << (6 - bits)) & 63U]);
  return out;
}

} // namespace

std::string read_secret(const std::string& path) {
  std::string secret;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "mooring_load: cannot read the secret file %s\n", path.c_str());
    return secret;
  }
  char bytes[4096];
  secret.assign(bytes, std::fread(bytes, 1, sizeof bytes, file));
  std::fclose(file);
  return secret;
}

std::string make_token(std::string_view secret, std::string_view tenant, std::string_view user,
                       std::int64_t expires) {
  std::string claims = "{\"sub\":\"";
  claims.append(user).append("\",\"tenant\":\"").append(tenant);
  claims.append("\",\"exp\":").append(std::to_string(expires)).append("}");
  std::string token = base64_url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64_url(claims);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(token.data()), token.size(), mac.data(), &length);
  token.push_back('.');
  token.append(base64_url({reinterpret_cast<const char*>(mac.data()), length}));
  return token;
}

} // namespace mooring::bench
