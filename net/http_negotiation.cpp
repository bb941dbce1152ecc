#include "net/http_negotiation.hpp"

#include <array>
#include <charconv>
#include <tuple>

#include "base/json_writer.hpp"
#include "net/text.hpp"

namespace mooring::net {

namespace {

// Calls f(element) for each element of a list separated by `separator`, outside of quotes.
template<class F> void for_each_part(std::string_view list, char separator, F&& f) {
  bool quoted = false;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    if (i < list.size()) {
      if (list[i] == '\\' && quoted) {
        ++i;
        continue;
      }
      if (list[i] == '"') quoted = !quoted;
      if (list[i] != separator || quoted) continue;
    }
    const auto part = trimmed(list.substr(from, std::min(i, list.size()) - from));
    if (!part.empty()) f(part);
    from = i + 1;
  }
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  return text;
}

// RFC 9110, 12.4.2: 0 to 1 with up to three decimals, as thousandths. Nothing when it is none.
std::optional<int> quality_of(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int thousandths = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int weight = 100;
  for (std::size_t i = 2; i < text.size(); ++i, weight /= 10) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    thousandths += (text[i] - '0') * weight;
  }
  return thousandths <= 1000 ? std::optional(thousandths) : std::nullopt;
}

struct preference {
  std::string_view name; // media type or coding
  int quality = 1000;
  bool charset_is_utf8 = true;
};

preference read_preference(std::string_view element) {
  preference out;
  bool is_first = true;
  for_each_part(element, ';', [&](std::string_view part) {
    if (is_first) {
      out.name = part;
      is_first = false;
      return;
    }
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) return;
    const auto name = trimmed(part.substr(0, equals));
    const auto value = unquoted(trimmed(part.substr(equals + 1)));
    if (equal_ignoring_case(name, "q"))
      out.quality = quality_of(value).value_or(0);
    else if (equal_ignoring_case(name, "charset"))
      out.charset_is_utf8 = equal_ignoring_case(value, "utf-8") || equal_ignoring_case(value, "utf8");
  });
  return out;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%') {
      unsigned value = 0;
      if (i + 2 >= text.size()) return std::nullopt;
      const auto [end, fault] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      if (fault != std::errc{} || end != text.data() + i + 3) return std::nullopt;
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  if (!is_utf8(out)) return std::nullopt;
  return out;
}

} // namespace

std::string_view content_type_of(answer_media media) {
  return media == answer_media::json ? "application/json; charset=utf-8"
                                     : "application/graphql-response+json; charset=utf-8";
}

std::optional<answer_media> choose_media(std::string_view accept) {
  if (trimmed(accept).empty()) return answer_media::json;
  // For each type the most precise element that names it counts (RFC 9110, 12.5.1).
  struct standing {
    answer_media media;
    std::string_view name;
    int precision = -1;
    int quality = 0;
    int place = 0;
  };
  std::array<standing, 2> all = {{{answer_media::json, "application/json"},
                                  {answer_media::graphql_response, "application/graphql-response+json"}}};
  int place = 0;
  for_each_part(accept, ',', [&](std::string_view element) {
    const auto wanted = read_preference(element);
    ++place;
    for (auto& one : all) {
      const int precision = equal_ignoring_case(wanted.name, one.name)          ? 2
                            : equal_ignoring_case(wanted.name, "application/*") ? 1
                            : wanted.name == "*/*"                              ? 0
                                                                                : -1;
      if (precision > one.precision) {
        one.precision = precision;
        one.quality = wanted.charset_is_utf8 ? wanted.quality : 0;
        one.place = place;
      }
    }
  });
  // The client's quality decides between them, then the more precise name, then its order, then what all understand.
  const standing* best = nullptr;
  for (const auto& one : all) {
    if (one.quality == 0) continue;
    const auto rank = [](const standing& of) { return std::tuple(of.quality, of.precision, -of.place); };
    if (best == nullptr || rank(one) > rank(*best)) best = &one;
  }
  if (best == nullptr) return std::nullopt;
  return best->media;
}

bool is_json_content(std::string_view content_type) {
  const auto given = read_preference(content_type);
  return equal_ignoring_case(given.name, "application/json") && given.charset_is_utf8;
}

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<bool> named;
  bool any = false;
  for_each_part(accept_encoding, ',', [&](std::string_view element) {
    const auto wanted = read_preference(element);
    if (equal_ignoring_case(wanted.name, "gzip") || equal_ignoring_case(wanted.name, "x-gzip"))
      named = wanted.quality > 0;
    else if (wanted.name == "*")
      any = wanted.quality > 0;
  });
  return named.value_or(any);
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_query_string(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (part.empty()) continue;
    const auto equals = part.find('=');
    auto name = decode(part.substr(0, equals));
    auto value = decode(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1));
    if (!name || !value) return std::nullopt;
    out.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

unsigned status_of(error_code code) {
  switch (code) {
  case error_code::unauthenticated: return 401;
  case error_code::forbidden:
  case error_code::device_deactivated: return 403;
  case error_code::payload_too_large: return 413;
  case error_code::rate_limited: return 429;
  case error_code::unavailable:
  case error_code::storage_full: return 503;
  case error_code::internal: return 500;
  default: return 400;
  }
}

unsigned status_of(const graphql_answer& answer, answer_media media) {
  if (answer.method_not_allowed) return 405;
  if (answer.executed) return 200;
  const auto status = answer.refused ? status_of(*answer.refused) : 400U;
  return media == answer_media::json && status == 400 ? 200 : status;
}

std::string_view reason_of(unsigned status) {
  switch (status) {
  case 200: return "OK";
  case 204: return "No Content";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 406: return "Not Acceptable";
  case 408: return "Request Timeout";
  case 411: return "Length Required";
  case 413: return "Content Too Large";
  case 415: return "Unsupported Media Type";
  case 417: return "Expectation Failed";
  case 426: return "Upgrade Required";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 500: return "Internal Server Error";
  case 503: return "Service Unavailable";
  default: return "Unknown";
  }
}

std::string error_body(error_code code, std::string_view message, std::uint64_t request_id,
                       std::optional<std::int64_t> retry_after_ms) {
  std::string out = R"({"errors":[{"message":)";
  append_json_string(out, message);
  out += R"(,"extensions":{"code":")";
  out += to_string(code);
  out += R"(","retryable":)";
  append_json_boolean(out, is_retryable(code));
  out += R"(,"requestId":")";
  out += hexadecimal(request_id);
  out += '"';
  if (retry_after_ms) {
    out += R"(,"retryAfterMs":)";
    append_json_integer(out, *retry_after_ms);
  }
  out += R"(}}]})";
  return out;
}

std::string hexadecimal(std::uint64_t number) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, 16).ptr;
  return {digits, end};
}

} // namespace mooring::net
