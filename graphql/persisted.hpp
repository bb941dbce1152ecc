// Automatic persisted queries, Apollo's convention: a client first sends only a document's SHA-256 in
// extensions.persistedQuery; told PersistedQueryNotFound, it sends hash and text once, and from then on the
// hash.
//
// Texts are kept only when they hash to what was claimed and were prepared without error; bounded in number
// and bytes. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "graphql/bounded_cache.hpp"
#include "graphql/sha256.hpp"

namespace mooring::graphql {

class persisted_queries {
 public:
  persisted_queries(std::size_t count_max, std::size_t bytes_max)
      : enabled_(count_max > 0)
      , texts_(count_max, bytes_max) {}

  enum class finding : std::uint8_t {
    not_asked,           // no persistedQuery in the extensions: the text is the request's own
    text,                // `text` is the document
    not_found,           // PersistedQueryNotFound
    not_supported,       // switched off
    unsupported_version, // of the extension
    malformed,           // the extension is no object with version and sha256Hash
    mismatch,            // the text does not hash to what is claimed
  };
  struct outcome {
    finding what = finding::not_asked;
    std::string_view text;
    std::shared_ptr<const std::string> owner; // of `text` when it was found here
    std::string remember_as;                  // the hash to call `remember` with when the text proves good
  };
  outcome look_up(std::string_view query, const json_value& extensions);
  void remember(const std::string& hash, std::string_view text);

  std::uint64_t hits() const { return hits_.load(std::memory_order_relaxed); }
  std::uint64_t misses() const { return misses_.load(std::memory_order_relaxed); }
  std::size_t count() const { return texts_.count(); }
  std::size_t bytes() const { return texts_.bytes(); }

 private:
  const bool enabled_;
  bounded_cache<std::string, std::string> texts_;
  std::atomic<std::uint64_t> hits_{0};
  std::atomic<std::uint64_t> misses_{0};
};

} // namespace mooring::graphql
