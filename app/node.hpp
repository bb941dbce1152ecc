// node: one server process, wired together from settings: data folder, actors, API, network.
//
// Threads: start and stop from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/settings.hpp"

namespace mooring::app {

class node {
 public:
  // Failures name what the operator can do: the folder is in use, the address is taken, a key file is missing…
  // `fatal` is called at most once, from another thread, when the node cannot go on. `is_over` is asked while the shards are
  // loaded: once it says so, the start fails.
  static result<std::unique_ptr<node>> start(const config::settings& settings,
                                             std::function<void(const std::string& why)> fatal,
                                             const std::function<bool()>& is_over);
  ~node(); // stops

  // Stops accepting, answers what is in flight, closes sockets with 1001, brings the tables up to date with the log; within
  // 10 s.
  void stop();
  // The certificate files again (SIGHUP).
  result<void> reload();
  std::uint16_t port() const;

 private:
  struct parts;
  explicit node(std::unique_ptr<parts> made);
  std::unique_ptr<parts> parts_;
};

} // namespace mooring::app
