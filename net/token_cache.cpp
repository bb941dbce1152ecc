#include "net/token_cache.hpp"

#include <cstring>

#include <openssl/sha.h>

namespace mooring::net {

std::size_t token_cache::digest_hash::operator()(const digest& of) const {
  std::size_t out = 0;
  std::memcpy(&out, of.data(), sizeof out); // SHA-256 is evenly spread already
  return out;
}

token_cache::token_cache(std::shared_ptr<const jwt_verifier> verifier, std::size_t entries_max)
    : verifier_(std::move(verifier))
    , entries_max_(entries_max) {}

result<std::shared_ptr<const identity>> token_cache::verify(std::string_view token, instant now) {
  digest key{};
  if (token.size() <= token_bytes_max) {
    SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), key.data());
    if (const auto found = by_digest_.find(key); found != by_digest_.end()) {
      if (now < found->second->who->expires + verifier_->expiry_leeway_ms()) {
        entries_.splice(entries_.begin(), entries_, found->second);
        return found->second->who;
      }
      entries_.erase(found->second);
      by_digest_.erase(found);
    }
  }
  auto verified = verifier_->verify(token, now);
  if (!verified) return verified.failure();
  std::shared_ptr<const identity> who = std::make_shared<const identity>(std::move(*verified));
  if (entries_max_ == 0) return who;
  if (entries_.size() >= entries_max_) {
    by_digest_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({key, who});
  by_digest_.emplace(key, entries_.begin());
  return who;
}

} // namespace mooring::net
