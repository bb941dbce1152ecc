// The commands that do their work and end: token, check, backup, restore. Each prints to standard output what it is asked
// for, to standard error what went wrong, and returns the process's exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mooring::app {

// For scripts: what `mooring` exits with.
enum exit_code : int {
  exit_ok = 0,
  exit_failed = 1,  // it could not be done; the message says why and what to do
  exit_usage = 2,   // the command line or the settings are wrong
  exit_damaged = 3, // check: the data is damaged
};

struct token_request {
  std::string folder, tenant, user;
  std::optional<std::string> device;
  std::vector<std::string> roles;
  std::string ttl = "1h";
  std::optional<std::string> audience, issuer;
};
int print_token(const token_request& request);

// Every shard of a stopped node's folder (check_command.cpp).
int check_folder(const std::string& folder);

int back_up(const std::string& folder, const std::string& out);
int restore(const std::string& backup, const std::string& folder);

// Prints "mooring: …" with what to do next where that is known.
int complain(int code, const std::string& message);

} // namespace mooring::app
