// home: the execution unit of one network thread. Device, tenant and network actors of this home always run on it.
//
// Why: a request's way from its socket through device and tenant to the shard, and the answer's way back, then needs no
// other thread than the shard's: no wake-up of a sleeping worker (about 50 µs here) and no lock on the way.
//
// Threads: exec_later may be called from any thread; jobs run on the home's own thread in run(). Jobs that come from the
// own thread wait in a plain queue; those from elsewhere in a locked one, whose first job asks the thread to call run().
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

namespace mooring::actors {

class home final : public caf::execution_unit {
 public:
  using post_function = std::function<void(std::function<void()>)>;

  explicit home(caf::actor_system& system)
      : caf::execution_unit(&system) {}

  // `post` runs a function on the home's thread, soon. Jobs that came before wait for this call.
  void attach(post_function post);

  void exec_later(caf::resumable* job) override;

  // Runs what is due, on the calling thread, which is the home's from then on (at the end, when the network thread is
  // gone, the stopping one's). A call from inside a job returns at once: the outer one goes on.
  void run();

  // The end of a turn: the network thread has done what was ready (net::thread_context::at_rest). Jobs that it left are run;
  // then what was held or gathered during the turn is given up or sent: read snapshots, batches.
  void rest();
  // run and rest, when there is no network thread: before it runs and when it is gone.
  void run_alone() {
    run();
    rest();
  }
  void on_rest(std::function<void()> at_rest) { at_rest_.push_back(std::move(at_rest)); }

  // Messages that an actor may handle before others of this home get their turn.
  static constexpr std::size_t throughput = 50;

 private:
  std::vector<std::function<void()>> at_rest_;
  std::atomic<std::thread::id> owner_{};
  bool running_ = false;              // own thread only
  std::deque<caf::resumable*> local_; // own thread only
  std::mutex mutex_;
  std::vector<caf::resumable*> remote_;
  post_function post_;                 // under mutex_; empty: nobody to ask, the jobs wait
  std::vector<caf::resumable*> taken_; // own thread only
};

} // namespace mooring::actors
