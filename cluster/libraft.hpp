// libraft 0.15.0 for C++. Private to cluster/: only its .cpp files and raft_io.hpp include this.
#pragma once

extern "C" {
#include <raft.h>
}

// Structs of the C header that share their name with a function (`struct raft_apply` and `raft_apply()`).
using raft_apply_request = struct raft_apply;
using raft_barrier_request = struct raft_barrier;
