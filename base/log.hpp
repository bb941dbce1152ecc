// Logging. One asynchronous logger for the process; messages are formatted on the caller's thread and written on
// the logger's own, so that no actor waits for a terminal or a disk.
//
// Never log a secret, a token or entity data. Name things by id. A request's messages carry its request id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace mooring::log {

enum class level : std::uint8_t { debug, info, warning, error, off };

struct options {
  level least = level::info;
  bool json_lines = false; // one JSON object a line, for machines
  std::string file = {};   // empty: standard error
};

// Starts the logger. Messages before this go to standard error. Not thread-safe; call once at start.
void start(const options& settings);
// Flushes and stops. What is logged later goes to standard error.
void stop();
void set_level(level least);
bool enabled(level at);
void write(level at, std::string_view message);

template<class... Args> void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level::debug)) write(level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template<class... Args> void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level::info)) write(level::info, fmt::format(format, std::forward<Args>(args)...));
}
template<class... Args> void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level::warning)) write(level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template<class... Args> void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level::error)) write(level::error, fmt::format(format, std::forward<Args>(args)...));
}

} // namespace mooring::log
