#include "app/tools.hpp"

#include <cstdio>
#include <fstream>
#include <vector>

#include <fmt/format.h>

#include "base/time.hpp"
#include "config/settings.hpp"
#include "net/jwt.hpp"
#include "storage/backup.hpp"
#include "storage/data_folder.hpp"

namespace mooring::app {

int complain(int code, const std::string& message) {
  fmt::print(stderr, "mooring: {}\n", message);
  return code;
}

int print_token(const token_request& request) {
  const auto file = storage::secret_file_of(request.folder);
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return complain(
        exit_failed,
        fmt::format("{}: cannot be read; a node makes it at its first start (mooring serve --data {})",
                    file.string(), request.folder));
  const std::string secret((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto ttl = config::parse_duration_ms(request.ttl);
  if (!ttl) return complain(exit_usage, fmt::format("--ttl: {}", ttl.failure().message));
  net::token_claims claims;
  claims.tenant = request.tenant;
  claims.user = request.user;
  claims.device = request.device;
  claims.roles = request.roles;
  claims.audience = request.audience;
  claims.issuer = request.issuer;
  claims.issued = system_clock().now();
  claims.ttl_ms = *ttl;
  const auto token = net::make_token(claims, secret);
  if (!token) return complain(exit_usage, token.failure().message);
  fmt::print("{}\n", *token);
  return exit_ok;
}

int back_up(const std::string& folder, const std::string& out) {
  const auto done = storage::back_up_folder(folder, out, system_clock().now());
  if (!done) return complain(exit_failed, done.failure().message);
  fmt::print("{}: {} files\n", out, done->files.size());
  return exit_ok;
}

int restore(const std::string& backup, const std::string& folder) {
  const auto done = storage::restore_backup(backup, folder);
  if (!done) return complain(exit_failed, done.failure().message);
  fmt::print("{}: {} shards as of {}\n", folder, done->shards, to_string(done->created_at));
  return exit_ok;
}

} // namespace mooring::app
