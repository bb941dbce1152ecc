// A shard with one voter on a disk in memory, and what its observer saw.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/log.hpp"
#include "cluster/shard.hpp"
#include "tests/cluster/memory_storage.hpp"
#include "tests/cluster/test_rows.hpp"

namespace mooring::cluster::testing {

struct single_shard final : shard_observer {
  std::shared_ptr<memory_disk> disk = std::make_shared<memory_disk>();
  manual_clock time{instant{1'000'000}};
  shard_options options;
  std::unique_ptr<cluster::shard> shard;

  std::vector<std::string> bodies; // committed, in this life
  std::vector<std::string> events;
  std::vector<commit_measure> commits;

  single_shard() {
    log::set_level(log::level::off); // stops and reloads are what is tested
    options.open_storage = [this]() -> result<std::unique_ptr<stable_storage>> {
      return std::unique_ptr<stable_storage>(std::make_unique<memory_storage>(disk));
    };
    options.read_rows = read_test_rows;
    options.time = &time;
    options.observer = this;
  }

  void open() {
    bodies.clear();
    auto opened = cluster::shard::open(options);
    REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? std::string() : opened.failure().message));
    shard = std::move(*opened);
  }
  // What a power cut does: the object goes, and only what was committed is found again.
  void crash_and_open() {
    shard.reset();
    open();
  }
  result<log_index> propose(std::string body, shard::purpose what_for = shard::purpose::ordinary) {
    std::optional<result<log_index>> outcome;
    this->shard->propose(
        std::move(body), [&](result<log_index> got) { outcome = std::move(got); }, what_for);
    REQUIRE(outcome.has_value()); // one voter: at once
    return *outcome;
  }
  error_code refusal(std::string body) {
    const auto outcome = propose(std::move(body));
    REQUIRE_FALSE(outcome.ok());
    return outcome.failure().code;
  }
  result<void> apply_now() {
    std::optional<result<void>> outcome;
    shard->apply_now([&](result<void> got) { outcome = got; });
    REQUIRE(outcome.has_value());
    return *outcome;
  }
  void pass_ms(std::int64_t ms) {
    time.advance_ms(ms);
    shard->tick();
  }
  std::optional<std::string> table(std::string_view rest) const {
    const auto found = disk->rows.find(table_key(rest));
    return found == disk->rows.end() ? std::optional<std::string>{} : found->second;
  }
  bool seen(std::string_view event) const {
    for (const auto& each : events)
      if (each == event) return true;
    return false;
  }

  void elected(log_term) override { events.emplace_back("elected"); }
  void leading(log_term) override { events.emplace_back("leading"); }
  void stepped_down() override { events.emplace_back("stepped down"); }
  void committed(log_index, std::string_view body) override { bodies.emplace_back(body); }
  void applied(log_index index) override { events.push_back("applied " + std::to_string(index)); }
  void commit(const commit_measure& measure) override { commits.push_back(measure); }
  void stopped(const error&) override { events.emplace_back("stopped"); }
  void reloaded() override { events.emplace_back("reloaded"); }
};

} // namespace mooring::cluster::testing
