#include "base/log.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/json_writer.hpp"
#include "base/time.hpp"

namespace mooring::log {

namespace {

// A burst beyond this many waiting messages drops the oldest: a slow terminal must not stop the node.
constexpr std::size_t queue_messages_max = 8192;

struct running {
  std::shared_ptr<spdlog::details::thread_pool> writer;
  std::shared_ptr<spdlog::async_logger> logger;
};

std::atomic<int> least_level{static_cast<int>(level::info)};
std::atomic<bool> json_lines{false};
std::shared_ptr<running> current; // read and replaced through the atomic_ functions

spdlog::level::level_enum to_spdlog(level at) {
  switch (at) {
  case level::debug: return spdlog::level::debug;
  case level::info: return spdlog::level::info;
  case level::warning: return spdlog::level::warn;
  case level::error: return spdlog::level::err;
  case level::off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::string_view name_of(level at) {
  switch (at) {
  case level::debug: return "debug";
  case level::info: return "info";
  case level::warning: return "warning";
  case level::error: return "error";
  case level::off: return "off";
  }
  return "info";
}

} // namespace

void start(const options& settings) {
  least_level = static_cast<int>(settings.least);
  json_lines = settings.json_lines;
  try {
    auto next = std::make_shared<running>();
    next->writer = std::make_shared<spdlog::details::thread_pool>(queue_messages_max, 1);
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (settings.file.empty())
      sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
    next->logger = std::make_shared<spdlog::async_logger>("mooring", sink, next->writer,
                                                          spdlog::async_overflow_policy::overrun_oldest);
    next->logger->set_level(spdlog::level::trace);
    next->logger->set_pattern(settings.json_lines ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v",
                              spdlog::pattern_time_type::utc);
    // On the logger's thread: whoever follows a file sees each line when it is said.
    next->logger->flush_on(spdlog::level::trace);
    std::atomic_store(&current, std::move(next));
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "mooring: the log cannot be opened: %s\n", failed.what());
  }
}

void stop() {
  const auto last = std::atomic_exchange(&current, std::shared_ptr<running>{});
  if (last) last->logger->flush();
}

void set_level(level least) {
  least_level = static_cast<int>(least);
}

bool enabled(level at) {
  return static_cast<int>(at) >= least_level.load(std::memory_order_relaxed);
}

// A line is one line, whatever a client called its device.
static bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}
static void append_escaped(std::string& out, std::string_view message) {
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : message) {
    if (is_control(c))
      out.append({'\\', 'x', digits[static_cast<unsigned char>(c) >> 4],
                  digits[static_cast<unsigned char>(c) & 15]});
    else
      out.push_back(c);
  }
}

void write(level at, std::string_view message) {
  std::string line;
  if (json_lines.load(std::memory_order_relaxed)) {
    line.append("{\"time\":");
    append_json_instant(line, system_clock().now());
    line.append(",\"level\":\"");
    line.append(name_of(at));
    line.append("\",\"message\":");
    append_json_string(line, message);
    line.push_back('}');
    message = line;
  } else if (std::any_of(message.begin(), message.end(), is_control)) {
    append_escaped(line, message);
    message = line;
  }
  const auto now = std::atomic_load(&current);
  if (now)
    now->logger->log(to_spdlog(at), spdlog::string_view_t(message.data(), message.size()));
  else
    std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size()), message.data());
}

} // namespace mooring::log
