// Hash tables by text that a client may choose: with a hash that differs in each process, so that nobody can choose texts
// that all fall into one place. Look-ups take any kind of string.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.hpp"

namespace mooring {

struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return hash64(text, process_seed()); }
};

// Key: std::string or std::string_view.
template<class Key, class T> using text_map = std::unordered_map<Key, T, text_hash, std::equal_to<>>;
template<class Key, class T>
using text_multimap = std::unordered_multimap<Key, T, text_hash, std::equal_to<>>;
template<class Key> using text_set = std::unordered_set<Key, text_hash, std::equal_to<>>;

} // namespace mooring
