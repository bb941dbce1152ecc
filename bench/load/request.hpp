// Parts that the workloads share: the envelope of a subscribe message and looks at the answers.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "bench/load/frames.hpp"
#include "bench/load/ids.hpp"

namespace mooring::bench {

// A document, or another text, as a JSON string.
inline std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n')
      out.append("\\n");
    else if (c == '"')
      out.append("\\\"");
    else
      out.push_back(c);
  }
  return out + "\"";
}

// `{"id":"<operation>","type":"subscribe","payload":{"query":"<document>","variables":` and, after the
// variables that the caller adds, end_request(). Returns the slot of the operation's id.
inline frame_template::slot begin_request(frame_template& to, std::string_view document) {
  to.text(R"({"id":")");
  const auto id = to.hole(10);
  to.text(R"(","type":"subscribe","payload":{"query":)");
  to.text(json_string(document));
  to.text(R"(,"variables":)");
  return id;
}

inline void end_request(frame_template& to) {
  to.text("}}");
  to.finish();
}

inline bool has(std::string_view text, std::string_view part) {
  return memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

inline std::uint64_t count(std::string_view text, std::string_view part) {
  std::uint64_t found = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  while ((at = static_cast<const char*>(
              memmem(at, static_cast<std::size_t>(end - at), part.data(), part.size()))) != nullptr) {
    ++found;
    at += part.size();
  }
  return found;
}

// The integer after `name`, for example `"version":`; -1 when there is none. Starts at `from` and moves it
// behind.
inline std::int64_t integer_after(std::string_view text, std::string_view name, std::size_t& from) {
  const auto* at =
      static_cast<const char*>(memmem(text.data() + from, text.size() - from, name.data(), name.size()));
  if (at == nullptr) return -1;
  at += name.size();
  const char* const end = text.data() + text.size();
  if (at == end || *at < '0' || *at > '9') return -1;
  std::int64_t value = 0;
  while (at != end && *at >= '0' && *at <= '9') value = value * 10 + (*at++ - '0');
  from = static_cast<std::size_t>(at - text.data());
  return value;
}

// The string after `name`, for example `"cursor":"`, without its quotes and not unescaped; empty when there
// is none.
inline std::string_view string_after(std::string_view text, std::string_view name) {
  const auto at = text.find(name);
  if (at == std::string_view::npos) return {};
  const auto begin = at + name.size();
  const auto end = text.find('"', begin);
  return end == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin);
}

} // namespace mooring::bench
