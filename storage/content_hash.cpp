#include "storage/content_hash.hpp"

#include "base/check.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace mooring::storage {

struct content_hash::state {
  XXH3_state_t* of = XXH3_createState(); // has an alignment of its own
  ~state() { XXH3_freeState(of); }
};

content_hash::content_hash()
    : state_(std::make_unique<state>()) {
  MOORING_CHECK(state_->of != nullptr, "memory for a hash");
  XXH3_128bits_reset(state_->of);
}

content_hash::~content_hash() = default;

void content_hash::add(std::string_view bytes) {
  XXH3_128bits_update(state_->of, bytes.data(), bytes.size());
}

digest128 content_hash::digest() const {
  const auto made = XXH3_128bits_digest(state_->of);
  return {made.low64, made.high64};
}

} // namespace mooring::storage
