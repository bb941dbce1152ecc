// Backups over the network, both ends: what a node answers at /backup, and the command that asks for it.
//
// Threads: `begin` from any; the source it makes as body_source says; counters are relaxed.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "actors/runtime.hpp"
#include "base/result.hpp"
#include "net/body_source.hpp"

namespace mooring::app {

// One backup at a time: two would only slow each other, and each keeps old pages of a shard from being used
// again. REQUIRES: runtime and this outlive what `begin` made.
class backups {
 public:
  backups(const actors::runtime& runtime, std::filesystem::path data)
      : runtime_(runtime)
      , data_(std::move(data)) {}

  // unavailable while one is running.
  result<std::unique_ptr<net::body_source>> begin();

  bool is_running() const { return running_; }
  std::uint64_t completed() const { return completed_; }
  std::uint64_t failed() const { return failed_; } // cut ones too

 private:
  class running;
  const actors::runtime& runtime_;
  const std::filesystem::path data_;
  std::atomic<bool> running_{false};
  std::atomic<std::uint64_t> completed_{0}, failed_{0};
};

struct remote_backup_request {
  std::string url;
  std::string token, token_file; // neither: the variable MOORING_TOKEN
  std::string ca_file;
  bool insecure = false; // http to another machine
  std::string out;
};

// The command: copies a running node into the folder `out`. Prints, and returns the exit code.
int back_up_remote(const remote_backup_request& request);

} // namespace mooring::app
