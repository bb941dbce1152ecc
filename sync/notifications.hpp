// Writing notifications: calls to sync and messages (domain.md, "The change feed"). Pure.
#pragma once

#include <string>

#include "sync/staged.hpp"

namespace mooring::sync {

inline constexpr std::size_t notification_text_bytes_max = 4096; // of a reason or a message

// Puts it, and its slot with the next position. `id`, `at` and `created_at` are set here.
void tell(staged& in, notification&& what);

// The text of a notification's id.
std::string notification_id(position at);

} // namespace mooring::sync
