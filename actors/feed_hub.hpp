// feed_hub: the subscriptions of one network thread, and what they are fed from.
//
// A topic is one tenant's feed as this thread knows it: the tail (what was committed lately, kept in memory) and those who
// listen. A subscription is
//
//   behind ──reached the head──► live ──no room──► behind
//                                live ──held back──► held ──its time has come──► behind
//
// live:   everything that it may have was sent; an event is written to it the moment it comes. It is found by its user, so
//         an event that only one user may see costs the others nothing.
// behind: fed from the tail when that reaches back far enough, else by pages that readers fetch from the tables, at the
//         pace of its own socket (net::event_sink::has_room). The pages in memory are limited for the whole thread and the
//         tail for each topic, so a subscription's memory does not depend on its backlog.
// held:   a battery saver or the user's budget holds NORMAL events back (sync/push.hpp).
//
// No gap: a tenant that takes a get_feed query with `watch` tells this thread every batch that is committed after it, and
// the page has everything committed before. When the tenant ends, the tail is dropped and everybody is behind again.
//
// Order: events leave in the feed's order, always. What is held back leaves before the urgent event that stands behind it,
// together with it: a cursor never passes what was not sent.
//
// JSON: an event is written once for all subscriptions whose documents select the same (event_writer::shape).
//
// Own thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/interfaces.hpp"
#include "actors/surroundings.hpp"
#include "api/backend.hpp"
#include "base/text_map.hpp"
#include "graphql/engine.hpp"
#include "net/gateway.hpp"

namespace mooring::actors {

// What a hub asks of the rest of its thread.
class feed_reading {
 public:
  // As api::backend::read, and the tenant is told to watch (tenant.hpp).
  virtual void read_feed(const api::origin& from, sync::get_feed what, api::query_done done) = 0;
  // The connection listens for this device, and may.
  virtual void listens(const api::origin& from, const std::string& device_id) = 0;
  // Nobody here listens to this tenant any more.
  virtual void leave_feed(const std::string& tenant) = 0;
  // Calls feed_hub::on_time at `at_us` (monotonic), or a little later. Several may be asked for.
  virtual void wake_at(std::int64_t at_us) = 0;

 protected:
  ~feed_reading() = default;
};

class feed_hub {
 public:
  feed_hub(feed_reading& reading, const surroundings& around);
  ~feed_hub();
  feed_hub(const feed_hub&) = delete;
  feed_hub& operator=(const feed_hub&) = delete;

  // False: its user has as many subscriptions here as one may have.
  bool has_room_for(const api::origin& from) const;
  // A new subscription; it begins with net::event_source::start. `after` nothing: from where the device acknowledged.
  // Whether the device may is found by the first page; a failure ends the operation with its error.
  std::shared_ptr<net::event_source> open(const api::origin& from, std::string device_id,
                                          std::optional<sync::cursor> after,
                                          std::shared_ptr<const graphql::event_writer> writer,
                                          api::stream_begun begun = {});

  // The tenant has committed a batch; in the order of the commits. When the one before it was not told, everybody reads on
  // from the tables. False: nobody here listens to the tenant.
  bool moved(const feed_batch_ptr& batch);
  // The tenant actor has ended: what it would have told is not told.
  void tenant_ended(const std::string& tenant);
  void on_time();

  std::size_t subscriptions() const { return count_; }

 private:
  class subscription;
  class source;
  struct told_event;
  struct topic;
  using subscription_ptr = std::shared_ptr<subscription>;

  void begin(const subscription_ptr& one);
  void leave(const subscription_ptr& one);
  void fail(const subscription_ptr& one, const error& why);
  void pump(const subscription_ptr& one);
  bool send_page(const subscription_ptr& one);
  bool send_tail(const subscription_ptr& one);
  void fetch(const subscription_ptr& one);
  void fetched(const subscription_ptr& one, std::uint64_t epoch, result<sync::query_answer> answer);
  void page_gone();
  void become_live(const subscription_ptr& one);
  void fall_behind(const subscription_ptr& one, sync::position at);
  void offer(const subscription_ptr& one, told_event& event, std::int64_t now_us);
  void pace(const subscription_ptr& one);
  void changed(topic& in, const sync::device& device);
  void send(const subscription_ptr& one, told_event& event);
  void wake_for_held();
  void reset(topic& in);
  void trim(topic& in);

  feed_reading& reading_;
  const surroundings& around_;
  text_map<std::string, std::unique_ptr<topic>> topics_;
  std::deque<std::weak_ptr<subscription>> want_page_;        // until fewer pages are in memory
  std::size_t pages_ = 0;                                    // asked for, or being sent
  std::set<std::pair<std::int64_t, subscription_ptr>> held_; // by the time when they are let go
  std::int64_t wakes_us_ = sync::pace::never_us;             // when on_time was asked for
  std::size_t count_ = 0;
  // While a batch is told, its events are not in the tail: who falls behind then is pumped afterwards.
  bool telling_ = false;
  std::vector<subscription_ptr> fell_;
};

} // namespace mooring::actors
