#include "base/log.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace mooring;

TEST_CASE("what a client named cannot write lines of its own into the log") {
  const auto path = std::filesystem::temp_directory_path() / ("mooring-log-" + std::to_string(::getpid()));
  for (const bool json : {false, true}) {
    std::filesystem::remove(path);
    log::start({log::level::info, json, path.string()});
    log::error("device {}: failed", "a\n2026-01-01T00:00:00.000Z info all is well\x1b[31m\x7f");
    log::stop();
    std::ifstream in(path);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    INFO(text);
    REQUIRE_FALSE(text.empty());
    CHECK(text.find('\n') == text.size() - 1);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("all is well") != std::string::npos);
    if (!json) CHECK(text.find("device a\\x0a2026") != std::string::npos);
  }
  std::filesystem::remove(path);
  log::start({log::level::info, false, ""});
  log::stop();
}
