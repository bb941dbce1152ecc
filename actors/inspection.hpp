// The answer to `inspect`: one object document, the same head for every kind of actor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/messages.hpp"
#include "base/document.hpp"

namespace mooring::actors {

class inspection {
 public:
  inspection(std::string_view kind, std::string_view id, std::int64_t uptime_ms) {
    text("kind", kind);
    text("id", id);
    number("uptime_ms", uptime_ms);
  }
  void text(std::string_view name, std::string_view value) {
    document_writer out;
    out.string(value);
    fields_.emplace_back(name, out.take());
  }
  void number(std::string_view name, std::int64_t value) {
    document_writer out;
    out.integer(value);
    fields_.emplace_back(name, out.take());
  }
  inspect_answer take() {
    document_writer out;
    out.begin_object(fields_.size());
    for (const auto& [name, value] : fields_) {
      out.key(name);
      out.value(value.bytes);
    }
    return {out.take().bytes};
  }

 private:
  std::vector<std::pair<std::string, document>> fields_;
};

} // namespace mooring::actors
