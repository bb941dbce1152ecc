#include "app/backups.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "app/tools.hpp"
#include "config/settings.hpp"
#include "net/http_download.hpp"

namespace mooring::app {

// ── the node's end ──

class backups::running final : public net::body_source {
 public:
  running(backups& of, std::unique_ptr<storage::backup_writer> from)
      : of_(of)
      , from_(std::move(from)) {}
  ~running() override {
    from_.reset(); // its copy ends before the next one may begin
    ++(is_whole_ ? of_.completed_ : of_.failed_);
    of_.running_ = false;
  }
  result<std::string> next() override {
    auto piece = from_->next();
    is_whole_ = piece && piece->empty();
    return piece;
  }
  void cancel() override { from_->cancel(); }

 private:
  backups& of_;
  std::unique_ptr<storage::backup_writer> from_;
  bool is_whole_ = false;
};

result<std::unique_ptr<net::body_source>> backups::begin() {
  if (running_.exchange(true))
    return error{error_code::unavailable, "another backup is running; try again when it has ended"};
  return std::unique_ptr<net::body_source>(std::make_unique<running>(*this, runtime_.begin_backup(data_)));
}

// ── the command's end ──

namespace {

constexpr std::string_view token_variable = "MOORING_TOKEN";

// The one place that was named, or the environment. bad_user_input says what to do.
result<std::string> token_of(const remote_backup_request& request) {
  std::string token = request.token;
  if (!request.token_file.empty()) {
    if (!token.empty()) return error{error_code::bad_user_input, "give --token or --token-file, not both"};
    std::ifstream in(request.token_file, std::ios::binary);
    if (!in)
      return error{error_code::bad_user_input,
                   fmt::format("--token-file {}: cannot be read", request.token_file)};
    token.assign(std::istreambuf_iterator<char>(in), {});
  } else if (token.empty()) {
    if (const auto* const set = std::getenv(std::string(token_variable).c_str()); set != nullptr) token = set;
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' '))
    token.pop_back();
  if (token.empty())
    return error{
        error_code::bad_user_input,
        fmt::format(
            "an operator's token is needed: --token, --token-file or {} (mooring token --role operator …)",
            token_variable)};
  for (const char c : token)
    if (c <= ' ' || c >= 0x7f)
      return error{error_code::bad_user_input, "the token has characters that no token has"};
  return token;
}

} // namespace

int back_up_remote(const remote_backup_request& request) {
  net::download_options from;
  auto url = net::parse_http_url(request.url);
  if (!url) return complain(exit_usage, fmt::format("--url: {}", url.failure().message));
  if (!url->is_tls && !request.insecure && !config::is_loopback(url->host))
    return complain(
        exit_usage,
        fmt::format("--url {}: the token and everything in the backup would cross the network in the "
                    "clear; use https, or say --insecure",
                    request.url));
  auto token = token_of(request);
  if (!token) return complain(exit_usage, token.failure().message);
  from.from = std::move(*url);
  from.target = "/backup";
  from.bearer = std::move(*token);
  from.ca_file = request.ca_file;

  // The folder is begun with the first bytes: a refusal touches nothing.
  std::error_code ignored;
  if (std::filesystem::exists(request.out, ignored))
    return complain(exit_failed, fmt::format("{} exists already", request.out));
  std::unique_ptr<storage::backup_receiver> to;
  std::uint64_t bytes = 0;
  const auto downloaded = net::download(from, [&](std::string_view piece) -> result<void> {
    if (to == nullptr) {
      auto begun = storage::backup_receiver::begin(request.out);
      if (!begun) return begun.failure();
      to = std::move(*begun);
    }
    bytes += piece.size();
    return to->take(piece);
  });
  if (!downloaded) return complain(exit_failed, downloaded.failure().message);
  if (to == nullptr) return complain(exit_failed, "the node sent nothing");
  const auto done = to->finish();
  if (!done) return complain(exit_failed, done.failure().message);
  fmt::print("{}: {} files, {} bytes, as of {}\n", request.out, done->files.size(), bytes,
             to_string(done->created_at));
  return exit_ok;
}

} // namespace mooring::app
