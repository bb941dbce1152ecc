// The arrows between folders, read from the include lines: the table below is ARCHITECTURE.md's.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace fs = std::filesystem;

namespace {

const std::map<std::string, std::set<std::string>> may_include = {
    {"base", {}},
    {"config", {"base"}},
    {"sync", {"base"}},
    {"graphql", {"base"}},
    {"api", {"graphql", "sync", "base"}},
    {"storage", {"sync", "base"}},
    {"cluster", {"storage", "sync", "base"}},
    {"net", {"base"}},
    {"actors", {"api", "graphql", "sync", "storage", "cluster", "net", "base"}},
    {"app", {"actors", "api", "graphql", "sync", "storage", "cluster", "net", "config", "base"}},
};

// Libraries that only the named folders may include.
const std::map<std::string, std::set<std::string>> belongs_to = {
    {"caf/", {"actors"}},
    {"boost/", {"net"}},
    {"lmdb.h", {"storage"}},
    {"raft.h", {"cluster"}},
    {"simdjson", {"base"}},
    {"spdlog/", {"base"}},
    {"openssl/", {"net", "graphql"}},
    {"CLI/", {"app"}},
    {"prometheus/", {"app"}},
    {"toml++/", {"config"}},
};

struct include_line {
  fs::path file;
  std::string path;
  bool own; // "…" and not <…>
};

std::vector<include_line> includes_of(const std::string& folder) {
  std::vector<include_line> out;
  const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(MOORING_SOURCE_DIR) / folder)) {
    const auto extension = entry.path().extension();
    if (extension != ".cpp" && extension != ".hpp") continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch match;
      if (std::regex_search(line, match, pattern)) out.push_back({entry.path(), match[2], match[1] == "\""});
    }
  }
  return out;
}

} // namespace

TEST_CASE("each folder includes only the folders that the architecture allows") {
  for (const auto& [folder, allowed] : may_include) {
    std::size_t seen = 0;
    for (const auto& line : includes_of(folder)) {
      if (!line.own || line.path.find(".inc") != std::string::npos) continue;
      const auto target = line.path.substr(0, line.path.find('/'));
      ++seen;
      INFO(line.file.string(), " includes ", line.path);
      CHECK((target == folder || allowed.contains(target)));
    }
    CHECK(seen > 0);
  }
}

TEST_CASE("each library is included only where it belongs") {
  for (const auto& [folder, allowed] : may_include)
    for (const auto& line : includes_of(folder))
      for (const auto& [library, homes] : belongs_to) {
        if (line.own || !line.path.starts_with(library)) continue;
        INFO(line.file.string(), " includes ", line.path);
        CHECK(homes.contains(folder));
      }
}

TEST_CASE("the table of folders in ARCHITECTURE.md is the one that is tested") {
  std::ifstream in(fs::path(MOORING_SOURCE_DIR) / "ARCHITECTURE.md");
  REQUIRE(in);
  std::map<std::string, std::set<std::string>> written;
  const std::regex row(R"(^\| `(\w+)/` \|[^|]*\| ([^|]*) \|)");
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, row)) continue;
    auto& allowed = written[match[1]];
    std::istringstream names(match[2]);
    for (std::string name; std::getline(names, name, ',');) {
      name.erase(0, name.find_first_not_of(' '));
      if (name != "–") allowed.insert(name);
    }
  }
  for (const auto& [folder, allowed] : may_include) {
    INFO(folder);
    CHECK(written[folder] == allowed);
  }
}

TEST_CASE("every header is guarded and opens with its contract") {
  for (const auto& [folder, allowed] : may_include)
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(MOORING_SOURCE_DIR) / folder)) {
      if (entry.path().extension() != ".hpp") continue;
      std::ifstream in(entry.path());
      std::string first;
      std::getline(in, first);
      std::stringstream rest;
      rest << in.rdbuf();
      INFO(entry.path().string());
      CHECK(first.starts_with("// "));
      CHECK(rest.str().find("#pragma once") != std::string::npos);
    }
}
