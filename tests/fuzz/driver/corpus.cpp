#include "tests/fuzz/driver/corpus.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace mooring::fuzz {

bool read_file(const std::string& path, std::string& content) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  content.clear();
  char bytes[65536];
  for (std::size_t count = 0; (count = std::fread(bytes, 1, sizeof bytes, file)) > 0;)
    content.append(bytes, count);
  const bool good = std::ferror(file) == 0;
  std::fclose(file);
  return good;
}

bool write_file(const std::string& path, const std::string& content) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const bool good = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  return std::fclose(file) == 0 && good;
}

std::vector<std::string> read_folder(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed))
    if (entry.is_regular_file()) names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  std::vector<std::string> contents;
  for (const auto& name : names) {
    std::string content;
    if (read_file(name, content)) contents.push_back(std::move(content));
  }
  return contents;
}

namespace {

// The token between the quotes of `line`; false when the line has another form.
bool parse_token(std::string_view line, std::string& token) {
  const auto begin = line.find('"');
  const auto end = line.rfind('"');
  if (begin == std::string_view::npos || end == begin) return false;
  const auto text = line.substr(begin + 1, end - begin - 1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      token.push_back(text[i]);
      continue;
    }
    if (++i == text.size()) return false;
    if (text[i] == '\\' || text[i] == '"') {
      token.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (text[i] != 'x' || i + 2 >= text.size()) return false;
    const char* const last = text.data() + i + 3;
    if (std::from_chars(text.data() + i + 1, last, value, 16).ptr != last) return false;
    token.push_back(static_cast<char>(value));
    i += 2;
  }
  return !token.empty();
}

} // namespace

bool read_dictionary(const std::string& path, std::vector<std::string>& tokens, std::string& why) {
  std::string content;
  if (!read_file(path, content)) {
    why = "cannot read " + path;
    return false;
  }
  std::string_view rest = content;
  for (int number = 1; !rest.empty(); ++number) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end + 1));
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') continue;
    std::string token;
    if (!parse_token(line, token)) {
      why = path + ":" + std::to_string(number) + ": not a token in quotes";
      return false;
    }
    tokens.push_back(std::move(token));
  }
  return true;
}

} // namespace mooring::fuzz
