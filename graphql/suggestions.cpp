#include "graphql/suggestions.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace mooring::graphql {

namespace {

constexpr std::size_t input_bytes_max =
    256; // a longer name is no typing error, and the distance costs its square

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Optimal string alignment distance; nothing when it is above the threshold.
std::optional<std::size_t> distance(std::string_view a, std::string_view b, std::size_t threshold) {
  if (a.size() < b.size()) std::swap(a, b);
  if (a.size() - b.size() > threshold) return std::nullopt;
  std::array<std::vector<std::size_t>, 3> rows;
  for (auto& row : rows) row.resize(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    const auto& above = rows[(i - 1) % 3];
    auto& row = rows[i % 3];
    row[0] = i;
    auto least = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      auto cell = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cell = std::min(cell, rows[(i - 2) % 3][j - 2] + 1);
      row[j] = cell;
      least = std::min(least, cell);
    }
    if (least > threshold) return std::nullopt;
  }
  const auto result = rows[a.size() % 3][b.size()];
  return result <= threshold ? std::optional(result) : std::nullopt;
}

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The number at `at`, which moves behind it. Compared as text without leading zeros, so any length will do.
std::string_view take_number(std::string_view text, std::size_t& at) {
  while (at < text.size() && text[at] == '0') ++at;
  const auto start = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  return text.substr(start, at - start);
}

} // namespace

std::vector<std::string_view> suggestions(std::string_view input,
                                          const std::vector<std::string_view>& options) {
  std::vector<std::string_view> names;
  if (input.size() > input_bytes_max) return names;
  const auto threshold = input.size() * 2 / 5 + 1;
  const auto lowered = lower(input);
  std::vector<std::pair<std::size_t, std::string_view>> found;
  for (const auto option : options) {
    const auto lowered_option = lower(option);
    const auto steps = input == option             ? std::optional<std::size_t>(0)
                       : lowered == lowered_option ? std::optional<std::size_t>(1)
                                                   : distance(lowered_option, lowered, threshold);
    if (steps) found.emplace_back(*steps, option);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : natural_compare(a.second, b.second) < 0;
  });
  for (const auto& entry : found)
    if (std::find(names.begin(), names.end(), entry.second) == names.end()) names.push_back(entry.second);
  return names;
}

std::string did_you_mean(const std::vector<std::string_view>& names, std::string_view what) {
  constexpr std::size_t names_max = 5;
  std::string out;
  if (names.empty()) return out;
  out = " Did you mean ";
  if (!what.empty()) {
    out += what;
    out.push_back(' ');
  }
  const auto count = std::min(names.size(), names_max);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += count == 2 ? " or " : i + 1 == count ? ", or " : ", ";
    out.push_back('"');
    out += names[i];
    out.push_back('"');
  }
  out.push_back('?');
  return out;
}

int natural_compare(std::string_view a, std::string_view b) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const auto x = take_number(a, i);
      const auto y = take_number(b, j);
      if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
      if (const auto order = x.compare(y); order != 0) return order;
    } else {
      if (a[i] != b[j]) return a[i] < b[j] ? -1 : 1;
      ++i;
      ++j;
    }
  }
  const auto left_a = a.size() - i;
  const auto left_b = b.size() - j;
  return left_a == left_b ? 0 : left_a < left_b ? -1 : 1;
}

} // namespace mooring::graphql
