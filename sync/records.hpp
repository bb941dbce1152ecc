// Records (VOICE, BEHAVIORAL, SESSION, METRICS): what is stored of an item, and what a second upload of the
// same identity means (domain.md, "Two kinds of domain"). Pure.
//
// The stored document is an object with the API's input fields in the order of the schema, instants as
// canonical UTC text. A field that was absent or null is left out, so that both ways of saying nothing are
// the same content.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/document.hpp"
#include "sync/commands.hpp"

namespace mooring::sync {

// REQUIRES in all: check_item found nothing wrong.
document record_document(const voice_item&);
document record_document(const behavioral_item&);
document record_document(const session_item&);
document record_document(const metrics_item&);

// How an uploaded record stands to the stored one of the same identity.
struct record_comparison {
  // Empty when the upload contradicts nothing; else the first field, in the schema's order, that differs.
  std::string_view differs;
  // SESSION only: the stored record with the fields that it lacked and the upload has. Absent: nothing new.
  document completed;
};
// A completed SESSION may be followed by a late retry of what it was before: an upload that says less than
// what is stored, and nothing else, is no contradiction (docs/decisions/0010).
record_comparison compare_records(domain in, const document& stored, const document& uploaded);

} // namespace mooring::sync
