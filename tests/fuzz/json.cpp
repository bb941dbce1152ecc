// base/json.hpp and base/document.hpp: what is accepted as JSON must survive the way into a document and
// back.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/document.hpp"
#include "base/json.hpp"

namespace {

using namespace mooring;

// Touches every value; returns how many there are.
std::size_t walk(const json_value& value) {
  std::size_t found = 1;
  switch (value.kind()) {
  case json_kind::array: {
    std::size_t elements = 0;
    value.for_each_element([&](const json_value& element) {
      ++elements;
      found += walk(element);
    });
    MOORING_CHECK(elements == value.size(), "as many elements as size() says");
    break;
  }
  case json_kind::object: {
    std::size_t members = 0;
    value.for_each_member([&](std::string_view name, const json_value& member) {
      ++members;
      MOORING_CHECK(!value.find(name).absent(), "a member is found by its name");
      found += walk(member);
    });
    MOORING_CHECK(members == value.size(), "as many members as size() says");
    break;
  }
  case json_kind::string: found += value.string().size() > 1'000'000 ? 1 : 0; break;
  case json_kind::integer: found += value.number() == 0.5 ? 1 : 0; break;
  case json_kind::unsigned_integer:
    MOORING_CHECK(value.unsigned_integer() > INT64_MAX, "smaller ones are `integer`");
    break;
  default: break;
  }
  return found;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), length);
  static json_parser parser; // one for all inputs, as a network thread has it
  const auto parsed = parser.parse(text);
  const auto direct = document_from_json(text);
  if (!parsed) {
    MOORING_CHECK(!direct, "both ways refuse the same texts");
    return 0;
  }
  walk(*parsed);
  const auto stored = to_document(*parsed);
  MOORING_CHECK(stored.ok() == direct.ok(), "both ways refuse the same texts");
  if (!stored) return 0;
  MOORING_CHECK(*stored == *direct, "both ways make the same document");
  MOORING_CHECK(is_valid_document(stored->bytes), "a document of JSON is a valid one");

  const auto written = to_json(*stored);
  const auto again = document_from_json(written);
  MOORING_CHECK(again.ok(), "what we write is JSON");
  MOORING_CHECK(documents_equal(again->bytes, stored->bytes), "the way to text and back changes nothing");
  MOORING_CHECK(hash_document(again->bytes) == hash_document(stored->bytes),
                "equal documents have equal hashes");
  // The sign of a zero may get lost once (-1e-400 is written as -0, which is read as the integer 0), not
  // twice.
  const auto settled = to_json(*again);
  const auto third = document_from_json(settled);
  MOORING_CHECK(third.ok() && to_json(*third) == settled, "one value has one text");
  return 0;
}
