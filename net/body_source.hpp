// A body too long to be held in memory: made piece by piece, as fast as the peer takes it.
//
// Threads: `next` and the destructor run on a thread of the body's own, never on a network thread, and may
// block.
#pragma once

#include <string>

#include "base/result.hpp"

namespace mooring::net {

class body_source {
 public:
  virtual ~body_source() = default;
  // The next piece, of some hundred KiB at most; empty: that was all. A failure of the first call is the
  // answer to the request; a later one cuts the connection, so that nobody takes a part for the whole. Not
  // called again after either.
  virtual result<std::string> next() = 0;
  // From any thread: the peer has gone or the node stops, and `next` returns soon.
  virtual void cancel() = 0;
};

} // namespace mooring::net
