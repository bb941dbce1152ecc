// XXH3-128 of content that comes in pieces: what a backup's manifest says of each file.
//
// Owner: one thread.
#pragma once

#include <memory>
#include <string_view>

#include "base/hash.hpp"

namespace mooring::storage {

class content_hash {
 public:
  content_hash();
  ~content_hash();
  void add(std::string_view bytes);
  digest128 digest() const; // of what was added so far

 private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace mooring::storage
