// Edits seen field by field.
#include "sync/fields.hpp"

#include <ctime>
#include <map>
#include <random>

#include "tests/sync/scenario.hpp"

using namespace mooring;
using namespace mooring::sync;
using namespace mooring::sync::testing;

namespace {

// A random object; `width` names at most, nested a little, with nulls when it is to be a patch.
void write_object(document_writer& out, std::mt19937& random, unsigned width, int depth, bool nulls) {
  std::map<std::string, unsigned> members; // each name once
  for (unsigned i = 0; i < width; ++i)
    if (random() % 2 == 0) members["f" + std::to_string(random() % width)] = static_cast<unsigned>(random());
  out.begin_object(members.size());
  for (const auto& [name, kind] : members) {
    out.key(name);
    switch (kind % 6) {
    case 0: nulls ? out.null() : out.boolean(true); break;
    case 1:
    case 2:
      if (depth > 0) {
        write_object(out, random, std::min(width, 6u), depth - 1, nulls);
        break;
      }
      [[fallthrough]];
    case 3: out.integer(kind / 6 % 3); break;
    case 4: out.string(std::to_string(kind / 6 % 3)); break;
    default: out.number(static_cast<double>(kind / 6 % 3)); break;
    }
  }
}

document object_of(std::mt19937& random, unsigned width, bool nulls) {
  document_writer out;
  write_object(out, random, width, 2, nulls);
  return out.take();
}

} // namespace

TEST_CASE(
    "applying an edit's changes is what the edit says, for patches and whole objects, small and large") {
  std::random_device seeds;
  const auto seed = seeds();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  for (int run = 0; run < 3000; ++run) {
    const auto width = run % 50 == 0 ? 300u : 1u + static_cast<unsigned>(random() % 9);
    const auto stored = object_of(random, width, false), patch = object_of(random, width, true),
               object = object_of(random, width, false);
    const auto patched = apply_changes(stored, changes_of_patch(stored, patch));
    REQUIRE(is_valid_document(patched.bytes));
    REQUIRE(documents_equal(patched.bytes, merge_patch(stored.bytes, patch.bytes).bytes));
    REQUIRE(documents_equal(apply_changes({}, changes_of_patch({}, patch)).bytes,
                            merge_patch("", patch.bytes).bytes));
    REQUIRE(documents_equal(apply_changes(stored, changes_of_object(stored, object)).bytes, object.bytes));
    REQUIRE(apply_changes(stored, changes_of_removal(stored)) == empty_object());
    // What changes nothing has no changes, and a change is never to the same value.
    REQUIRE(changes_of_object(stored, stored).empty());
    REQUIRE(changes_of_patch(patched, patch).empty());
    for (const auto& change : changes_of_patch(stored, patch))
      REQUIRE_FALSE(documents_equal(change.before, change.after()));
  }
}

TEST_CASE("objects of many thousand members are patched in a time of their number, not of its square") {
  document_writer before, patch;
  constexpr int members = 20'000;
  before.begin_object(1);
  before.key("inner");
  before.begin_object(members);
  patch.begin_object(1);
  patch.key("inner");
  patch.begin_object(members);
  for (int i = 0; i < members; ++i) {
    const auto name = "n" + std::to_string(i);
    before.key(name);
    before.integer(i);
    patch.key("n" + std::to_string(members - i)); // one of them is new
    i % 2 == 0 ? patch.null() : patch.integer(-1);
  }
  const auto stored = before.take(), wanted = patch.take();
  const auto start = std::clock();
  const auto done = apply_changes(stored, changes_of_patch(stored, wanted));
  const auto inner = *find_field(done.bytes, "inner");
  CHECK(size_of(inner) == members / 2 + 1);
  CHECK(integer_of(*find_field(inner, "n1")) == -1);
  CHECK_FALSE(find_field(inner, "n2").has_value());
  CHECK(integer_of(*find_field(inner, "n0")) == 0);
  // By squares it would be 200 million comparisons of names.
  CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < 0.4);
}

TEST_CASE("an origin is the field's own last change, or the creation") {
  entity e;
  e.first_device = 3;
  e.first_modified_at = {5};
  e.data = json(R"({"a":1,"b":2})");
  const auto patch = json(R"({"a":9})");
  stamp_changes(e, changes_of_patch(e.data, patch), 2, {7}, 4);
  e.data = merge_patch(e.data.bytes, patch.bytes);
  CHECK(origin_of(e, "a").version == 2);
  CHECK(origin_of(e, "a").device == 4);
  CHECK(origin_of(e, "a").modified_at == instant{7});
  CHECK(origin_of(e, "b").version == 1);
  CHECK(origin_of(e, "b").device == 3);
  CHECK(origin_of(e, "b").modified_at == instant{5});
  REQUIRE(e.fields.size() == 1);
  CHECK(e.fields[0].history ==
        std::vector<std::pair<std::int32_t, std::uint64_t>>{{1, hash_document(json("1").bytes)}});
}
