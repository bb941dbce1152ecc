#include "storage/lmdb_calls.hpp"

#include <cerrno>
#include <cstring>
#include <string>

namespace mooring::storage {

error lmdb_error(std::string_view what, int code) {
  const bool full = code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT;
  return error{full ? error_code::storage_full : error_code::internal,
               std::string(what) + ": " + mdb_strerror(code)};
}

void throw_damage(MDB_env*, const char*) {
  if (assertion_is_damage) throw damaged_page{};
}

// The table of free pages (handle 0) maps a transaction to a list: its length, then page numbers.
std::uint64_t count_free_pages(MDB_txn* txn) {
  std::uint64_t all = 0;
  MDB_cursor* cursor = nullptr;
  if (mdb_cursor_open(txn, 0, &cursor) != 0) return 0;
  MDB_val key{}, value{};
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
    if (value.mv_size < sizeof(std::size_t)) continue;
    std::size_t pages = 0;
    std::memcpy(&pages, value.mv_data, sizeof pages);
    all += pages;
  }
  mdb_cursor_close(cursor);
  return all;
}

} // namespace mooring::storage
