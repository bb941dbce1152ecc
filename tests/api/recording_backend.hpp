// A backend that remembers what it was asked for, so that the way in and the way out can be seen.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/service.hpp"

namespace mooring::api::test {

class recording_backend final : public backend {
 public:
  void submit(const origin&, command what, command_done done) override {
    commands.push_back(std::move(what));
    dones.push_back(std::move(done));
  }
  void read(const origin&, sync::query what, query_done done) override {
    queries.push_back(std::move(what));
    reads.push_back(std::move(done));
  }
  result<std::shared_ptr<void>> open_events(const origin&, std::string device_id,
                                            std::optional<sync::cursor> after,
                                            std::shared_ptr<const graphql::event_writer> writer,
                                            stream_begun begun) override {
    opened.push_back({std::move(device_id), after, std::move(writer), std::move(begun)});
    return std::shared_ptr<void>(std::make_shared<int>(7));
  }
  struct opening {
    std::string device_id;
    std::optional<sync::cursor> after;
    std::shared_ptr<const graphql::event_writer> writer;
    stream_begun begun;
  };
  std::deque<opening> opened;
  std::deque<command> commands;
  std::deque<command_done> dones;
  std::deque<sync::query> queries;
  std::deque<query_done> reads;
};

} // namespace mooring::api::test
