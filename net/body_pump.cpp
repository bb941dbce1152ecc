#include "net/body_pump.hpp"

#include <system_error>
#include <utility>

#include "net/network_thread.hpp"

namespace mooring::net {

body_pump::body_pump(std::unique_ptr<body_source> source, std::shared_ptr<thread_inbox> inbox, taker take)
    : inbox_(std::move(inbox))
    , take_(std::move(take))
    , source_(std::move(source)) {}

body_pump::~body_pump() {
  join();
}

result<void> body_pump::start(std::function<void(body_pump&)> ended) {
  try {
    thread_ = std::thread([this, ended = std::move(ended)] { run(ended); });
  } catch (const std::system_error& none) {
    return error{error_code::unavailable, std::string("no thread is left for it: ") + none.what()};
  }
  return {};
}

void body_pump::want() {
  const std::lock_guard hold(mutex_);
  wanted_ = true;
  changed_.notify_one();
}

void body_pump::cancel() {
  take_ = nullptr;
  const std::lock_guard hold(mutex_);
  if (std::exchange(cancelled_, true)) return;
  if (source_ != nullptr) source_->cancel();
  changed_.notify_one();
}

void body_pump::join() {
  if (thread_.joinable()) thread_.join();
}

void body_pump::run(const std::function<void(body_pump&)>& ended) {
  const auto held = shared_from_this();
  for (bool more = true; more;) {
    {
      std::unique_lock hold(mutex_);
      changed_.wait(hold, [&] { return wanted_ || cancelled_; });
      if (cancelled_) break;
      wanted_ = false;
    }
    auto piece = std::make_shared<result<std::string>>(source_->next());
    more = *piece && !(*piece)->empty();
    inbox_->post([held, piece] {
      // A copy: taking a piece may end in cancel().
      if (const auto take = held->take_) take(std::move(*piece));
    });
  }
  std::unique_ptr<body_source> last;
  {
    const std::lock_guard hold(mutex_); // cancel may be looking at it
    last = std::move(source_);
  }
  last.reset();
  inbox_->post([held, ended] { ended(*held); });
}

} // namespace mooring::net
