#include "actors/tenant.hpp"

#include <algorithm>

#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/feed_batch.hpp"
#include "actors/inspection.hpp"
#include "base/log.hpp"
#include "storage/query.hpp"
#include "storage/write_batch.hpp"
#include "sync/sweep.hpp"

namespace mooring::actors {

tenant_state::tenant_state(tenant_actor::pointer self, const surroundings& around, std::string tenant,
                           tenant_setting setting, std::uint32_t restarts, bool settle_first)
    : self_(self)
    , around_(around)
    , tenant_(std::move(tenant))
    , setting_(std::move(setting))
    , stay_(around.who->enter({actor_kind::tenant, self->id(), tenant_, setting_.directory.id(),
                               around.time->now(), restarts, caf::weak_actor_ptr{self->ctrl()}}))
    , started_us_(around.time->monotonic_us())
    , settling_(settle_first)
    , tables_(setting_.snapshot->transaction(), tenant_)
    , overlay_(tables_)
    , used_us_(started_us_) {}

tenant_actor::behavior_type tenant_state::behavior() {
  self_->set_down_handler([this](const caf::down_msg& message) { device_down(message); });
  if (settling_) {
    setting_.batches->flush(); // of the one before this one
    self_->send(setting_.writer, settle_tenant{});
  }
  return {
      [this](tenant_command& message) { take(std::move(message.request)); },
      [this](decide_command& message) { decide(std::move(message.request)); },
      [this](tenant_query& message) { take(std::move(message.request)); },
      [this](leave_feed) { std::erase(watchers_, caf::actor_cast<network_actor>(self_->current_sender())); },
      [this](batches_committed message) { committed(message.upto); },
      [this](batches_applied message) { applied(message.upto); },
      [this](const batches_refused& message) { refused(message.why); },
      [this](const batches_lost& message) { lost(message.why); },
      [this](const apply_blocked& message) { apply_is_blocked(message.why); },
      [this](tenant_settled) {
        settling_ = false;
        setting_.snapshot->park();
        for (auto& request : std::exchange(before_settled_, {})) take(std::move(request));
        for (auto& request : std::exchange(queries_before_settled_, {})) take(std::move(request));
      },
      [this](housekeeping_tick) { housekeeping(); },
      [this](stop_granted) { let_go(); },
      [this](sweep_rows) { begin_sweep(); },
      [this](sweep_further) { sweep(); },
      [this](goes_on) { device_goes_on(caf::actor_cast<device_actor>(self_->current_sender())); },
      [this](inspect_request) { return inspect(); },
  };
}

// ── commands ──

void tenant_state::take(command_ptr request) {
  used_us_ = around_.time->monotonic_us();
  if (settling_) return before_settled_.push_back(std::move(request));
  request->tenant = self_;
  if (request->device_id.empty()) return decide(std::move(request));
  auto& device = device_of(request->device_id);
  if (!device.actor)
    return refuse(std::move(request),
                  error{error_code::unavailable,
                        "the device is being started again",
                        {},
                        (device.not_before_us - around_.time->monotonic_us()) / 1000 + 1});
  if (device.asked_to_stop) return device.held.push_back(std::move(request));
  const auto id = request->id;
  const auto asker = request->reply_to;
  self_->send(device.actor, device_command{std::move(request)});
  self_->send(asker, request_routed{id, caf::strong_actor_ptr{self_->ctrl()},
                                    caf::actor_cast<caf::strong_actor_ptr>(device.actor)});
}

tenant_state::device_entry& tenant_state::device_of(const std::string& id) {
  auto& entry = devices_[id];
  entry.used_us = used_us_;
  if (entry.actor || around_.time->monotonic_us() < entry.not_before_us) return entry;
  entry.actor =
      spawn_pinned<device_state, device_actor>(self_->home_system(), *setting_.where, around_, tenant_, id,
                                               tenant_actor{self_}, entry.restarts.count());
  self_->monitor(entry.actor);
  return entry;
}

result<sync::store*> tenant_state::present_store() {
  if (auto current = setting_.snapshot->make_current(); !current) return current.failure();
  return static_cast<sync::store*>(&overlay_);
}

namespace {

// Fills in the answer and hands out the writes of a decision, whatever it answers.
template<class Answer>
result<sync::write_list> take_decision(command_request& request, result<sync::decision<Answer>> made) {
  if (!made) return made.failure();
  request.answer = api::command_answer{std::move(made->answer)};
  return std::move(made->writes);
}

} // namespace

result<sync::write_list> tenant_state::apply_rules(command_request& request, sync::store& over) {
  const auto now = around_.time->now();
  const auto& rules = around_.settings.rules;
  const auto& who = request.who;
  struct visitor {
    command_request& request;
    sync::store& over;
    const sync::caller& who;
    instant now;
    const sync::rule_settings& rules;
    result<sync::write_list> operator()(const sync::upload& what) {
      return take_decision(request, sync::apply_upload(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::resolve_conflict& what) {
      return take_decision(request, sync::apply_resolution(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::register_device& what) {
      return take_decision(request, sync::apply_registration(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::deactivate_device& what) {
      return take_decision(request, sync::apply_deactivation(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::acknowledge& what) {
      return take_decision(request, sync::apply_acknowledgement(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::set_conflict_policy& what) {
      return take_decision(request, sync::apply_policy(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::set_push_subscription& what) {
      return take_decision(request, sync::apply_push_subscription(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::trigger_sync& what) {
      return take_decision(request, sync::apply_trigger(over, who, what, now, rules));
    }
    result<sync::write_list> operator()(const sync::broadcast& what) {
      return take_decision(request, sync::apply_broadcast(over, who, what, now, rules));
    }
  };
  return std::visit(visitor{request, over, who, now, rules}, request.what);
}

namespace {

// Whose settings, or whose right to listen, the command changes.
std::optional<std::string> device_that_changes(const command_request& request) {
  if (const auto* const what = std::get_if<sync::deactivate_device>(&request.what)) return what->device_id;
  if (const auto* const what = std::get_if<sync::register_device>(&request.what)) return what->device_id;
  if (const auto* const what = std::get_if<sync::set_push_subscription>(&request.what))
    return what->device_id;
  return std::nullopt;
}

} // namespace

void tenant_state::decide(command_ptr request) {
  used_us_ = around_.time->monotonic_us();
  if (const auto found = devices_.find(request->device_id); found != devices_.end())
    found->second.used_us = used_us_;
  request->tenant = self_;
  if (settling_) return before_settled_.push_back(std::move(request));
  if (waiting_.size() >= around_.settings.tenant_queue_max)
    return refuse(std::move(request),
                  {error_code::unavailable, "too many commands of this tenant wait for the disk", {}, 1'000});
  ++decided_;
  around_.counters->commands.fetch_add(1, std::memory_order_relaxed);

  auto store = present_store();
  if (!store) return refuse(std::move(request), store.failure());
  const storage::numbering before{(*store)->counters().last_device};
  auto writes = apply_rules(*request, **store);
  if (const auto damage = tables_.failure()) {
    log::error("request {:x}: tenant {}: a row cannot be read: {}", request->request_id, tenant_,
               damage->message);
    forget_damage();
    return refuse(std::move(request), {error_code::internal, "a stored row cannot be read"});
  }
  if (!writes) return refuse(std::move(request), writes.failure());

  std::uint64_t sequence = sent_; // a replay waits for nothing but what it repeats
  const bool wrote = !writes->empty();
  if (wrote) {
    if (const auto now = around_.time->now(); analytics_.is_due(now)) analytics_.take(now, *writes);
    const bool is_upkeep = std::holds_alternative<sync::acknowledge>(request->what);
    if (request->was_refused) setting_.batches->flush(); // what goes on is not held up by what is refused
    if (auto sent = send(*writes, before, is_upkeep); !sent)
      return refuse(std::move(request), sent.failure());
    if (request->was_refused) setting_.batches->flush();
    sequence = sent_;
    overlay_.add(sequence, std::make_shared<const sync::write_list>(std::move(*writes)));
    // Also while nobody watches: who begins to before this is committed reads the device as it was, and must hear of it.
    if (auto device = device_that_changes(*request))
      changed_devices_.emplace_back(sequence, std::move(*device));
  }
  if (sequence <= committed_) return answer(std::move(request));
  // Also an answer without writes may rest on what is not durable yet (a retry of a running key): it waits as well.
  around_.counters->commands_waiting.fetch_add(1, std::memory_order_relaxed);
  waiting_.push_back({sequence, wrote, std::move(request)});
}

result<void> tenant_state::send(const sync::write_list& writes, storage::numbering before, bool is_upkeep) {
  auto added =
      setting_.batches->add({setting_.writer, self_, tables_.hash()}, sent_ + 1, writes, before, is_upkeep);
  if (added) ++sent_;
  return added;
}

void tenant_state::answer(command_ptr request) {
  if (request->answer.ok())
    if (auto* const upload = std::get_if<sync::upload_answer>(&*request->answer)) {
      auto& counters = *around_.counters;
      // Of this request, also when it repeats an older answer: from its arrival to here.
      upload->overall.duration_ms =
          static_cast<double>(around_.time->monotonic_us() - request->arrived_us) / 1000.0;
      if (upload->replayed) {
        counters.replays.fetch_add(1, std::memory_order_relaxed);
      } else {
        counters.items_synced.fetch_add(static_cast<std::uint64_t>(upload->overall.synced_items),
                                        std::memory_order_relaxed);
        counters.items_failed.fetch_add(static_cast<std::uint64_t>(upload->overall.failed_items),
                                        std::memory_order_relaxed);
        count_conflicts(*upload);
      }
      count_upload(*request, *upload);
    }
  if (request->device) self_->send(request->device, command_decided{});
  const auto to = request->reply_to;
  self_->send(to, command_done{std::move(request)});
}

void tenant_state::count_upload(const command_request& request, const sync::upload_answer& answer) {
  const auto* const what = std::get_if<sync::upload>(&request.what);
  if (what == nullptr) return;
  const auto now = around_.time->now();
  if (!std::exchange(analytics_resumed_, true) && setting_.snapshot->make_current()) {
    if (const auto stored = tables_.find_analytics(sync::hour_of(now))) analytics_.resume(*stored);
    if (const auto damage = tables_.failure()) {
      log::error("request {:x}: tenant {}: what was counted in this hour cannot be read: {}",
                 request.request_id, tenant_, damage->message);
      forget_damage();
    }
  }
  analytics_.count(*what, answer, static_cast<std::int64_t>(answer.overall.duration_ms * 1000), now);
}

// When no command comes that takes it along.
void tenant_state::write_analytics() {
  sync::write_list writes;
  analytics_.take(around_.time->now(), writes);
  if (send(writes, {}, false).ok()) overlay_.add(sent_, writes);
}

void tenant_state::count_conflicts(const sync::upload_answer& answer) {
  if (!answer.operations) return;
  for (const auto& one : answer.operations->conflicts)
    around_.counters->conflicts[static_cast<std::size_t>(one.in)][static_cast<std::size_t>(one.by)].fetch_add(
        1, std::memory_order_relaxed);
}

// The snapshot, which others share, remembers it as well: the next look-up has a new one.
void tenant_state::forget_damage() {
  tables_.clear_failure();
  setting_.snapshot->park();
}

void tenant_state::refuse(command_ptr request, error why) {
  request->answer = std::move(why);
  answer(std::move(request));
}

// ── commits ──

void tenant_state::committed(std::uint64_t upto) {
  committed_ = std::max(committed_, upto);
  if (sweep_sent_ != 0 && sweep_sent_ <= committed_) sweep_committed();
  while (!waiting_.empty() && waiting_.front().sequence <= committed_) {
    auto request = std::move(waiting_.front().request);
    waiting_.pop_front();
    around_.counters->commands_waiting.fetch_sub(1, std::memory_order_relaxed);
    answer(std::move(request));
  }
  while (!reads_answered_.empty() && reads_answered_.front().sequence <= committed_) answer(take_answered());
  announce(committed_);
}

void tenant_state::applied(std::uint64_t upto) {
  committed(upto);
  applied_ = std::max(applied_, upto);
  apply_asked_ = false;
  setting_.snapshot->park(); // the next look-up sees what was applied, so the overlay may forget it
  overlay_.forget_upto(applied_);
  run_due_queries();
}

// All batches behind the committed ones are refused: the writer works them off in order, and has told of those before.
void tenant_state::refused(const error& why) {
  ++refusals_;
  sent_ = committed_;
  while (!changed_devices_.empty() && changed_devices_.back().first > committed_) changed_devices_.pop_back();
  overlay_.forget_from(committed_ + 1);
  names_ = {};               // numbers that were given are given anew
  setting_.batches->flush(); // what was decided on top of them: the writer drops it too
  self_->send(setting_.writer, refusal_heard{});
  auto waiting = std::exchange(waiting_, {});
  around_.counters->commands_waiting.fetch_sub(static_cast<std::int64_t>(waiting.size()),
                                               std::memory_order_relaxed);
  std::vector<command_ptr> again;
  // A retry that had nothing to write repeats an older answer, which may be stored, and an acknowledgement was refused for
  // what it stood beside: they are decided once more.
  for (auto& one : waiting) {
    const bool may_go_on = !one.wrote || (std::holds_alternative<sync::acknowledge>(one.request->what) &&
                                          !std::exchange(one.request->was_refused, true));
    if (may_go_on)
      again.push_back(std::move(one.request));
    else
      refuse(std::move(one.request), why);
  }
  for (auto& request : again) decide(std::move(request));
  if (sweep_sent_ > committed_) sweep_refused();
  for (auto left = reads_answered_.size(); left > 0; --left) read(take_answered());
}

void tenant_state::lost(const error& why) {
  log::warning("tenant {}: {} commands are in doubt: {}", tenant_, waiting_.size(), why.message);
  for (auto& one : waiting_) {
    around_.counters->commands_waiting.fetch_sub(1, std::memory_order_relaxed);
    refuse(std::move(one.request), why);
  }
  waiting_.clear();
  // Also what came through the directory: nobody else knows where it is.
  const error loading{error_code::unavailable, "the shard is being loaded", {}, 500};
  for (auto& [upto, request] : std::exchange(reads_waiting_, {})) refuse(std::move(request), loading);
  while (!reads_answered_.empty()) refuse(take_answered(), loading);
  for (auto& request : std::exchange(before_settled_, {})) refuse(std::move(request), loading);
  for (auto& request : std::exchange(queries_before_settled_, {})) refuse(std::move(request), loading);
  for (auto& [id, device] : devices_)
    for (auto& request : std::exchange(device.held, {})) refuse(std::move(request), loading);
  end(caf::exit_reason::user_shutdown); // no failure; but unlike an idle one's end, the successor must settle
}

// What was acknowledged cannot be shown yet, and nobody knows when: better a typed error now than silence.
void tenant_state::apply_is_blocked(const error& why) {
  apply_asked_ = false;
  for (auto& [upto, request] : std::exchange(reads_waiting_, {})) refuse(std::move(request), why);
  for (auto& request : std::exchange(before_settled_, {})) refuse(std::move(request), why);
  for (auto& request : std::exchange(queries_before_settled_, {})) refuse(std::move(request), why);
}

void tenant_state::refuse(query_ptr request, error why) {
  request->answer = std::move(why);
  answer(std::move(request));
}

// ── pushes ──

// From now on `who` hears of every batch that is committed; the page of the feed that it asks for has all before.
result<void> tenant_state::watch(const network_actor& who) {
  if (std::find(watchers_.begin(), watchers_.end(), who) != watchers_.end()) return {};
  if (watchers_.empty()) {
    if (auto current = setting_.snapshot->make_current(); !current) return current;
    announced_ = committed_;
    // The tables may be further than we were told: the page has that as well.
    announced_at_ = std::max(last_position_of(0, committed_), tables_.counters().last_position);
  }
  watchers_.push_back(who);
  return {};
}

// Of these batches, as far as they are pending; else 0.
sync::position tenant_state::last_position_of(std::uint64_t from, std::uint64_t upto) const {
  sync::position last = 0;
  overlay_.for_each(from, upto, [&](std::uint64_t, const sync::write_list& writes) {
    for (const auto& one : writes)
      if (const auto* const counters = sync::row_in<sync::tenant_counters>(one))
        last = counters->last_position;
  });
  return last;
}

namespace {

// As the batch wrote it: what later ones wrote may not be durable yet.
std::optional<sync::device> device_in(const sync::write_list& writes, const std::string& id,
                                      sync::store& else_in) {
  for (const auto& one : writes)
    if (const auto* const device = sync::row_in<sync::device>(one); device && device->id == id)
      return *device;
  return else_in.find_device(id);
}

} // namespace

// What was committed since the last time, to those who watch. REQUIRES: the overlay still has it.
void tenant_state::announce(std::uint64_t upto) {
  if (watchers_.empty()) {
    while (!changed_devices_.empty() && changed_devices_.front().first <= upto) changed_devices_.pop_front();
    return;
  }
  if (upto <= announced_) return;
  const auto from = std::exchange(announced_, upto);
  if (!setting_.snapshot
           ->make_current()) { // the shard is being loaded; who listens sees the gap, and reads on
    auto gap = std::make_shared<feed_batch>();
    gap->tenant = tenant_;
    announced_at_ = std::max(announced_at_, last_position_of(from + 1, upto));
    gap->from = gap->upto = announced_at_;
    for (const auto& watcher : watchers_) self_->send(watcher, feed_moved{gap});
    return;
  }
  overlay_.for_each(from + 1, upto, [&](std::uint64_t sequence, const sync::write_list& writes) {
    std::vector<sync::device> devices;
    for (; !changed_devices_.empty() && changed_devices_.front().first <= sequence;
         changed_devices_.pop_front())
      if (auto device = device_in(writes, changed_devices_.front().second, overlay_))
        devices.push_back(std::move(*device));
    const auto batch = make_feed_batch(tenant_, writes, announced_at_, overlay_, std::move(devices));
    if (!batch) return;
    announced_at_ = batch->upto;
    for (const auto& watcher : watchers_) self_->send(watcher, feed_moved{batch});
  });
}

// ── queries ──

void tenant_state::take(query_ptr request) {
  used_us_ = around_.time->monotonic_us();
  if (settling_) return queries_before_settled_.push_back(std::move(request));
  around_.counters->queries.fetch_add(1, std::memory_order_relaxed);
  request->tenant = self_;
  if (request->watch)
    if (auto watched = watch(request->reply_to); !watched)
      return refuse(std::move(request), watched.failure());
  read(std::move(request));
}

void tenant_state::read(query_ptr request) {
  if (applied_ < committed_ && read_near_head(request)) return;
  reads_waiting_.emplace_back(committed_, std::move(request));
  run_due_queries();
}

namespace {

std::size_t bytes_of(const sync::query_answer& answer) {
  struct visitor {
    std::size_t operator()(const sync::entity_answer& x) const {
      return sizeof x + x.id.size() + x.data.bytes.size();
    }
    std::size_t operator()(const sync::conflict& x) const {
      return sizeof x + x.server_data.bytes.size() + x.client_data.bytes.size();
    }
    std::size_t operator()(const sync::notification& x) const {
      return sizeof x + x.text.size() + x.data.bytes.size();
    }
  };
  std::size_t all = sizeof answer;
  if (const auto* const page = std::get_if<sync::change_page>(&answer)) {
    all += (page->entities.capacity() - page->entities.size()) * sizeof(sync::entity_answer);
    for (const auto& one : page->entities) all += visitor{}(one);
  }
  if (const auto* const page = std::get_if<sync::feed_page>(&answer)) {
    all += page->events.capacity() * sizeof(sync::feed_event);
    for (const auto& one : page->events) all += std::visit(visitor{}, one.what);
  }
  if (const auto* const one = std::get_if<std::optional<sync::entity_answer>>(&answer); one && *one)
    all += visitor{}(**one);
  return all;
}

} // namespace

// False: it is for the readers.
bool tenant_state::read_near_head(query_ptr& request) {
  if (answered_bytes_ >= answered_bytes_max ||
      around_.counters->answers_held_bytes.load(std::memory_order_relaxed) >= answered_bytes_max_of_node ||
      !setting_.snapshot->make_current())
    return false;
  storage::pending_store rows(overlay_, tables_);
  storage::query_setting setting;
  setting.rules = &around_.settings.rules;
  setting.now = around_.time->now();
  auto made = storage::answer_near_head(rows, names_, request->who, request->what, setting);
  if (tables_.failure()) { // a reader meets it again, and says so
    forget_damage();
    return false;
  }
  if (!made) return false;
  around_.counters->queries_near_head.fetch_add(1, std::memory_order_relaxed);
  request->answer = std::move(*made);
  if (sent_ <= committed_) {
    answer(std::move(request));
  } else {
    const auto bytes = request->answer ? bytes_of(*request->answer) : 0;
    answered_bytes_ += bytes;
    around_.counters->answers_held_bytes.fetch_add(static_cast<std::int64_t>(bytes),
                                                   std::memory_order_relaxed);
    reads_answered_.push_back({sent_, bytes, std::move(request)});
  }
  return true;
}

query_ptr tenant_state::take_answered() {
  auto oldest = std::move(reads_answered_.front());
  reads_answered_.pop_front();
  answered_bytes_ -= oldest.bytes;
  around_.counters->answers_held_bytes.fetch_sub(static_cast<std::int64_t>(oldest.bytes),
                                                 std::memory_order_relaxed);
  return std::move(oldest.request);
}

void tenant_state::answer(query_ptr request) {
  const auto to = request->reply_to;
  self_->send(to, query_done{std::move(request)});
}

void tenant_state::run_due_queries() {
  while (!reads_waiting_.empty() && reads_waiting_.front().first <= applied_) {
    self_->send(setting_.readers[next_reader_++ % setting_.readers.size()],
                run_query{std::move(reads_waiting_.front().second)});
    reads_waiting_.pop_front();
  }
  if (reads_waiting_.empty() || apply_asked_) return;
  apply_asked_ = true; // committed after what was applied just now
  self_->send(setting_.writer, apply_now{});
}

// ── housekeeping ──

bool tenant_state::is_idle() const {
  return waiting_.empty() && reads_waiting_.empty() && watchers_.empty() && applied_ == sent_ && !settling_ &&
         !sweeping_ && around_.time->monotonic_us() - used_us_ > around_.settings.idle_timeout_ms * 1000;
}

void tenant_state::housekeeping() {
  const auto now = around_.time->monotonic_us();
  const bool crowded = around_.who->alive(actor_kind::device) > around_.settings.devices_alive_max;
  const auto idle_us = crowded ? 1'000'000 : around_.settings.idle_timeout_ms * 1000;
  for (auto& [id, entry] : devices_)
    if (entry.actor && !entry.asked_to_stop && now - entry.used_us > idle_us) {
      entry.asked_to_stop = true;
      self_->send(entry.actor, stop_if_idle{});
    }
  const bool idle = is_idle();
  if (!settling_ && analytics_.has_news() && (idle || analytics_.is_due(around_.time->now())))
    return write_analytics();
  if (!idle || asking_to_stop_) return;
  asking_to_stop_ = true;
  self_->send(setting_.directory, may_stop{});
}

void tenant_state::let_go() {
  if (is_idle()) return end({});
  asking_to_stop_ = false;
  self_->send(setting_.directory, goes_on{});
}

void tenant_state::begin_sweep() {
  if (!std::exchange(sweeping_, true)) sweep();
}

// One stretch of rows; the next one follows a little later, so that commands come first.
void tenant_state::sweep() {
  const bool is_under_way = sweep_sent_ != 0;
  if (!is_under_way) sweeping_ = sweep_stretch();
  if (!sweeping_) return;
  const bool busy = is_under_way || !waiting_.empty();
  self_->delayed_send(self_, std::chrono::milliseconds(busy ? 200 : 20), sweep_further{});
}

// True: there are more. What is stored is looked at, and removed as far as nothing that is pending writes it anew.
bool tenant_state::sweep_stretch() {
  if (settling_) return false; // the next round comes
  const auto& rules = around_.settings.rules;
  const auto now = around_.time->now();
  auto store = present_store();
  if (!store) return false;
  sweep_before_ = sweep_at_;
  sync::write_list writes;
  tables_.collect_expired(now + -rules.idempotency_window_ms, sweep_rows_, sweep_at_.resume, writes);
  sync::sweep_candidates seen;
  std::size_t looked_at = 0;
  if (sweep_at_.resume.empty())
    tables_.scan_feed(sweep_at_.feed, [&](const storage::feed_slot_view& slot) {
      sweep_at_.feed = slot.at;
      if (auto one = storage::to_slot(slot); sync::has_expired(one, now, rules))
        seen.feed.push_back({one.at, {std::move(one)}});
      return ++looked_at < sweep_rows_;
    });
  if (sweep_at_.resume.empty())
    tables_.collect_old_analytics(sync::hour_of(now) - sync::analytics_hours_max, sweep_rows_, writes);
  std::erase_if(writes, [&](const sync::write& one) { return overlay_.is_pending(one); });
  const auto swept = overlay_.pending_swept().value_or(tables_.swept());
  auto more = sync::decide_sweep(**store, seen, swept, now, rules); // as it stands with what is pending
  writes.insert(writes.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  if (tables_.failure()) {
    log::error("tenant {}: sweeping met a damaged row: {}", tenant_, tables_.failure()->message);
    forget_damage();
    return false;
  }
  if (!writes.empty()) {
    setting_.batches->flush(); // so that it goes on alone when uploads are refused
    if (!send(writes, {(*store)->counters().last_device}, true)) return false;
    setting_.batches->flush();
    overlay_.add(sent_, writes);
    sweep_sent_ = sent_;
    sweep_removes_ = writes.size();
  }
  if (!sweep_at_.resume.empty() || looked_at >= sweep_rows_) return true;
  sweep_at_.feed = 0;
  return false;
}

void tenant_state::sweep_committed() {
  around_.counters->swept_rows.fetch_add(sweep_removes_, std::memory_order_relaxed);
  sweep_sent_ = 0;
  sweep_rows_ = std::min(2 * sweep_rows_, sweep_rows_max);
}

// What removes less needs less room: LMDB writes the pages that it frees rows of anew.
void tenant_state::sweep_refused() {
  sweep_sent_ = 0;
  sweep_at_ = sweep_before_;
  if (sweep_rows_ == sweep_rows_min) { // the next round tries again
    sweeping_ = false;
    return;
  }
  sweep_rows_ = std::max(sweep_rows_ / 4, sweep_rows_min);
  if (!std::exchange(sweeping_, true)) sweep();
}

void tenant_state::end(caf::error reason) {
  self_->quit(std::move(reason));
}

// Devices end with their tenant. What waits in them is sent anew by the network actors, which hear of the end.
tenant_state::~tenant_state() {
  around_.counters->answers_held_bytes.fetch_sub(static_cast<std::int64_t>(answered_bytes_),
                                                 std::memory_order_relaxed);
  for (auto& [id, entry] : devices_)
    if (entry.actor) caf::anon_send_exit(entry.actor, caf::exit_reason::user_shutdown);
}

void tenant_state::device_down(const caf::down_msg& message) {
  for (auto at = devices_.begin(); at != devices_.end(); ++at) {
    if (!at->second.actor || at->second.actor.address() != message.source) continue;
    auto held = std::exchange(at->second.held, {});
    if (!message.reason || message.reason == caf::exit_reason::user_shutdown) { // it was idle
      devices_.erase(at);
      for (auto& request : held) take(std::move(request));
      return;
    }
    at->second.actor = nullptr;
    at->second.asked_to_stop = false;
    around_.who->count_restart(actor_kind::device);
    log::error("device {}/{}: failed: {}", tenant_, at->first, caf::to_string(message.reason));
    const auto now_us = around_.time->monotonic_us();
    if (!at->second.restarts.allow(now_us, around_.settings)) {
      log::error("tenant {}: device {} failed too often", tenant_, at->first);
      end(caf::make_error(caf::sec::runtime_error, "a device failed too often"));
      return;
    }
    if (at->second.restarts.count() > 1)
      at->second.not_before_us = now_us + at->second.restarts.back_off_us();
    for (auto& request : held) take(std::move(request));
    return;
  }
}

void tenant_state::device_goes_on(const device_actor& device) {
  for (auto& [id, entry] : devices_) {
    if (entry.actor != device) continue;
    entry.asked_to_stop = false;
    for (auto& request : std::exchange(entry.held, {})) take(std::move(request));
    return;
  }
}

inspect_answer tenant_state::inspect() const {
  inspection out("tenant", tenant_, (around_.time->monotonic_us() - started_us_) / 1000);
  out.text("state", settling_ ? "settling" : asking_to_stop_ ? "asking" : "serving");
  out.number("decided", static_cast<std::int64_t>(decided_));
  out.number("refusals", static_cast<std::int64_t>(refusals_));
  out.number("waiting", static_cast<std::int64_t>(waiting_.size()));
  out.number("reads_waiting", static_cast<std::int64_t>(reads_waiting_.size()));
  out.number("reads_answered", static_cast<std::int64_t>(reads_answered_.size()));
  out.number("devices", static_cast<std::int64_t>(devices_.size()));
  out.number("batches_sent", static_cast<std::int64_t>(sent_));
  out.number("batches_committed", static_cast<std::int64_t>(committed_));
  out.number("batches_applied", static_cast<std::int64_t>(applied_));
  return out.take();
}

} // namespace mooring::actors
