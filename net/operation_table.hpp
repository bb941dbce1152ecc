// The requests that were given to the gateway and are not answered yet, of all sessions of one network
// thread.
//
// A completion carries only a ticket (slot and generation, 64 bits): it fits into std::function without an
// allocation, keeps no session alive, and finds nothing when the session has ended in the meantime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mooring::net {

class session;

class operation_table {
 public:
  using ticket = std::uint64_t;

  struct operation {
    session* owner = nullptr;     // null: the slot is free
    std::string id_json;          // WebSocket: the operation's id as JSON
    std::uint64_t request_id = 0; // WebSocket
    std::uint32_t generation = 0;
    std::uint32_t next_free = 0;
    bool cancelled = false; // WebSocket: completed by the client; its answer is dropped
  };

  ticket open(session& owner);
  operation* find(ticket of); // null when it was closed
  void close(ticket of);
  std::size_t open_count() const { return open_; }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  std::vector<operation> slots_;
  std::uint32_t first_free_ = none;
  std::size_t open_ = 0;
};

} // namespace mooring::net
