#include "net/http_download.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>

#include "net/asio.hpp"

#include <arpa/inet.h>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/json.hpp"

namespace mooring::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr std::size_t piece_bytes = 256 << 10;
constexpr std::size_t refusal_bytes_max = 64 << 10; // of an answer that is an error

error wrong(std::string message) {
  return {error_code::bad_user_input, std::move(message)};
}

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

std::string authority_of(const http_url& url) {
  return url.host.find(':') == std::string::npos ? fmt::format("{}:{}", url.host, url.port)
                                                 : fmt::format("[{}]:{}", url.host, url.port);
}

std::string said_by(const std::string& body) {
  json_parser parser;
  const auto parsed = parser.parse(body);
  if (!parsed || parsed->kind() != json_kind::object) return {};
  const auto errors = parsed->find("errors");
  if (errors.absent() || errors.kind() != json_kind::array) return {};
  std::string out;
  errors.for_each_element([&](json_value one) {
    if (!out.empty() || one.kind() != json_kind::object) return;
    if (const auto message = one.find("message"); !message.absent() && message.kind() == json_kind::string)
      out = message.string();
  });
  return out;
}

error_code code_of(unsigned status) {
  switch (status) {
  case 401: return error_code::unauthenticated;
  case 403: return error_code::forbidden;
  case 404: return error_code::not_found;
  case 429:
  case 503: return error_code::unavailable;
  default: return error_code::internal;
  }
}

// One download: every step is asynchronous and waited for at once, because only so it can have a deadline.
class downloading {
 public:
  downloading(const download_options& options, const std::function<result<void>(std::string_view)>& take)
      : options_(options)
      , take_(take)
      , where_(authority_of(options.from)) {}

  result<void> run() {
    if (auto connected = connect(); !connected) return connected;
    if (!options_.from.is_tls) return exchange(*tcp_);
    if (auto secured = secure(); !secured) return secured;
    return exchange(*tls_);
  }

 private:
  using taking = std::function<result<void>(std::string_view)>;
  using tls_stream = asio::ssl::stream<beast::tcp_stream&>;

  error unreachable(std::string_view doing, const io_error& why) const {
    const bool late = why == beast::error::timeout;
    return {error_code::unavailable,
            fmt::format("{}: {}: {}", where_, doing, late ? "no answer in time" : why.message())};
  }

  // One type for all steps: each further one would compile Beast's reading anew.
  struct completion {
    std::optional<io_error>* outcome;
    template<class... Rest> void operator()(io_error failure, Rest&&...) const { *outcome = failure; }
  };

  // Runs what was begun to its end.
  template<class Begin> io_error wait(std::int64_t timeout_ms, Begin&& begin) {
    std::optional<io_error> outcome;
    tcp_->expires_after(std::chrono::milliseconds(timeout_ms));
    begin(completion{&outcome});
    io_.restart();
    while (!outcome && io_.run_one() != 0) {
    }
    tcp_->expires_never();
    return outcome.value_or(asio::error::operation_aborted);
  }

  result<void> connect() {
    asio::ip::tcp::resolver resolver(io_);
    io_error failure;
    const auto found = resolver.resolve(options_.from.host, std::to_string(options_.from.port), failure);
    if (failure) return unreachable("its name is not found", failure);
    tcp_.emplace(io_);
    failure = wait(options_.connect_timeout_ms, [&](auto done) { tcp_->async_connect(found, done); });
    if (failure) return unreachable("no connection", failure);
    return {};
  }

  result<void> secure() {
    io_error failure;
    context_.emplace(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context_->native_handle(), TLS1_2_VERSION);
    if (options_.ca_file.empty())
      context_->set_default_verify_paths(failure);
    else
      context_->load_verify_file(options_.ca_file, failure);
    if (failure)
      return wrong(
          fmt::format("{}: no certificates that could be trusted: {}", options_.ca_file, failure.message()));
    context_->set_verify_mode(asio::ssl::verify_peer, failure);
    tls_.emplace(*tcp_, *context_);
    auto* const ssl = tls_->native_handle();
    const auto& host = options_.from.host;
    bool named = false;
    if (is_address(host)) {
      named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    } else {
      SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      named = SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
    }
    if (!named) return wrong(fmt::format("{} is no name that a certificate could have", host));
    failure = wait(options_.connect_timeout_ms,
                   [&](auto done) { tls_->async_handshake(asio::ssl::stream_base::client, done); });
    if (!failure) return {};
    if (const auto verified = SSL_get_verify_result(ssl); verified != X509_V_OK)
      return error{error_code::internal, fmt::format("{}: its certificate is not trusted: {}", where_,
                                                     X509_verify_cert_error_string(verified))};
    return unreachable("no TLS connection", failure);
  }

  template<class Stream> result<void> exchange(Stream& stream) {
    http::request<http::empty_body> request(
        http::verb::get, beast::string_view(options_.from.path + options_.target).to_string(), 11);
    request.set(http::field::host, where_);
    request.set(http::field::authorization, "Bearer " + options_.bearer);
    request.set(http::field::accept, "*/*");
    request.set(http::field::user_agent, "mooring");
    request.set(http::field::connection, "close");
    const auto text = (std::ostringstream() << request).str();
    auto failure = wait(options_.silence_timeout_ms,
                        [&](auto done) { asio::async_write(stream, asio::buffer(text), done); });
    if (failure) return unreachable("sending the request", failure);

    http::response_parser<http::buffer_body> parser;
    parser.header_limit(64 << 10);
    parser.body_limit(std::numeric_limits<std::uint64_t>::max());
    failure = wait(options_.silence_timeout_ms,
                   [&](auto done) { http::async_read_header(stream, buffer_, parser, done); });
    if (failure) return unreachable("reading the answer", failure);
    const auto status = parser.get().result_int();
    if (status != 200) return refused(stream, parser, status);
    // Without a length or chunks, an answer that was cut looks whole.
    if (!parser.chunked() && !parser.content_length())
      return error{error_code::internal, fmt::format("{}: the answer does not say where it ends", where_)};
    return read_body(stream, parser, take_);
  }

  template<class Stream>
  result<void> read_body(Stream& stream, http::response_parser<http::buffer_body>& parser,
                         const taking& take) {
    if (piece_.empty()) piece_.resize(piece_bytes);
    while (!parser.is_done()) {
      auto& body = parser.get().body();
      body.data = piece_.data();
      body.size = piece_.size();
      auto failure = wait(options_.silence_timeout_ms,
                          [&](auto done) { http::async_read(stream, buffer_, parser, done); });
      if (failure == http::error::need_buffer) failure = {};
      if (failure == http::error::partial_message || failure == asio::error::eof ||
          failure == asio::ssl::error::stream_truncated)
        return error{error_code::unavailable,
                     fmt::format("{}: the answer ended before it was whole", where_)};
      if (failure) return unreachable("reading the answer", failure);
      const auto bytes = piece_.size() - parser.get().body().size;
      if (bytes == 0) continue;
      if (auto taken = take(std::string_view(piece_.data(), bytes)); !taken) return taken;
    }
    return {};
  }

  template<class Stream>
  result<void> refused(Stream& stream, http::response_parser<http::buffer_body>& parser, unsigned status) {
    std::string body;
    // What cannot be read of it is no reason to hide the status.
    (void)read_body(stream, parser, [&](std::string_view part) -> result<void> {
      if (body.size() + part.size() > refusal_bytes_max) return error{error_code::internal, ""};
      body.append(part);
      return {};
    });
    const auto said = said_by(body);
    const auto& reason = parser.get().reason();
    return error{code_of(status),
                 fmt::format("{} answered {}: {}", where_, status,
                             said.empty() ? std::string_view(reason.data(), reason.size()) : said)};
  }

  const download_options& options_;
  const std::function<result<void>(std::string_view)>& take_;
  const std::string where_;
  asio::io_context io_{1};
  std::optional<beast::tcp_stream> tcp_;
  std::optional<asio::ssl::context> context_;
  std::optional<tls_stream> tls_;
  beast::flat_buffer buffer_;
  std::string piece_;
};

} // namespace

result<http_url> parse_http_url(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return wrong(fmt::format("'{}' {}; write http://HOST:PORT or https://HOST:PORT", text, why));
  };
  http_url out;
  auto rest = text;
  if (rest.starts_with("https://")) {
    out.is_tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad("is no http or https URL");
  }
  const auto slash = rest.find('/');
  auto authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) out.path = rest.substr(slash);
  while (out.path.ends_with('/')) out.path.pop_back();
  const auto is_plain = [](char c) {
    return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '@' && c != '\\';
  };
  if (!std::all_of(rest.begin(), rest.end(), is_plain)) return bad("has a part that does not belong there");
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return bad("has no valid host");
    out.host = authority.substr(1, end - 1);
    unsigned char bytes[16];
    if (inet_pton(AF_INET6, out.host.c_str(), bytes) != 1) return bad("has no valid host");
    authority.remove_prefix(end + 1);
  } else {
    const auto colon = authority.find(':');
    out.host = authority.substr(0, colon);
    authority = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
  }
  if (out.host.empty()) return bad("has no host");
  out.port = out.is_tls ? 443 : 80;
  if (!authority.empty()) {
    const auto digits = authority.substr(1);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (authority.front() != ':' || failed != std::errc{} || end != digits.data() + digits.size() ||
        out.port == 0)
      return bad("has no valid port");
  }
  return out;
}

result<void> download(const download_options& options,
                      const std::function<result<void>(std::string_view)>& take) {
  // Asio and Beast throw where memory or descriptors run out.
  try {
    return downloading(options, take).run();
  } catch (const std::exception& failed) {
    return error{error_code::internal, fmt::format("{}: {}", authority_of(options.from), failed.what())};
  }
}

} // namespace mooring::net
