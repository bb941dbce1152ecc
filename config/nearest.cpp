#include "config/nearest.hpp"

#include <algorithm>
#include <cstddef>

namespace mooring::config {

namespace {

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> line(b.size() + 1);
  for (std::size_t j = 0; j < line.size(); ++j) line[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = line[0];
    line[0] = i;
    for (std::size_t j = 1; j < line.size(); ++j) {
      const auto above = line[j];
      line[j] = std::min({line[j] + 1, line[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return line.back();
}

} // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  const auto best =
      std::min_element(known.begin(), known.end(), [&](const std::string& one, const std::string& other) {
        return distance(word, one) < distance(word, other);
      });
  return best == known.end() ? std::string() : *best;
}

} // namespace mooring::config
