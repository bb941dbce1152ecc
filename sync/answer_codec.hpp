// The packed form of an upload's answer, as an idempotency record keeps it, and of one item's outcome, as an
// operation record keeps it.
//
// msgpack, nested arrays in the order of the structs of answers.hpp, first a format version (1):
//   answer     [1, sections (bit 0 voice … bit 4 operations), section…, metrics, [warning…],
//   server_timestamp,
//              idempotency_key]            `replayed` is not stored: what is read back is a replay by
//              definition
//   section    [synced, failed, [item…], [conflict…], [error…], metrics]
//   item       [flags, item_id, then only what the flags name, in this order: operation_id, version,
//   conflict_id, error]
//              flags: 1 success, 2 duplicate, 4 conflict_detected, 8 operation_id, 16 version, 32
//              conflict_id, 64 error
//   error      [code, message, field | nil, item_id | nil, details as bin]
//   metrics    [total, synced, failed, conflicts, duration_ms, bandwidth_bytes | nil, cache_hit_rate | nil]
//   conflict   its members in the order of model.hpp; documents as bin
//   item alone [1, item]
//
// Reading: bytes that are damaged, of another version or followed by more give an `internal` error, never
// anything else.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sync/answers.hpp"

namespace mooring::sync {

inline constexpr int answer_format_version = 1;

std::string pack_answer(const upload_answer&);
// `replayed` is true in what is returned.
result<upload_answer> unpack_answer(std::string_view packed);

std::string pack_item(const item_result&);
result<item_result> unpack_item(std::string_view packed);

} // namespace mooring::sync
