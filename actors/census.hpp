// census: which actors are alive, under which supervisor, since when, with how many restarts. Thread-safe.
//
// Looking costs the actors nothing; entering and leaving is one short lock. The inspect message asks one of them for more.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <caf/actor_control_block.hpp>

#include "base/time.hpp"

namespace mooring::actors {

enum class actor_kind : std::uint8_t { network, directory, shard_writer, tenant, device, reader };
inline constexpr std::size_t actor_kinds = 6;
std::string_view to_string(actor_kind kind);

class census {
 public:
  struct entry {
    actor_kind kind;
    std::uint64_t actor_id;   // CAF's
    std::string name;         // "tenant acme", "device acme/phone-7"
    std::uint64_t supervisor; // CAF's id, 0: the node
    instant since;
    std::uint32_t restarts; // of this name before this one
    caf::weak_actor_ptr handle = {};
  };

  // Alive until the stay is dropped.
  class stay {
   public:
    stay() = default;
    stay(census* in, actor_kind kind, std::uint64_t id)
        : in_(in)
        , kind_(kind)
        , id_(id) {}
    stay(stay&& other) noexcept { *this = std::move(other); }
    stay& operator=(stay&& other) noexcept;
    ~stay();

   private:
    census* in_ = nullptr;
    actor_kind kind_{};
    std::uint64_t id_ = 0;
  };

  [[nodiscard]] stay enter(entry who);
  std::uint64_t alive(actor_kind kind) const { return alive_[static_cast<std::size_t>(kind)]; }
  std::uint64_t restarts(actor_kind kind) const { return restarts_[static_cast<std::size_t>(kind)]; }
  void count_restart(actor_kind kind) { ++restarts_[static_cast<std::size_t>(kind)]; }
  std::vector<entry> list() const;

 private:
  void leave(actor_kind kind, std::uint64_t id);

  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, entry> entries_;
  std::array<std::atomic<std::uint64_t>, actor_kinds> alive_{}, restarts_{};
};

} // namespace mooring::actors
