// What all code that calls LMDB needs: its codes as errors, its values as views, its assertions as damage. Inside of
// storage/environment.hpp; nobody else includes it.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include <lmdb.h>

#include "base/result.hpp"

namespace mooring::storage {

// storage_full when the map or the disk is, else internal.
error lmdb_error(std::string_view what, int code);

inline MDB_val to_val(std::string_view bytes) {
  return MDB_val{bytes.size(), const_cast<char*>(bytes.data())};
}
inline std::string_view to_view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

// LMDB stops the process when a page is not what the tree says. While a row is read or written that is damage
// of the file, to be told like any other: the assertion is thrown over LMDB's frames, which hold nothing
// there (every platform that Debian builds LMDB for has unwind tables). Anywhere else it stays what it was.
struct damaged_page {};
inline thread_local bool assertion_is_damage = false;
void throw_damage(MDB_env*, const char*); // for mdb_env_set_assert

// LMDB's code; MDB_CORRUPTED for an assertion.
template<class Call> int guarded(Call&& call) {
  const bool before = std::exchange(assertion_is_damage, true);
  int code = MDB_CORRUPTED;
  try {
    code = call();
  } catch (const damaged_page&) {
  }
  assertion_is_damage = before;
  return code;
}

// Pages that LMDB may use again, as the snapshot knows them.
std::uint64_t count_free_pages(MDB_txn* txn);

} // namespace mooring::storage
