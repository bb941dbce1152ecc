#include "graphql/persisted.hpp"

#include <algorithm>

namespace mooring::graphql {

persisted_queries::outcome persisted_queries::look_up(std::string_view query, const json_value& extensions) {
  const outcome plain{finding::not_asked, query, nullptr, {}};
  if (extensions.absent() || extensions.kind() != json_kind::object) return plain;
  const auto asked = extensions.find("persistedQuery");
  if (asked.absent() || asked.kind() == json_kind::null) return plain;
  // A client that always sends both needs no store: its text is what runs.
  if (!enabled_) return query.empty() ? outcome{finding::not_supported, {}, nullptr, {}} : plain;
  if (asked.kind() != json_kind::object) return {finding::malformed, {}, nullptr, {}};
  const auto version = asked.find("version");
  const auto hash = asked.find("sha256Hash");
  if (version.absent() || version.kind() != json_kind::integer || version.integer() != 1)
    return {finding::unsupported_version, {}, nullptr, {}};
  if (hash.absent() || hash.kind() != json_kind::string || hash.string().size() != 64)
    return {finding::malformed, {}, nullptr, {}};

  std::string key(hash.string());
  std::transform(key.begin(), key.end(), key.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  auto known = texts_.find(key);
  if (query.empty()) {
    (known ? hits_ : misses_).fetch_add(1, std::memory_order_relaxed);
    if (!known) return {finding::not_found, {}, nullptr, {}};
    const std::string_view text = *known;
    return {finding::text, text, std::move(known), {}};
  }
  if (known && *known == query) return {finding::text, query, nullptr, {}};
  if (sha256_hex(query) != key) return {finding::mismatch, {}, nullptr, {}};
  return {finding::text, query, nullptr, std::move(key)};
}

void persisted_queries::remember(const std::string& hash, std::string_view text) {
  constexpr std::size_t overhead = 256; // nodes of the table and the list
  texts_.insert(hash, std::make_shared<const std::string>(text), text.size() + overhead);
}

} // namespace mooring::graphql
