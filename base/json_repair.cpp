#include "base/json_repair.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace mooring {

namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::size_t digits_of_a_double = 21; // as JavaScript writes them, without an exponent

// The unit of an escape \uXXXX, whose backslash is at `at`. Nothing: there is none.
std::optional<unsigned> escaped_unit(std::string_view text, std::size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return std::nullopt;
  unsigned unit = 0;
  const auto* const end = text.data() + at + 6;
  const auto [parsed, fault] = std::from_chars(text.data() + at + 2, end, unit, 16);
  if (fault != std::errc{} || parsed != end) return std::nullopt;
  return unit;
}

bool fits_64_bits(std::string_view text, std::size_t from, std::size_t upto) {
  const auto* const end = text.data() + upto;
  if (from > 0 && text[from - 1] == '-') {
    std::int64_t value = 0;
    return std::from_chars(text.data() + from - 1, end, value).ec == std::errc{};
  }
  std::uint64_t value = 0;
  return std::from_chars(text.data() + from, end, value).ec == std::errc{};
}

class repair {
 public:
  explicit repair(std::string_view text)
      : text_(text) {}

  std::optional<std::string> run() {
    for (std::size_t at = 0; (at = text_.find_first_of("\"0123456789", at)) != std::string_view::npos;)
      at = text_[at] == '"' ? string(at + 1) : number(at);
    if (done_ == 0) return std::nullopt;
    out_.append(text_.substr(done_));
    return std::move(out_);
  }

 private:
  // From behind its first quote to behind its last one.
  std::size_t string(std::size_t at) {
    while ((at = text_.find_first_of("\\\"", at)) != std::string_view::npos) {
      if (text_[at] == '"') return at + 1;
      const auto unit = escaped_unit(text_, at);
      if (!unit || *unit < 0xd800 || *unit >= 0xe000) {
        at += 2;
        continue;
      }
      const auto next = escaped_unit(text_, at + 6);
      if (*unit < 0xdc00 && next && *next >= 0xdc00 && *next < 0xe000) {
        at += 12; // a pair
        continue;
      }
      replace(at, at + 6, "\\ufffd");
      at += 6;
    }
    return text_.size();
  }

  std::size_t number(std::size_t from) {
    const auto end = std::min(text_.find_first_not_of(digits, from), text_.size());
    if (end < text_.size() && (text_[end] == '.' || text_[end] == 'e' || text_[end] == 'E'))
      return std::min(text_.find_first_not_of("0123456789.eE+-", end), text_.size());
    if (end - from <= digits_of_a_double && !fits_64_bits(text_, from, end)) replace(end, end, "e0");
    return end;
  }

  void replace(std::size_t from, std::size_t upto, std::string_view by) {
    if (done_ == 0) out_.reserve(text_.size() + text_.size() / 8 + 128);
    out_.append(text_.substr(done_, from - done_)).append(by);
    done_ = upto;
  }

  std::string_view text_;
  std::string out_;
  std::size_t done_ = 0; // up to here the text is in out_; 0: nothing was replaced
};

} // namespace

std::optional<std::string> repaired_json(std::string_view text) {
  return repair(text).run();
}

} // namespace mooring
