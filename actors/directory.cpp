#include "actors/directory.hpp"

#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/inspection.hpp"
#include "actors/tenant.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"

namespace mooring::actors {

directory_state::directory_state(directory_actor::pointer self, const surroundings& around,
                                 directory_setting setting)
    : self_(self)
    , around_(around)
    , setting_(std::move(setting))
    , stay_(around.who->enter({actor_kind::directory, self->id(),
                               fmt::format("directory of shard {}", setting_.writer.number), 0,
                               around.time->now(), 0, caf::weak_actor_ptr{self->ctrl()}}))
    , started_us_(around.time->monotonic_us()) {}

directory_actor::behavior_type directory_state::behavior() {
  self_->set_down_handler([this](const caf::down_msg& message) { down(message); });
  start_writer();
  self_->delayed_send(self_, std::chrono::milliseconds(around_.settings.housekeeping_ms),
                      housekeeping_tick{});
  return {
      [this](route_command& message) {
        const auto tenant = message.request->who.tenant;
        route(tenant, std::move(message.request));
      },
      [this](route_query& message) {
        const auto tenant = message.request->who.tenant;
        route(tenant, std::move(message.request));
      },
      [this](housekeeping_tick) { housekeeping(); },
      [this](const tenant_found& message) { route(message.tenant, sweep_rows{}); },
      [this](may_stop) { let_stop(caf::actor_cast<tenant_actor>(self_->current_sender())); },
      [this](goes_on) { takes_back(caf::actor_cast<tenant_actor>(self_->current_sender())); },
      [this](inspect_request) { return inspect(); },
  };
}

directory_state::~directory_state() {
  for (auto& [name, entry] : tenants_)
    if (entry.actor) caf::anon_send_exit(entry.actor, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(writer_, caf::exit_reason::user_shutdown);
}

void directory_state::start_writer() {
  writer_ = spawn_shard_writer(self_->home_system(), around_, setting_.writer, directory_actor{self_});
  self_->monitor(writer_);
}

result<tenant_actor> directory_state::tenant_of(const std::string& name) {
  auto& entry = tenants_[name];
  if (entry.actor) return entry.actor;
  const auto now = around_.time->monotonic_us();
  if (now < entry.not_before_us)
    return error{error_code::unavailable,
                 "the tenant is being started again",
                 {},
                 (entry.not_before_us - now) / 1000 + 1};
  const auto& dwelling = setting_.dwellings[hash64(name, 7) % setting_.dwellings.size()];
  tenant_setting setting;
  setting.where = dwelling.where;
  setting.snapshot = dwelling.snapshot;
  setting.batches = dwelling.batches;
  setting.directory = directory_actor{self_};
  setting.writer = writer_;
  setting.readers = setting_.readers;
  entry.actor = spawn_pinned<tenant_state, tenant_actor>(self_->home_system(), *dwelling.where, around_, name,
                                                         std::move(setting), entry.restarts.count(),
                                                         entry.settle_first);
  names_[entry.actor.id()] = name;
  self_->monitor(entry.actor);
  return entry.actor;
}

void directory_state::route(const std::string& tenant, request what) {
  if (const auto known = tenants_.find(tenant); known != tenants_.end() && known->second.let_go)
    return known->second.held.push_back(std::move(what));
  if (auto actor = tenant_of(tenant))
    pass(*actor, std::move(what));
  else
    refuse(std::move(what), actor.failure());
}

void directory_state::pass(const tenant_actor& tenant, request what) {
  // The network actor that asked hears who has its request when that is on its way: it watches the tenant from then on, and
  // what it sends there itself cannot overtake.
  const auto tell = [&](std::uint64_t id, const network_actor& asker) {
    self_->send(asker, request_routed{id, caf::actor_cast<caf::strong_actor_ptr>(tenant), nullptr});
  };
  if (auto* const command = std::get_if<command_ptr>(&what)) {
    const auto id = (*command)->id;
    const auto asker = (*command)->reply_to;
    self_->send(tenant, tenant_command{std::move(*command)});
    tell(id, asker);
  } else if (auto* const query = std::get_if<query_ptr>(&what)) {
    const auto id = (*query)->id;
    const auto asker = (*query)->reply_to;
    self_->send(tenant, tenant_query{std::move(*query)});
    tell(id, asker);
  } else {
    self_->send(tenant, sweep_rows{});
  }
}

void directory_state::refuse(request what, const error& why) {
  if (auto* const command = std::get_if<command_ptr>(&what)) {
    (*command)->answer = why;
    const auto to = (*command)->reply_to;
    self_->send(to, command_done{std::move(*command)});
  } else if (auto* const query = std::get_if<query_ptr>(&what)) {
    (*query)->answer = why;
    const auto to = (*query)->reply_to;
    self_->send(to, query_done{std::move(*query)});
  }
}

// Null: it is not the one that works for its tenant.
directory_state::tenant_entry* directory_state::entry_of(const tenant_actor& tenant) {
  const auto name = names_.find(tenant.id());
  if (name == names_.end()) return nullptr;
  const auto entry = tenants_.find(name->second);
  return entry != tenants_.end() && entry->second.actor == tenant ? &entry->second : nullptr;
}

void directory_state::let_stop(const tenant_actor& tenant) {
  auto* const entry = entry_of(tenant);
  if (entry == nullptr) return;
  entry->let_go = true;
  entry->settle_first = false; // when it ends, its batches are all in the tables
  self_->send(tenant, stop_granted{});
}

void directory_state::takes_back(const tenant_actor& tenant) {
  auto* const entry = entry_of(tenant);
  if (entry == nullptr) return;
  entry->let_go = false;
  for (auto& what : std::exchange(entry->held, {})) pass(tenant, std::move(what));
}

void directory_state::down(const caf::down_msg& message) {
  if (writer_ && message.source == writer_.address()) {
    log::error("shard {}: its writer failed: {}", setting_.writer.number, caf::to_string(message.reason));
    around_.who->count_restart(actor_kind::shard_writer);
    if (!writer_restarts_.allow(around_.time->monotonic_us(), around_.settings)) {
      self_->quit(caf::make_error(caf::sec::runtime_error,
                                  fmt::format("the writer of shard {} failed too often: {}",
                                              setting_.writer.number, caf::to_string(message.reason))));
      return;
    }
    // Its tenants hold its handle and sent it what nobody knows the outcome of: they end, their successors settle.
    for (auto& [name, entry] : tenants_) {
      entry.settle_first = true;
      if (entry.actor)
        self_->send(entry.actor,
                    batches_lost{{error_code::unavailable, "the shard is being loaded", {}, 500}});
    }
    setting_.writer.pause_us = writer_restarts_.back_off_us();
    start_writer();
    return;
  }
  const auto name = names_.find(message.source.id());
  if (name == names_.end()) return;
  const auto tenant = name->second;
  names_.erase(name);
  const auto entry = tenants_.find(tenant);
  if (entry == tenants_.end() || !entry->second.actor || entry->second.actor.address() != message.source)
    return;
  auto& ended = entry->second;
  ended.actor = nullptr;
  ended.let_go = false;
  const auto held = std::exchange(ended.held, {});
  if (message.reason) ended.settle_first = true; // an idle one ends without
  if (message.reason &&
      message.reason != caf::exit_reason::user_shutdown) { // which says that batches were lost
    around_.who->count_restart(actor_kind::tenant);
    log::error("tenant {}: failed: {}", tenant, caf::to_string(message.reason));
    const auto now = around_.time->monotonic_us();
    if (!ended.restarts.allow(now, around_.settings)) {
      self_->quit(
          caf::make_error(caf::sec::runtime_error, fmt::format("tenant {} failed too often", tenant)));
      return;
    }
    ended.not_before_us = now + ended.restarts.back_off_us();
  } else if (!ended.settle_first && held.empty()) {
    tenants_.erase(entry);
  }
  for (auto& what : held) route(tenant, what);
}

void directory_state::housekeeping() {
  for (auto& [name, entry] : tenants_)
    if (entry.actor) self_->send(entry.actor, housekeeping_tick{});
  self_->delayed_send(self_, std::chrono::milliseconds(around_.settings.housekeeping_ms),
                      housekeeping_tick{});
}

inspect_answer directory_state::inspect() const {
  inspection out("directory", fmt::format("shard {}", setting_.writer.number),
                 (around_.time->monotonic_us() - started_us_) / 1000);
  out.number("tenants", static_cast<std::int64_t>(tenants_.size()));
  out.number("writer_restarts", writer_restarts_.count());
  return out.take();
}

} // namespace mooring::actors
