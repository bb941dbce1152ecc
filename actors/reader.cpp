#include "actors/reader.hpp"

#include <stdlib.h>

#include <algorithm>
#include <thread>

#include <caf/all.hpp>

#include "actors/inspection.hpp"
#include "base/log.hpp"
#include "storage/query.hpp"

namespace mooring::actors {

namespace {

class reader_state {
 public:
  static constexpr auto actor_name = "reader";

  reader_state(reader_actor::pointer self, const surroundings& around, const shard_access& shard,
               std::string id)
      : self_(self)
      , around_(around)
      , shard_(shard)
      , id_(std::move(id))
      , stay_(around.who->enter({actor_kind::reader, self->id(), id_, 0, around.time->now(), 0,
                                 caf::weak_actor_ptr{self->ctrl()}}))
      , started_us_(around.time->monotonic_us()) {}

  reader_actor::behavior_type behavior() {
    return {
        [this](run_query& message) {
          auto request = std::move(message.request);
          request->answer = run(*request);
          ++answered_;
          const auto to = request->reply_to;
          self_->send(to, query_done{std::move(request)});
        },
        [this](inspect_request) {
          inspection out("reader", id_, (around_.time->monotonic_us() - started_us_) / 1000);
          out.number("answered", static_cast<std::int64_t>(answered_));
          return out.take();
        },
    };
  }

 private:
  result<sync::query_answer> run(const query_request& request) {
    const auto environment = shard_.environment();
    if (environment == nullptr) return error{error_code::unavailable, "the shard is being loaded", {}, 500};
    auto snapshot = environment->begin_read();
    if (!snapshot) return snapshot.failure();
    if (names_of_ != request.who.tenant) { // names are remembered for the tenant served last
      names_of_ = request.who.tenant;
      names_ = {};
    }
    storage::tenant_store store(*snapshot, request.who.tenant);
    storage::query_setting setting;
    setting.rules = &around_.settings.rules;
    setting.now = around_.time->now();
    setting.online = [&](std::string_view device) {
      return around_.connections->online(request.who.tenant, device);
    };
    if (std::holds_alternative<sync::get_sync_advice>(request.what)) setting.load = load(); // asks the system
    auto answer = storage::answer_query(store, names_, request.who, request.what, setting);
    if (!answer && answer.failure().code == error_code::internal)
      log::error("request {:x}: tenant {}: a query met damage: {}", request.request_id, request.who.tenant,
                 answer.failure().message);
    return answer;
  }

  sync::node_load load() const {
    sync::node_load out;
    out.commands_waiting = around_.counters->commands_waiting.load(std::memory_order_relaxed);
    double of_the_last_minute = 0;
    if (::getloadavg(&of_the_last_minute, 1) == 1)
      out.busy = of_the_last_minute / std::max(1u, std::thread::hardware_concurrency());
    return out;
  }

  reader_actor::pointer self_;
  const surroundings& around_;
  const shard_access& shard_;
  std::string id_;
  census::stay stay_;
  std::int64_t started_us_;
  std::uint64_t answered_ = 0;
  std::string names_of_;
  storage::directory names_;
};

class reader final : public reader_actor::base {
 public:
  reader(caf::actor_config& config, const surroundings& around, const shard_access& shard, std::string id)
      : reader_actor::base(config)
      , state_(std::in_place, this, around, shard, std::move(id)) {}
  const char* name() const override { return reader_state::actor_name; }
  void on_exit() override { state_.reset(); }

 protected:
  reader_actor::behavior_type make_behavior() override { return state_->behavior(); }

 private:
  std::optional<reader_state> state_;
};

} // namespace

reader_actor spawn_reader(caf::actor_system& system, const surroundings& around, const shard_access& shard,
                          std::string id) {
  return system.spawn<reader>(std::cref(around), std::cref(shard), std::move(id));
}

} // namespace mooring::actors
