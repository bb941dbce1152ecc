#include "actors/feed_hub.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "api/events.hpp"
#include "api/service.hpp"
#include "base/check.hpp"
#include "base/hash.hpp"
#include "base/text_map.hpp"
#include "sync/audience.hpp"
#include "sync/changes.hpp"
#include "sync/push.hpp"

namespace mooring::actors {

namespace {

// What the topics of one network thread keep in memory for those who are a little behind; each may have its share.
constexpr std::size_t tails_bytes_max = 32u << 20;
constexpr std::size_t tail_bytes_max = 1u << 20;
constexpr std::size_t tail_bytes_min = 16u << 10;
constexpr std::size_t tail_batches_max = 1'024;
// Of one user: each keeps its document, and what it was asked for.
constexpr std::size_t subscriptions_per_user_max = 1'000;
// Pages in memory at a time, on one network thread; each is at most sync::page_bytes_max and a slot.
constexpr std::size_t pages_max = 16;

std::string identity_of(const sync::feed_slot& slot) {
  std::string out;
  out.reserve(slot.id.size() + 6);
  out.push_back(static_cast<char>(slot.kind));
  out.push_back(static_cast<char>(slot.in));
  out.append(reinterpret_cast<const char*>(&slot.owner), sizeof slot.owner);
  out.append(slot.id);
  return out;
}

void count_written(const surroundings& around) {
  if (around.counters) around.counters->events_written.fetch_add(1, std::memory_order_relaxed);
}

// An event without a place in the feed.
std::string body_of(const surroundings& around, const graphql::event_writer& writer, api::sync_event event) {
  count_written(around);
  return writer.write(graphql::resolved::of<api::sync_event>(std::move(event)));
}

} // namespace

// ── what is told ──

// An event of the tail or of a page, and what was written of it.
struct feed_hub::told_event {
  const sync::feed_event* is = nullptr;                  // of the batch or page
  sync::position begun = 0;                              // of a page for one that started at the beginning
  graphql::resolved value;                               // made at the first writing
  std::vector<std::pair<digest128, std::string>> bodies; // by shape

  const std::string& body_for(const graphql::event_writer& writer, const std::string& tenant,
                              const surroundings& around) {
    for (const auto& [shape, body] : bodies)
      if (shape == writer.shape()) return body;
    if (bodies.empty())
      value = graphql::resolved::of<api::sync_event>(api::to_event(tenant, *is, begun, around.time->now()));
    count_written(around);
    return bodies.emplace_back(writer.shape(), writer.write(value)).second;
  }
};

struct feed_hub::topic {
  struct told_batch {
    feed_batch_ptr is;
    std::vector<told_event> events;
  };

  std::string tenant;
  // grows when the tenant ends: what was asked before says nothing about what is told now
  std::uint64_t epoch = 1;
  bool is_told = false; // `head` and the tail are known
  std::deque<told_batch> tail;
  std::size_t tail_bytes = 0;
  sync::position tail_from = 0; // everything after it, up to head, is in the tail
  sync::position head = 0;
  text_map<std::string, sync::position> newest; // of what is in the tail
  std::vector<subscription_ptr> all;
  text_map<std::string, std::size_t> of_user;                                   // how many of them
  text_multimap<std::string_view, subscription*> of_device;                     // all, by device_id
  std::unordered_map<sync::user_number, std::vector<subscription_ptr>> present; // live and held ones, by user
  std::unordered_map<sync::user_number, sync::push_budget> budgets;
  std::size_t budgets_max = 64; // then those that count nothing any more are dropped

  // What one subscription does costs the others nothing, however many they are.
  void add(const subscription_ptr& one);
  void forget(const subscription_ptr& one);
  void is_present(const subscription_ptr& one);
  void is_away(const subscription_ptr& one);
  sync::push_budget& budget_of(sync::user_number user, std::int64_t now_us);
};

class feed_hub::subscription {
 public:
  enum class state : std::uint8_t { new_, behind, live, held, ended };

  subscription(feed_hub& hub_, topic& on_, api::origin from_, std::string device_id_,
               std::optional<sync::cursor> after_, std::shared_ptr<const graphql::event_writer> writer_)
      : hub(&hub_)
      , on(&on_)
      , from(std::move(from_))
      , device_id(std::move(device_id_))
      , after(after_)
      , writer(std::move(writer_)) {}

  bool sees(const sync::feed_event& event) const {
    if (!sync::is_meant_for(event.slot, viewer, device)) return false;
    if (const auto* const told = std::get_if<sync::notification>(&event.what))
      if (!sync::is_meant_for(*told, device)) return false;
    return wants(event);
  }
  bool wants(const sync::feed_event& event) const { return sync::passes_push(push, event); }

  feed_hub* hub;
  topic* on;
  api::origin from;
  std::string device_id;
  std::size_t place = 0;             // in topic::all
  std::optional<sync::cursor> after; // where it begins, when the client said so
  std::shared_ptr<const graphql::event_writer> writer;
  net::event_sink* sink = nullptr;
  api::stream_begun begun_or_refused; // empty once it was told
  state is = state::new_;
  bool caught_up = false;
  bool fetching = false;
  bool outdated = false; // the device changed while a page was asked for, which may be older than the change
  bool waits_for_page = false;
  bool pumping = false;
  sync::user_number viewer = 0;
  sync::device_number device = 0;
  std::vector<sync::push_setting> push;
  sync::position at = 0;    // sent, or left out, up to here; of a live one: at least
  sync::position begun = 0; // as in sync::cursor
  sync::pacing pacing;
  sync::waiting held; // what waits while it is held
  std::int64_t held_until_us = 0;
  // The page that is being sent. Dropped when the socket has no room: it is read again.
  std::unique_ptr<sync::feed_page> page;
  std::size_t page_next = 0;
};

void feed_hub::topic::is_present(const subscription_ptr& one) {
  present[one->viewer].push_back(one);
}

void feed_hub::topic::is_away(const subscription_ptr& one) {
  const auto of = present.find(one->viewer);
  if (of == present.end()) return;
  std::erase(of->second, one);
  if (of->second.empty()) present.erase(of);
}

void feed_hub::topic::add(const subscription_ptr& one) {
  one->place = all.size();
  all.push_back(one);
  ++of_user[one->from.who.user];
  of_device.emplace(one->device_id, one.get());
}

void feed_hub::topic::forget(const subscription_ptr& one) {
  auto [at, end] = of_device.equal_range(one->device_id);
  while (at != end && at->second != one.get()) ++at;
  MOORING_CHECK(at != end, "a subscription of the topic is found by its device");
  of_device.erase(at);
  all.back()->place = one->place;
  std::swap(all[one->place], all.back());
  all.pop_back();
  const auto counted = of_user.find(one->from.who.user);
  if (--counted->second == 0) of_user.erase(counted);
}

sync::push_budget& feed_hub::topic::budget_of(sync::user_number user, std::int64_t now_us) {
  if (budgets.size() >= budgets_max) {
    std::erase_if(budgets, [&](const auto& of) { return of.second.is_idle(now_us); });
    budgets_max = std::max<std::size_t>(64, 2 * budgets.size());
  }
  return budgets[user];
}

// What the network layer holds of a subscription; its end is the subscription's.
class feed_hub::source final : public net::event_source {
 public:
  explicit source(subscription_ptr one)
      : one_(std::move(one)) {}
  ~source() override {
    if (one_->hub != nullptr) one_->hub->leave(one_);
  }
  void start(net::event_sink& to) override {
    one_->sink = &to;
    if (one_->hub != nullptr) one_->hub->begin(one_);
  }
  void resume() override {
    if (one_->hub != nullptr && one_->is == subscription::state::behind) one_->hub->pump(one_);
  }

 private:
  subscription_ptr one_;
};

// ── listening ──

feed_hub::feed_hub(feed_reading& reading, const surroundings& around)
    : reading_(reading)
    , around_(around) {}

feed_hub::~feed_hub() {
  for (auto& [tenant, in] : topics_)
    for (auto& one : in->all) {
      one->is = subscription::state::ended;
      one->hub = nullptr;
    }
}

bool feed_hub::has_room_for(const api::origin& from) const {
  const auto in = topics_.find(from.who.tenant);
  if (in == topics_.end()) return true;
  const auto counted = in->second->of_user.find(from.who.user);
  return counted == in->second->of_user.end() || counted->second < subscriptions_per_user_max;
}

std::shared_ptr<net::event_source> feed_hub::open(const api::origin& from, std::string device_id,
                                                  std::optional<sync::cursor> after,
                                                  std::shared_ptr<const graphql::event_writer> writer,
                                                  api::stream_begun begun) {
  auto& in = topics_[from.who.tenant];
  if (!in) {
    in = std::make_unique<topic>();
    in->tenant = from.who.tenant;
  }
  auto one = std::make_shared<subscription>(*this, *in, from, std::move(device_id), after, std::move(writer));
  one->begun_or_refused = std::move(begun);
  in->add(one);
  ++count_;
  return std::make_shared<source>(std::move(one));
}

void feed_hub::begin(const subscription_ptr& one) {
  one->is = subscription::state::behind;
  pump(one);
}

void feed_hub::leave(const subscription_ptr& one) {
  if (one->hub == nullptr) return;
  if (one->is == subscription::state::held) held_.erase({one->held_until_us, one});
  auto& in = *one->on;
  if (one->is == subscription::state::live || one->is == subscription::state::held) in.is_away(one);
  one->is = subscription::state::ended;
  one->hub = nullptr;
  one->sink = nullptr;
  if (std::exchange(one->page, nullptr)) page_gone();
  in.forget(one);
  --count_;
  if (!in.all.empty()) return;
  const auto tenant = in.tenant;
  topics_.erase(tenant);
  reading_.leave_feed(tenant);
}

void feed_hub::fail(const subscription_ptr& one, const error& why) {
  if (one->sink == nullptr) return;
  if (const auto tell = std::exchange(one->begun_or_refused, {})) tell(&why);
  auto& sink = *std::exchange(one->sink, nullptr);
  sink.fail(
      one->writer->write_refusal(why, one->from.request_id)); // ends the operation, and with it the source
}

// ── sending ──

void feed_hub::send(const subscription_ptr& one, told_event& event) {
  one->at = event.is->slot.at;
  one->sink->next(event.body_for(*one->writer, one->on->tenant, around_));
}

void feed_hub::pump(const subscription_ptr& one) {
  if (one->pumping) return;
  if (telling_) return fell_.push_back(one);
  one->pumping = true;
  while (one->is == subscription::state::behind && one->sink != nullptr && !one->fetching &&
         !one->waits_for_page) {
    if (!one->sink->has_room()) {
      if (std::exchange(one->page, nullptr)) page_gone();
      break; // resume() goes on
    }
    if (one->page ? send_page(one) : send_tail(one)) continue;
    if (one->is != subscription::state::behind) break;
    fetch(one);
  }
  one->pumping = false;
}

// True: go on.
bool feed_hub::send_page(const subscription_ptr& one) {
  while (one->sink != nullptr && one->page && one->page_next < one->page->events.size()) {
    if (!one->sink->has_room()) return true;
    told_event event;
    event.is = &one->page->events[one->page_next++];
    event.begun = one->begun;
    if (one->wants(*event.is)) send(one, event);
  }
  if (!one->page) return true; // it left meanwhile
  one->at = std::max(one->at, one->page->upto);
  one->page.reset();
  page_gone();
  return true;
}

// False: the tail does not reach back to where it is, or all of it was sent and it is live.
bool feed_hub::send_tail(const subscription_ptr& one) {
  auto& in = *one->on;
  if (one->viewer == 0) return false; // nothing is known of it yet
  if (!in.is_told || one->at < in.tail_from) return false;
  auto batch = std::partition_point(in.tail.begin(), in.tail.end(),
                                    [&](const topic::told_batch& told) { return told.is->upto <= one->at; });
  for (; batch != in.tail.end(); ++batch)
    for (auto& event : batch->events) {
      if (event.is->slot.at <= one->at || !one->sees(*event.is)) continue;
      const auto newest = in.newest.find(identity_of(event.is->slot));
      if (newest != in.newest.end() && newest->second > event.is->slot.at)
        continue; // sent once, as the newest
      if (!one->sink->has_room()) return true;
      send(one, event);
      if (one->sink == nullptr) return true;
    }
  one->at = std::max(one->at, in.head);
  become_live(one);
  return false;
}

void feed_hub::become_live(const subscription_ptr& one) {
  one->is = subscription::state::live;
  one->on->is_present(one);
  if (std::exchange(one->caught_up, true)) return;
  one->sink->next(
      body_of(around_, *one->writer, api::caught_up(one->on->tenant, one->at, around_.time->now())));
}

void feed_hub::fall_behind(const subscription_ptr& one, sync::position at) {
  if (one->is == subscription::state::live || one->is == subscription::state::held) one->on->is_away(one);
  if (one->is == subscription::state::held) held_.erase({one->held_until_us, one});
  one->is = subscription::state::behind;
  one->at = std::max(one->at, at);
  if (telling_) fell_.push_back(one);
}

// ── pages ──

void feed_hub::fetch(const subscription_ptr& one) {
  if (pages_ >= pages_max) {
    one->waits_for_page = true;
    want_page_.push_back(one);
    return;
  }
  ++pages_;
  one->fetching = true;
  const bool is_first = one->viewer == 0;
  reading_.read_feed(
      one->from, {one->device_id, is_first ? one->after : std::optional(sync::cursor{one->at, one->begun})},
      [this, held = std::weak_ptr(one), epoch = one->on->epoch](result<sync::query_answer> answer) {
        if (const auto still = held.lock(); still && still->hub != nullptr)
          fetched(still, epoch, std::move(answer));
        else
          page_gone();
      });
}

void feed_hub::page_gone() {
  --pages_;
  while (pages_ < pages_max && !want_page_.empty()) {
    const auto next = want_page_.front().lock();
    want_page_.pop_front();
    if (!next || next->hub == nullptr) continue;
    next->waits_for_page = false;
    pump(next);
  }
}

void feed_hub::fetched(const subscription_ptr& one, std::uint64_t epoch, result<sync::query_answer> answer) {
  one->fetching = false;
  if (!answer) {
    page_gone();
    return fail(one, answer.failure());
  }
  if (std::exchange(one->outdated, false)) {
    page_gone();
    return pump(one);
  }
  auto& in = *one->on;
  auto page = std::make_unique<sync::feed_page>(std::move(std::get<sync::feed_page>(*answer)));
  const bool is_first = one->viewer == 0;
  one->viewer = page->viewer;
  one->device = page->device;
  one->push = page->push;
  if (const auto tell = std::exchange(one->begun_or_refused, {})) tell(nullptr);
  if (is_first) {
    one->at = page->from.at;
    one->begun = page->from.begun;
    reading_.listens(one->from, one->device_id);
  }
  if (page->must_resync) {
    one->at = page->upto;
    page_gone();
    if (one->sink == nullptr) return;
    one->sink->next(
        body_of(around_, *one->writer, api::resync_required(in.tenant, page->upto, around_.time->now())));
    return pump(one);
  }
  const bool at_head = !page->has_more && epoch == in.epoch;
  if (at_head && !in.is_told) { // what comes after this page will be told
    in.is_told = true;
    in.tail_from = in.head = page->upto;
  }
  one->page = std::move(page);
  one->page_next = 0;
  pump(one);
}

// ── being told ──

void feed_hub::reset(topic& in) {
  in.is_told = false;
  in.tail.clear();
  in.tail_bytes = 0;
  in.newest.clear();
  const auto present = std::exchange(in.present, {});
  for (const auto& [user, all] : present)
    for (const auto& one : all) {
      if (one->is == subscription::state::held)
        held_.erase({one->held_until_us, one});
      else
        one->at = std::max(one->at, in.head);
      one->is = subscription::state::behind;
      if (telling_) fell_.push_back(one);
    }
}

void feed_hub::tenant_ended(const std::string& tenant) {
  const auto found = topics_.find(tenant);
  if (found == topics_.end()) return;
  auto& in = *found->second;
  ++in.epoch;
  reset(in);
  const auto all = in.all; // pumping may end some
  for (const auto& one : all)
    if (one->is == subscription::state::behind) pump(one);
}

bool feed_hub::moved(const feed_batch_ptr& batch) {
  const auto found = topics_.find(batch->tenant);
  if (found == topics_.end()) return false;
  auto& in = *found->second;
  if (in.is_told && batch->upto <= in.head && batch->devices.empty()) return true; // a page had it
  // Sending may end a subscription, and the last one's end is the topic's: everything used here is held by us.
  telling_ = true;
  if (!in.is_told) {
    in.is_told = true;
    in.tail_from = in.head = batch->from;
  } else if (batch->from > in.head) { // something was not told: everybody reads on from the tables
    ++in.epoch;
    reset(in);
    in.is_told = true;
    in.tail_from = in.head = batch->from;
  }
  auto& told = in.tail.emplace_back();
  told.is = batch;
  told.events.reserve(batch->events.size());
  for (const auto& event : batch->events) {
    told.events.emplace_back().is = &event;
    in.newest[identity_of(event.slot)] = event.slot.at;
  }
  in.tail_bytes += batch->bytes;
  in.head = std::max(in.head, batch->upto);

  const auto held_batch = batch;
  const auto tenant = in.tenant;
  auto events = std::move(told.events);
  const auto is_left = [&] { return topics_.find(tenant) == topics_.end(); };
  for (const auto& device : batch->devices)
    if (!is_left()) changed(in, device);
  std::vector<subscription_ptr> targets;
  for (auto event = events.begin(); event != events.end() && !is_left(); ++event) {
    const auto& slot = event->is->slot;
    targets.clear();
    if (slot.owner != 0) {
      if (const auto of = in.present.find(slot.owner); of != in.present.end()) targets = of->second;
    } else {
      for (const auto& [user, all] : in.present) targets.insert(targets.end(), all.begin(), all.end());
    }
    const auto now_us = around_.time->monotonic_us();
    for (const auto& one : targets) offer(one, *event, now_us);
  }
  telling_ = false;
  if (!is_left()) {
    for (auto& event : events) { // written for those who were live; the others are few
      event.value = {};
      event.bodies = {};
    }
    for (auto at = in.tail.rbegin(); at != in.tail.rend(); ++at)
      if (at->is == batch) {
        at->events = std::move(events);
        break;
      }
    trim(in);
  }
  for (const auto& one : std::exchange(fell_, {}))
    if (one->is == subscription::state::behind) pump(one);
  return true;
}

void feed_hub::trim(topic& in) {
  const auto share = std::clamp(tails_bytes_max / topics_.size(), tail_bytes_min, tail_bytes_max);
  while (in.tail.size() > 1 && (in.tail_bytes > share || in.tail.size() > tail_batches_max)) {
    const auto& oldest = in.tail.front();
    for (const auto& event : oldest.events)
      if (const auto known = in.newest.find(identity_of(event.is->slot));
          known != in.newest.end() && known->second == event.is->slot.at)
        in.newest.erase(known);
    in.tail_bytes -= oldest.is->bytes;
    in.tail_from = std::max(in.tail_from, oldest.is->upto); // a page may have been ahead of it
    in.tail.pop_front();
  }
}

// One event for a subscription that has, or holds back, everything before it.
void feed_hub::offer(const subscription_ptr& one, told_event& event, std::int64_t now_us) {
  if (one->sink == nullptr || event.is->slot.at <= one->at || !one->sees(*event.is)) return;
  if (one->is == subscription::state::held) {
    one->held.add(one->push, *event.is);
    return pace(one);
  }
  if (one->is != subscription::state::live) return;
  if (!one->sink->has_room()) return fall_behind(one, event.is->slot.at - 1);
  one->held = {};
  one->held.add(one->push, *event.is);
  auto& in = *one->on;
  const auto& limits = around_.settings.push;
  one->held.upto = in.head; // what one commit brings, or leaves together, is one push
  const auto verdict = one->pacing.decide(limits, in.budget_of(one->viewer, now_us), one->held, now_us);
  if (verdict.send_now) return send(one, event);
  one->is = subscription::state::held;
  one->at = std::max(one->at, event.is->slot.at - 1);
  one->held_until_us = verdict.wait_until_us;
  held_.emplace(one->held_until_us, one);
  wake_for_held();
}

// More waits, or its time may have come.
void feed_hub::pace(const subscription_ptr& one) {
  auto& in = *one->on;
  const auto& limits = around_.settings.push;
  const auto now_us = around_.time->monotonic_us();
  one->held.upto = in.head; // what one commit brings, or leaves together, is one push
  const auto verdict = one->pacing.decide(limits, in.budget_of(one->viewer, now_us), one->held, now_us);
  if (verdict.send_now) {
    fall_behind(one, one->at);
    return pump(one);
  }
  if (verdict.wait_until_us == one->held_until_us) return;
  held_.erase({one->held_until_us, one});
  one->held_until_us = verdict.wait_until_us;
  held_.emplace(one->held_until_us, one);
  wake_for_held();
}

// One wake is under way at a time, unless an earlier one is needed: however many are held, or for how long, they ask for no
// more than that.
void feed_hub::wake_for_held() {
  if (held_.empty() || held_.begin()->first >= wakes_us_) return;
  wakes_us_ = held_.begin()->first;
  reading_.wake_at(wakes_us_);
}

void feed_hub::on_time() {
  const auto now_us = around_.time->monotonic_us();
  if (now_us >= wakes_us_) wakes_us_ = sync::pace::never_us;
  std::vector<subscription_ptr> due;
  for (const auto& [until, one] : held_) {
    if (until > now_us) break;
    due.push_back(one);
  }
  for (const auto& one : due)
    if (one->is == subscription::state::held) pace(one);
  wake_for_held();
}

// A device's push settings changed, or it was deactivated.
void feed_hub::changed(topic& in, const sync::device& device) {
  std::vector<subscription_ptr> of_it; // what follows may end some
  for (auto [at, end] = in.of_device.equal_range(device.id); at != end; ++at)
    of_it.push_back(in.all[at->second->place]);
  for (const auto& one : of_it) {
    if (one->hub == nullptr) continue;
    if (one->fetching) one->outdated = true;
    if (one->viewer == 0) continue; // whether it may listen at all, its first page tells
    if (!device.active) {
      fail(one, {error_code::device_deactivated, "the device was deactivated", "deviceId"});
      continue;
    }
    one->push = device.push;
    if (one->is == subscription::state::held) { // what it holds may leave, or is not wanted any more
      fall_behind(one, one->at);
      pump(one);
    }
  }
}

} // namespace mooring::actors
