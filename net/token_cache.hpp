// Tokens that verified already, so that an HTTP client pays for its signature once and not with each request.
//
// A bounded LRU by the SHA-256 of the token (the token itself is not kept). One per network thread; no lock.
#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "net/gateway.hpp"
#include "net/jwt.hpp"

namespace mooring::net {

class token_cache {
 public:
  token_cache(std::shared_ptr<const jwt_verifier> verifier, std::size_t entries_max);

  // As jwt_verifier::verify; only successes are remembered, and not beyond their expiry.
  result<std::shared_ptr<const identity>> verify(std::string_view token, instant now);

  std::int64_t expiry_leeway_ms() const { return verifier_->expiry_leeway_ms(); }
  std::size_t size() const { return entries_.size(); }

 private:
  using digest = std::array<unsigned char, 32>;
  struct digest_hash {
    std::size_t operator()(const digest& of) const;
  };
  struct entry {
    digest key;
    std::shared_ptr<const identity> who;
  };
  std::shared_ptr<const jwt_verifier> verifier_;
  std::size_t entries_max_;
  std::list<entry> entries_; // the most recently used first
  std::unordered_map<digest, std::list<entry>::iterator, digest_hash> by_digest_;
};

} // namespace mooring::net
