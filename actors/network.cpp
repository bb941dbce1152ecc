#include "actors/network.hpp"

#include <optional>
#include <unordered_map>

#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/feed_hub.hpp"
#include "actors/home.hpp"
#include "actors/inspection.hpp"
#include "actors/pinned.hpp"
#include "base/log.hpp"
#include "base/text_map.hpp"
#include "storage/keys.hpp"

namespace mooring::actors {

namespace {

constexpr std::size_t late_told_max = 10;       // lines a second
constexpr std::uint16_t close_forbidden = 4403; // domain.md, "Limits"

// What one network thread has under way. Owned by the gateway; the actor holds it too.
struct table {
  struct filed_command {
    command_ptr request;
    api::command_done done;
    caf::actor_id sent_to = 0; // the device or tenant; 0: through the directory
    std::uint64_t connection = 0;
  };
  struct filed_query {
    query_ptr request;
    api::query_done done;
    caf::actor_id sent_to = 0;
    std::int64_t began_us = 0;
  };

  std::uint64_t next_id = 0;
  std::unordered_map<std::uint64_t, filed_command> commands;
  std::unordered_map<std::uint64_t, filed_query> queries;
  // Handles, and which of them are watched.
  text_map<std::string, device_actor> devices;
  text_map<std::string, tenant_actor> tenants;
  std::unordered_map<caf::actor_id, std::string> device_names, tenant_names;
  std::uint64_t answered = 0;
  std::unique_ptr<feed_hub> hub;
  std::function<void(std::int64_t at_us)> wake; // the hub, through the actor
};

std::string name_of(const std::string& tenant, const std::string& device) {
  std::string out;
  out.reserve(tenant.size() + 1 + device.size());
  out.append(tenant);
  out.push_back('\0');
  out.append(device);
  return out;
}

class network_state {
 public:
  static constexpr auto actor_name = "network";
  network_state(network_actor::pointer self, const surroundings& around, std::shared_ptr<table> work,
                std::vector<directory_actor> directories);
  network_actor::behavior_type behavior();

 private:
  void finish(command_ptr request);
  void finish(query_ptr request);
  void routed(const request_routed& message);
  void know(const tenant_actor& tenant, const std::string& name);
  void know(const device_actor& device, const std::string& tenant, const std::string& id);
  void down(const caf::down_msg& message);
  void housekeeping();
  inspect_answer inspect() const;

  network_actor::pointer self_;
  const surroundings& around_;
  std::shared_ptr<table> work_;
  std::vector<directory_actor> directories_;
  census::stay stay_;
  std::int64_t started_us_;
};

network_state::network_state(network_actor::pointer self, const surroundings& around,
                             std::shared_ptr<table> work, std::vector<directory_actor> directories)
    : self_(self)
    , around_(around)
    , work_(std::move(work))
    , directories_(std::move(directories))
    , stay_(around.who->enter({actor_kind::network, self->id(), "network", 0, around.time->now(), 0,
                               caf::weak_actor_ptr{self->ctrl()}}))
    , started_us_(around.time->monotonic_us()) {}

network_actor::behavior_type network_state::behavior() {
  self_->set_down_handler([this](const caf::down_msg& message) { down(message); });
  self_->delayed_send(self_, std::chrono::milliseconds(around_.settings.housekeeping_ms),
                      housekeeping_tick{});
  work_->wake = [this](std::int64_t at_us) {
    const auto wait_us = std::max<std::int64_t>(at_us - around_.time->monotonic_us(), 0);
    self_->delayed_send(self_, std::chrono::microseconds(wait_us), wake_hub{});
  };
  return {
      [this](command_done& message) { finish(std::move(message.request)); },
      [this](query_done& message) { finish(std::move(message.request)); },
      [this](const request_routed& message) { routed(message); },
      [this](const feed_moved& message) {
        if (work_->hub && !work_->hub->moved(message.batch)) // it did not hear that the last one left
          self_->send(caf::actor_cast<tenant_actor>(self_->current_sender()), actors::leave_feed{});
      },
      [this](wake_hub) {
        if (work_->hub) work_->hub->on_time();
      },
      [this](housekeeping_tick) { housekeeping(); },
      [this](inspect_request) { return inspect(); },
  };
}

void network_state::finish(command_ptr request) {
  const auto filed = work_->commands.find(request->id);
  if (filed == work_->commands.end()) return; // it was given up
  ++work_->answered;
  if (request->tenant) know(request->tenant, request->who.tenant);
  if (request->device) know(request->device, request->who.tenant, request->device_id);
  auto done = std::move(filed->second.done);
  const auto connection = filed->second.connection;
  work_->commands.erase(filed);
  if (request->answer.ok()) {
    if (connection != 0 && !request->device_id.empty())
      around_.connections->uses(connection, request->device_id);
    if (const auto* const gone = std::get_if<sync::deactivate_device>(&request->what))
      around_.connections->close_all(request->who.tenant, gone->device_id, close_forbidden,
                                     "the device was deactivated");
  }
  done(std::move(request->answer));
}

void network_state::finish(query_ptr request) {
  const auto filed = work_->queries.find(request->id);
  if (filed == work_->queries.end()) return;
  ++work_->answered;
  if (request->tenant) know(request->tenant, request->who.tenant);
  auto done = std::move(filed->second.done);
  work_->queries.erase(filed);
  done(std::move(request->answer));
}

// Who decides for this tenant, or takes the commands of this device: what comes next goes there, and its end is heard of.
void network_state::know(const tenant_actor& tenant, const std::string& name) {
  auto& known = work_->tenants[name];
  if (known == tenant) return;
  if (work_->tenant_names.try_emplace(tenant.id(), name).second) self_->monitor(tenant);
  if (!known) known = tenant; // else one of the two has ended, and its down message will say which
}

void network_state::know(const device_actor& device, const std::string& tenant, const std::string& id) {
  const auto [known, is_new] = work_->device_names.try_emplace(device.id());
  if (!is_new) return;
  known->second = name_of(tenant, id);
  work_->devices[known->second] = device;
  self_->monitor(device);
}

// When whoever has the request by now has ended already, monitoring tells so at once.
void network_state::routed(const request_routed& message) {
  const auto tenant = caf::actor_cast<tenant_actor>(message.tenant);
  const auto device = caf::actor_cast<device_actor>(message.device);
  const auto place = [&](auto& filed) {
    if (device)
      filed.sent_to = device.id();
    else if (filed.sent_to == 0) // else the tenant was faster than the directory
      filed.sent_to = tenant.id();
  };
  if (const auto command = work_->commands.find(message.id); command != work_->commands.end()) {
    place(command->second);
    const auto& asked = *command->second.request;
    know(tenant, asked.who.tenant);
    if (device) know(device, asked.who.tenant, asked.device_id);
  } else if (const auto query = work_->queries.find(message.id); query != work_->queries.end()) {
    place(query->second);
    know(tenant, query->second.request->who.tenant);
  }
}

void network_state::down(const caf::down_msg& message) {
  const auto id = message.source.id();
  if (const auto named = work_->device_names.find(id); named != work_->device_names.end()) {
    if (const auto known = work_->devices.find(named->second);
        known != work_->devices.end() && known->second.id() == id)
      work_->devices.erase(known);
    work_->device_names.erase(named);
  }
  std::string ended_tenant;
  if (const auto named = work_->tenant_names.find(id); named != work_->tenant_names.end()) {
    ended_tenant = named->second;
    if (const auto known = work_->tenants.find(named->second);
        known != work_->tenants.end() && known->second.id() == id)
      work_->tenants.erase(known);
    work_->tenant_names.erase(named);
  }
  const bool in_peace = !message.reason || message.reason == caf::exit_reason::user_shutdown;
  std::vector<command_ptr> commands;
  for (const auto& [number, filed] : work_->commands)
    if (filed.sent_to == id) commands.push_back(filed.request);
  std::vector<query_ptr> queries;
  for (const auto& [number, filed] : work_->queries)
    if (filed.sent_to == id) queries.push_back(filed.request);
  const auto shards = static_cast<unsigned>(directories_.size());
  for (auto& request : commands) {
    if (in_peace) {
      auto& filed = work_->commands[request->id];
      filed.sent_to = 0;
      filed.request = request->again();
      const auto& directory = directories_[storage::shard_of_tenant(request->who.tenant, shards)];
      self_->send(directory, route_command{filed.request});
    } else {
      log::warning("request {:x}: in doubt: the actor it was with failed: {}", request->request_id,
                   caf::to_string(message.reason));
      // The request itself may still be with another actor, on another thread.
      auto filed = work_->commands.extract(request->id);
      if (filed.empty()) continue;
      ++work_->answered;
      filed.mapped().done(
          error{error_code::unavailable, "the outcome is not known: retry with the same key", {}, 100});
    }
  }
  for (const auto& asked : queries) {
    const auto filed = work_->queries.find(asked->id);
    if (filed == work_->queries.end()) continue;
    // A reader may be at it: it is asked anew, and the first answer counts.
    auto request = asked->again();
    filed->second.request = request;
    filed->second.sent_to = 0;
    const auto& directory = directories_[storage::shard_of_tenant(request->who.tenant, shards)];
    self_->send(directory, route_query{std::move(request)});
  }
  if (!ended_tenant.empty() && work_->hub) work_->hub->tenant_ended(ended_tenant);
}

void network_state::housekeeping() {
  const auto now = around_.time->monotonic_us();
  const auto limit_us = around_.settings.request_timeout_ms * 1000;
  const error late{error_code::unavailable, "no answer in time: retry with the same key", {}, 1'000};
  std::size_t told = 0;
  const auto tell = [&](std::uint64_t request_id) { // a stall is many requests: the first say it
    if (++told <= late_told_max)
      log::warning("request {:x}: no answer within {} ms", request_id, around_.settings.request_timeout_ms);
  };
  std::vector<api::command_done> commands;
  for (auto at = work_->commands.begin(); at != work_->commands.end();)
    if (now - at->second.request->arrived_us > limit_us) {
      tell(at->second.request->request_id);
      commands.push_back(std::move(at->second.done));
      at = work_->commands.erase(at);
    } else {
      ++at;
    }
  std::vector<api::query_done> queries;
  for (auto at = work_->queries.begin(); at != work_->queries.end();)
    if (now - at->second.began_us > limit_us) {
      tell(at->second.request->request_id);
      queries.push_back(std::move(at->second.done));
      at = work_->queries.erase(at);
    } else {
      ++at;
    }
  if (told > late_told_max) log::warning("{} more requests had no answer in time", told - late_told_max);
  around_.counters->timeouts += commands.size() + queries.size();
  for (auto& done : commands) done(late);
  for (auto& done : queries) done(late);
  self_->delayed_send(self_, std::chrono::milliseconds(around_.settings.housekeeping_ms),
                      housekeeping_tick{});
}

inspect_answer network_state::inspect() const {
  inspection out("network", fmt::format("{}", self_->id()),
                 (around_.time->monotonic_us() - started_us_) / 1000);
  out.number("commands", static_cast<std::int64_t>(work_->commands.size()));
  out.number("queries", static_cast<std::int64_t>(work_->queries.size()));
  out.number("answered", static_cast<std::int64_t>(work_->answered));
  out.number("devices_known", static_cast<std::int64_t>(work_->devices.size()));
  return out.take();
}

// ── the gateway half ──

sync::caller caller_of(const net::identity& who) {
  return {who.tenant, who.user, who.device, who.is_admin, who.is_operator};
}

std::string device_id_of(const api::command& what) {
  struct visitor {
    std::string operator()(const sync::upload& x) const { return x.device_id; }
    std::string operator()(const sync::register_device& x) const { return x.device_id; }
    std::string operator()(const sync::acknowledge& x) const { return x.device_id; }
    std::string operator()(const sync::set_push_subscription& x) const { return x.device_id; }
    std::string operator()(const sync::resolve_conflict&) const { return {}; }
    std::string operator()(const sync::deactivate_device&) const { return {}; }
    std::string operator()(const sync::set_conflict_policy&) const { return {}; }
    std::string operator()(const sync::trigger_sync&) const { return {}; }
    std::string operator()(const sync::broadcast&) const { return {}; }
  };
  return std::visit(visitor{}, what);
}

class bridge final : public net::gateway, public api::backend, feed_reading {
 public:
  bridge(caf::actor_system& system, home& where, const surroundings& around, gateway_setting setting)
      : where_(where)
      , around_(around)
      , setting_(std::move(setting))
      , work_(std::make_shared<table>())
      , actor_(
            spawn_pinned<network_state, network_actor>(system, where, around, work_, setting_.directories)) {
    work_->hub = std::make_unique<feed_hub>(static_cast<feed_reading&>(*this), around_);
  }

  ~bridge() override {
    // Nobody is left to hear answers; the actor ends.
    work_->hub.reset();
    work_->commands.clear();
    work_->queries.clear();
    caf::anon_send_exit(actor_, caf::exit_reason::user_shutdown);
  }

  void execute(const net::graphql_request& request, net::completion done) override {
    if (request.who == nullptr) {
      net::graphql_answer refused;
      refused.body = api::service::unauthenticated_body(request.request_id);
      refused.executed = false;
      refused.refused = error_code::unauthenticated;
      return done(std::move(refused));
    }
    api::service_request what;
    what.from = {caller_of(*request.who), request.arrived_us, request.connection_id, request.request_id};
    what.backend = this;
    what.query = request.query;
    what.operation_name = request.operation_name;
    what.variables = request.variables;
    what.extensions = request.extensions;
    what.address = request.remote_address;
    what.may_mutate = request.via != net::transport::http_get;
    what.may_stream = request.via == net::transport::websocket;
    what.bytes = request.bytes;
    what.request_id = request.request_id;
    setting_.service->execute(what, [done = std::move(done)](api::service_answer made) {
      net::graphql_answer answer;
      answer.body = std::move(made.response.body);
      answer.executed = made.response.executed;
      answer.method_not_allowed = made.method_not_allowed;
      answer.refused = made.response.refused;
      answer.retry_after_ms = made.response.retry_after_ms;
      answer.events = std::static_pointer_cast<net::event_source>(made.response.source);
      done(std::move(answer));
    });
    where_.run(); // what was sent to actors of this home runs now, without a detour through the loop
  }

  void connection_opened(std::uint64_t connection, std::shared_ptr<const net::identity> who,
                         std::weak_ptr<net::connection_handle> handle) override {
    around_.connections->opened(connection, who->tenant, std::move(handle));
    if (who->device) around_.connections->uses(connection, *who->device);
  }

  void connection_closed(std::uint64_t connection) override { around_.connections->closed(connection); }

  // ── api::backend ──

  void submit(const api::origin& from, api::command what, api::command_done done) override {
    auto request = std::make_shared<command_request>();
    request->id = ++work_->next_id;
    request->request_id = from.request_id;
    request->who = from.who;
    request->device_id = device_id_of(what);
    request->what = std::move(what);
    request->arrived_us = from.arrived_us;
    request->reply_to = actor_;
    auto& filed = work_->commands[request->id];
    filed.request = request;
    filed.done = std::move(done);
    filed.connection = from.connection;
    if (!request->device_id.empty())
      if (const auto known = work_->devices.find(name_of(from.who.tenant, request->device_id));
          known != work_->devices.end()) {
        filed.sent_to = known->second.id();
        caf::anon_send(known->second, device_command{std::move(request)});
        return;
      }
    if (const auto known = work_->tenants.find(from.who.tenant); known != work_->tenants.end()) {
      filed.sent_to = known->second.id();
      caf::anon_send(known->second, tenant_command{std::move(request)});
      return;
    }
    caf::anon_send(directory_of(from.who.tenant), route_command{std::move(request)});
  }

  void read(const api::origin& from, sync::query what, api::query_done done) override {
    ask(from, std::move(what), std::move(done), false);
  }

  result<std::shared_ptr<void>> open_events(const api::origin& from, std::string device_id,
                                            std::optional<sync::cursor> after,
                                            std::shared_ptr<const graphql::event_writer> writer,
                                            api::stream_begun begun) override {
    if (!work_->hub->has_room_for(from))
      return error{
          error_code::rate_limited, "this user has as many subscriptions as one may have", {}, 10'000};
    return std::shared_ptr<void>(
        work_->hub->open(from, std::move(device_id), after, std::move(writer), std::move(begun)));
  }

 private:
  // ── feed_reading ──

  void read_feed(const api::origin& from, sync::get_feed what, api::query_done done) override {
    ask(from, std::move(what), std::move(done),
        true); // runs when the hub has returned: the tenant may answer at once
  }
  void listens(const api::origin& from, const std::string& device_id) override {
    if (from.connection != 0) around_.connections->uses(from.connection, device_id);
  }
  void leave_feed(const std::string& tenant) override {
    if (const auto known = work_->tenants.find(tenant); known != work_->tenants.end())
      caf::send_as(actor_, known->second, actors::leave_feed{});
  }
  void wake_at(std::int64_t at_us) override {
    if (work_->wake) work_->wake(at_us);
  }

  void ask(const api::origin& from, sync::query what, api::query_done done, bool watch) {
    auto request = std::make_shared<query_request>();
    request->id = ++work_->next_id;
    request->request_id = from.request_id;
    request->who = from.who;
    request->what = std::move(what);
    request->watch = watch;
    request->reply_to = actor_;
    auto& filed = work_->queries[request->id];
    filed.request = request;
    filed.done = std::move(done);
    filed.began_us = around_.time->monotonic_us();
    if (const auto known = work_->tenants.find(from.who.tenant); known != work_->tenants.end()) {
      filed.sent_to = known->second.id();
      caf::anon_send(known->second, tenant_query{std::move(request)});
      return;
    }
    caf::anon_send(directory_of(from.who.tenant), route_query{std::move(request)});
  }

  const directory_actor& directory_of(const std::string& tenant) const {
    return setting_
        .directories[storage::shard_of_tenant(tenant, static_cast<unsigned>(setting_.directories.size()))];
  }

  home& where_;
  const surroundings& around_;
  gateway_setting setting_;
  std::shared_ptr<table> work_;
  network_actor actor_;
};

} // namespace

std::unique_ptr<net::gateway> make_gateway(caf::actor_system& system, home& where, const surroundings& around,
                                           gateway_setting setting) {
  return std::make_unique<bridge>(system, where, around, std::move(setting));
}

} // namespace mooring::actors
