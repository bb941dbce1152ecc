// base/document.hpp: bytes from a disk or a peer. The first byte says where the second document begins, so
// that merge patches are tried as well.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "base/document.hpp"
#include "tests/fuzz/seeds.hpp"

namespace {

using namespace mooring;

struct findings {
  int depth = 0;            // containers within each other
  bool all_finite = true;   // JSON has no NaN and no infinity
  bool names_twice = false; // JSON's reader keeps the first of two members of one name
};

// Reads every value with every reader.
void walk(std::string_view value, int depth, findings& found) {
  const bool is_container = kind_of(value) == document_kind::array || kind_of(value) == document_kind::object;
  if (is_container && ++depth > found.depth) found.depth = depth;
  switch (kind_of(value)) {
  case document_kind::integer: (void)integer_of(value); break;
  case document_kind::number: found.all_finite = found.all_finite && std::isfinite(number_of(value)); break;
  case document_kind::string: (void)string_of(value); break;
  case document_kind::array: {
    const auto elements = elements_of(value);
    MOORING_CHECK(elements.size() == size_of(value), "as many elements as size_of says");
    for (const auto element : elements) walk(element, depth, found);
    break;
  }
  case document_kind::object: {
    const auto fields = fields_of(value);
    MOORING_CHECK(fields.size() == size_of(value), "as many members as size_of says");
    std::vector<std::string_view> names;
    for (const auto& field : fields) names.push_back(field.name);
    std::sort(names.begin(), names.end());
    found.names_twice = found.names_twice || std::adjacent_find(names.begin(), names.end()) != names.end();
    for (const auto& field : fields) {
      MOORING_CHECK(find_field(value, field.name).has_value(), "a member is found by its name");
      walk(field.value, depth, found);
    }
    break;
  }
  default: break;
  }
}

// True for a document that means the same as JSON.
bool check_one(std::string_view bytes) {
  if (!is_valid_document(bytes)) return false;
  if (bytes.empty()) return false; // absent: no value to read
  findings found;
  walk(bytes, 0, found);
  MOORING_CHECK(documents_equal(bytes, bytes) || !found.all_finite, "a document equals itself");
  const auto text = to_json(document{std::string(bytes)});
  const auto again = document_from_json(text);
  if (!again) {
    MOORING_CHECK(found.depth > document_depth_max, "a document's text is JSON that we take");
    return !found.names_twice;
  }
  if (!found.all_finite || found.names_twice) return false;
  MOORING_CHECK(documents_equal(again->bytes, bytes), "the way to text and back changes nothing");
  MOORING_CHECK(hash_document(again->bytes) == hash_document(bytes), "equal documents have equal hashes");
  return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  if (length == 0) return 0;
  const std::string_view all(reinterpret_cast<const char*>(bytes), length);
  const auto rest = all.substr(1);
  const auto split = rest.size() * bytes[0] / 256;
  const auto target = rest.substr(0, split);
  const auto patch = rest.substr(split);
  const bool target_is_valid = check_one(target);
  const bool patch_is_valid = check_one(patch);
  if (bytes[0] == 0 || !target_is_valid || !patch_is_valid) return 0;
  const auto merged = merge_patch(target, patch);
  MOORING_CHECK(is_valid_document(merged.bytes), "a merged document is valid");
  const auto twice = merge_patch(merged.bytes, patch);
  MOORING_CHECK(twice == merged, "RFC 7396: the same patch again changes nothing");
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t*, std::size_t)) {
  static constexpr std::string_view texts[] = {
      R"({"title":"Inspect pump 7","priority":3,"tags":["a","b"],"at":{"lat":52.5,"lon":13.4},"done":false})",
      R"({"title":null,"at":{"lat":1},"new":[1,2,3]})",
      R"([null,true,false,0,-1,127,-128,128,32768,-32769,4294967296,-4294967297,18446744073709551615,0.5,1e300])",
      R"(["","twelve bytes",")"
      "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
      R"(","a string that is longer than thirty-one bytes, so str 8"])",
      R"({"a":{"b":{"c":{"d":{"e":[[[[[]]]]]}}}}})",
      "{}",
      "[]",
      "null"};
  for (const auto text : texts) {
    const auto value = document_from_json(text);
    MOORING_CHECK(value.ok(), "the seeds are JSON");
    for (const auto other : texts) {
      const auto patch = document_from_json(other);
      MOORING_CHECK(patch.ok(), "the seeds are JSON");
      // The first byte that splits the rest where the second document begins, when there is one.
      const auto whole = value->bytes.size() + patch->bytes.size();
      for (unsigned first = 0; first < 256; ++first) {
        if (whole * first / 256 != value->bytes.size()) continue;
        const auto seed = static_cast<char>(first) + value->bytes + patch->bytes;
        add(reinterpret_cast<const std::uint8_t*>(seed.data()), seed.size());
        break;
      }
    }
    const auto alone = '\0' + value->bytes;
    add(reinterpret_cast<const std::uint8_t*>(alone.data()), alone.size());
  }
}
