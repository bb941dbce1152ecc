// Cursors of a tenant's feed (domain.md, "The change feed"). Whom its places are meant for: audience.hpp.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sync/model.hpp"
#include "sync/queries.hpp"

namespace mooring::sync {

// A cursor is base64url, without padding, of 21 bytes: format version (1), the tenant's hash64 and the
// position, both little-endian, and the CRC-32C of those 17 bytes. Of a reader that is on its way from the beginning it is
// of 30 bytes: version 2, a zero, hash and position as before, where the head was when it began, and the CRC-32C of those
// 26. It is opaque to clients and the same on every node, so it outlives reconnects, restarts and fail-overs. It is no
// secret and grants nothing: what a reader may see is decided by its token.
std::string encode_cursor(std::string_view tenant, cursor at);
// BAD_USER_INPUT for what is no cursor, was damaged or belongs to another tenant.
result<cursor> decode_cursor(std::string_view tenant, std::string_view text);

// True when a reader there may have missed a removal that was swept since: it must read everything again. A reader that
// starts from the beginning (0) never missed one.
constexpr bool must_resync(cursor reader, position swept) {
  return reader.at > 0 && std::max(reader.at, reader.begun) < swept;
}
// True when it comes from a life that this tenant's data does not remember (a restored backup), whose places will be given
// away again.
constexpr bool is_ahead(cursor reader, position head) {
  return std::max(reader.at, reader.begun) > head;
}

} // namespace mooring::sync
