// The node as its operator sees it: /readyz, /metrics and /backup.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "actors/runtime.hpp"
#include "api/service.hpp"
#include "app/backups.hpp"
#include "net/counters.hpp"
#include "net/gateway.hpp"

namespace mooring::app {

class node_status final : public net::status_source {
 public:
  node_status(const actors::runtime& runtime, const api::service& service, std::filesystem::path data,
              std::function<net::net_totals()> network)
      : runtime_(runtime)
      , service_(service)
      , backups_(runtime, std::move(data))
      , network_(std::move(network)) {}

  bool is_ready(std::string& why_not) override;
  // Read from the parts' own counters at each scrape: nobody scraping costs nothing.
  std::string metrics_text() override;
  result<std::unique_ptr<net::body_source>> begin_backup() override { return backups_.begin(); }

  void stopping() { stopping_ = true; }

 private:
  const actors::runtime& runtime_;
  const api::service& service_;
  backups backups_;
  std::function<net::net_totals()> network_;
  std::atomic<bool> stopping_{false};
};

} // namespace mooring::app
