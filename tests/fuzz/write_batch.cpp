// storage/write_batch.hpp: the body of a raft entry from a peer or the disk. Every row that is read lies
// inside the entry; rows written out again are read the same; two entries in one are the rows of both; what
// validates is applied to no row outside the tenants' tables.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "storage/packing.hpp"
#include "storage/write_batch.hpp"
#include "tests/fuzz/seeds.hpp"

using namespace mooring;
using namespace mooring::storage;

namespace {

struct rows {
  std::vector<batch_row> all;
  bool failed = false;
};

rows read(std::string_view entry) {
  rows out;
  entry_reader reader(entry);
  while (const auto row = reader.next()) {
    const auto inside = [&](std::string_view bytes) {
      return bytes.empty() ||
             (bytes.data() >= entry.data() && bytes.data() + bytes.size() <= entry.data() + entry.size());
    };
    MOORING_CHECK(inside(row->key) && (!row->value || inside(*row->value)), "rows lie inside their entry");
    out.all.push_back(*row);
  }
  out.failed = reader.failed();
  return out;
}

bool same(const std::vector<batch_row>& a, const std::vector<batch_row>& b, std::size_t b_from) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].key != b[b_from + i].key || a[i].value != b[b_from + i].value) return false;
  return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t length) {
  const std::string_view entry(reinterpret_cast<const char*>(bytes), length);
  const auto once = read(entry);
  const auto valid = validate_entry(entry);
  if (once.failed) MOORING_CHECK(!valid, "what does not parse is not valid");
  if (valid.ok())
    for (const auto& row : once.all)
      MOORING_CHECK(static_cast<unsigned char>(row.key.front()) >= tenant_rows_tag,
                    "the log's rows are out of reach");
  if (once.failed) return 0;

  std::string written;
  {
    packer out(written);
    out.room(5);
    out.array(once.all.size());
    for (const auto& row : once.all) {
      out.room(16 + row.key.size() + row.value.value_or("").size());
      out.array(2);
      out.bin(row.key);
      row.value ? out.bin(*row.value) : out.nil();
    }
  }
  const auto back = read(written);
  MOORING_CHECK(!back.failed && back.all.size() == once.all.size() && same(once.all, back.all, 0),
                "rows that were read can be written and read");
  const std::string doubled = std::string(entry) + std::string(entry);
  const auto twice = read(doubled);
  MOORING_CHECK(!twice.failed && twice.all.size() == 2 * once.all.size() && same(once.all, twice.all, 0) &&
                    same(once.all, twice.all, once.all.size()),
                "entries can be joined");
  MOORING_CHECK(validate_entry(doubled).ok() == valid.ok(), "joining changes nothing");
  return 0;
}

extern "C" void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes, std::size_t length)) {
  const auto give = [add](const write_batch& batch) {
    add(reinterpret_cast<const std::uint8_t*>(batch.bytes().data()), batch.bytes().size());
  };
  sync::entity entity;
  entity.in = sync::domain::task;
  entity.id = "t1";
  entity.data = *document_from_json(R"({"title":"Fix it"})");
  sync::feed_row feed;
  feed.key = 3;
  feed.slots.resize(2);
  auto batch = *write_batch::encode("acme", {sync::tenant_counters{.tenant = "acme"}, entity, feed});
  give(batch);
  const auto deletions = *write_batch::encode("acme", {sync::delete_entity{sync::domain::task, 0, "t1"},
                                                       sync::delete_feed_row{3}, sync::delete_conflict{7}});
  give(deletions);
  batch.append(deletions);
  give(batch);
}
