#include "net/network_thread.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.hpp"
#include "net/session.hpp"

namespace mooring::net {

namespace {
std::int64_t monotonic_ms() {
  return system_clock().monotonic_us() / 1000;
}
} // namespace

// ── the inbox ──

void thread_inbox::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (io_ == nullptr) return;
  work_.push_back(std::move(work));
  // Only the first one wakes the thread; it takes all that came by then. Under the lock, since the io_context
  // may end.
  if (work_.size() == 1) asio::post(*io_, [this] { drain_(); });
}

void thread_inbox::take(std::vector<std::function<void()>>& into) {
  const std::lock_guard lock(mutex_);
  into.swap(work_);
}

void thread_inbox::close() {
  std::vector<std::function<void()>> dropped;
  const std::lock_guard lock(mutex_);
  io_ = nullptr;
  dropped.swap(work_);
}

// ── sockets on their way ──

accepted_socket::accepted_socket(int socket, connection_place&& held, bool v6, std::string address,
                                 tls_context context)
    : descriptor(socket)
    , place(std::move(held))
    , is_v6(v6)
    , remote_address(std::move(address))
    , tls(std::move(context)) {}

accepted_socket::accepted_socket(accepted_socket&& other) noexcept
    : descriptor(other.take())
    , place(std::move(other.place))
    , is_v6(other.is_v6)
    , remote_address(std::move(other.remote_address))
    , is_proxy(other.is_proxy)
    , tls(std::move(other.tls)) {}

accepted_socket::~accepted_socket() {
  if (descriptor >= 0) ::close(descriptor);
}

int accepted_socket::take() {
  return std::exchange(descriptor, -1);
}

// ── the thread ──

// Another life of the node continues the same log: its ids begin behind those of this one, unless that one took more than
// 131,072 requests in each second of its life.
static std::uint64_t first_request_id(unsigned index, instant started) {
  constexpr int thread_shift = 48, second_shift = 17; // a second has 31 bits until 2038, and wraps after
  const auto second = static_cast<std::uint64_t>(started.ms / 1000);
  const auto in_thread = (second << second_shift) & ((std::uint64_t{1} << thread_shift) - 1);
  return (static_cast<std::uint64_t>(index + 1) << thread_shift) | in_thread;
}

network_thread::network_thread(unsigned index, const server_options& options,
                               std::shared_ptr<const jwt_verifier> tokens, status_source* status)
    : index_(index)
    , options_(options)
    , status_(status)
    , tokens_(std::move(tokens), options.token_cache_entries)
    , now_ms_(monotonic_ms())
    , wheel_(now_ms_)
    , request_ids_(first_request_id(index, options.time->now()))
    , connection_ids_(static_cast<std::uint64_t>(index + 1) << 48)
    , timer_(io_.get_executor())
    , work_(io_.get_executor())
    , inbox_(std::make_shared<thread_inbox>(io_, [this] { drain_inbox(); })) {}

network_thread::~network_thread() {
  join();
  inbox_->close();
}

void network_thread::post(std::function<void()> work) {
  inbox_->post(std::move(work));
}

void network_thread::adopt_later(accepted_socket socket) {
  session_count_.fetch_add(1,
                           std::memory_order_relaxed); // so that the next choice sees it; adopt takes it back
  // Shared, because what is posted must be copyable; dropped work closes the socket.
  inbox_->post([this, held = std::make_shared<accepted_socket>(std::move(socket))] {
    session_count_.fetch_sub(1, std::memory_order_relaxed);
    adopt(std::move(*held));
  });
}

void network_thread::run() {
  thread_ = std::thread([this] { main(); });
}

void network_thread::main() {
  tick();
  for (;;) {
    const auto length = turn_length();
    std::size_t ran = 0;
    while (ran < length && io_.poll_one() != 0) ++ran;
    if (at_rest_) at_rest_();
    if (ran < length && io_.run_one() == 0) break; // nothing is left that could wake us
  }
  // Whatever is still pending belongs to sessions that were aborted.
  for_each_session([](session& one) { one.abort(); });
  dirty_.clear();
  clear_dropped();
  gateway_.reset();
}

std::size_t network_thread::turn_length() const {
  return std::clamp<std::size_t>(counters_.requests_in_flight / 2, 32, 512);
}

void network_thread::begin_stop() {
  inbox_->post([this] { on_stop(); });
}

void network_thread::join() {
  if (!thread_.joinable()) return;
  thread_.join();
  inbox_->close();
  for (const auto& [key, one] : bodies_) one->cancel();
  for (const auto& [key, one] : bodies_) one->join();
  bodies_.clear();
}

std::uint64_t network_thread::next_request_id() {
  return ++request_ids_;
}
std::uint64_t network_thread::next_connection_id() {
  return ++connection_ids_;
}

const std::string& network_thread::http_date() {
  const auto now_s = options_.time->now().ms / 1000;
  if (now_s != http_date_s_) {
    http_date_s_ = now_s;
    const std::time_t at = now_s;
    std::tm utc{};
    gmtime_r(&at, &utc);
    // RFC 9110, 5.6.7; not by strftime, whose names follow the locale.
    static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    http_date_ = fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", days[utc.tm_wday], utc.tm_mday,
                             months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  }
  return http_date_;
}

void network_thread::adopt(accepted_socket socket) {
  if (stopping_) return;
  const int on = 1;
  ::setsockopt(socket.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket.descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  // Unsent bytes beyond this wait in our bounded queue and not in the kernel's, which would take megabytes
  // for a peer that does not read.
  const int unsent_bytes_max = 64 << 10;
  ::setsockopt(socket.descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes_max, sizeof unsent_bytes_max);
  tcp_socket wire(io_.get_executor());
  io_error failure;
  wire.assign(socket.is_v6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket.descriptor, failure);
  if (failure) {
    log::warning("a socket that was accepted cannot be used: {}", failure.message());
    return;
  }
  socket.take();
  counters_.connections_accepted.add();
  connection parts{
      std::make_unique<channel>(std::move(wire), socket.tls, counters_, options_.queued_bytes_max),
      std::move(socket.remote_address), std::move(socket.place), socket.is_proxy};
  enter(make_http_session(*this, std::move(parts)));
}

void network_thread::enter(std::shared_ptr<session> one) {
  auto* const key = one.get();
  sessions_.emplace(key, std::move(one));
  session_count_.fetch_add(1, std::memory_order_relaxed);
}

void network_thread::leave(session& one) {
  // The last reference may be ours: the session must not end inside of its own member function.
  const auto found = sessions_.find(&one);
  if (found == sessions_.end()) return;
  asio::post(io_, [last = std::move(found->second)] {});
  sessions_.erase(found);
  session_count_.fetch_sub(1, std::memory_order_relaxed);
  end_if_empty();
}

void network_thread::replace(session& old, std::shared_ptr<session> by) {
  enter(std::move(by));
  leave(old);
}

void network_thread::close_connection(std::uint64_t connection_id, std::uint16_t code,
                                      const std::string& reason) {
  if (const auto found = connections_.find(connection_id); found != connections_.end())
    found->second->close_by_gateway(code, reason);
}

void network_thread::execute(const graphql_request& request, operation_table::ticket ticket) {
  counters_.requests_in_flight.add();
  gateway_->execute(request,
                    [this, ticket](graphql_answer from_gateway) { answer(ticket, std::move(from_gateway)); });
}

void network_thread::answer(operation_table::ticket ticket, graphql_answer&& from_gateway) {
  counters_.requests_in_flight.subtract();
  auto* const operation = operations_.find(ticket);
  if (operation == nullptr) { // the session has ended
    if (from_gateway.events) drop_later(std::move(from_gateway.events));
    return;
  }
  const auto held = operation->owner->shared_from_this();
  held->on_answer(ticket, *operation, std::move(from_gateway));
}

result<std::shared_ptr<body_pump>> network_thread::start_body(std::unique_ptr<body_source> source,
                                                              body_pump::taker take) {
  auto made = std::make_shared<body_pump>(std::move(source), inbox_, std::move(take));
  auto started = made->start([this](body_pump& one) {
    one.join(); // it has nothing left to do
    bodies_.erase(&one);
  });
  if (!started) return started.failure();
  bodies_.emplace(made.get(), made); // before this thread can hear of its end
  return made;
}

void network_thread::drop_later(std::shared_ptr<void> what) {
  dropped_.push_back(std::move(what));
  if (dropped_.size() == 1) asio::post(io_, [this] { clear_dropped(); });
}

void network_thread::clear_dropped() {
  // What ends may drop more.
  while (!dropped_.empty()) {
    std::vector<std::shared_ptr<void>> ending;
    ending.swap(dropped_);
  }
}

void network_thread::mark_dirty(std::shared_ptr<session> one) {
  if (one->dirty) return;
  one->dirty = true;
  dirty_.push_back(std::move(one));
  if (!in_turn_ && !flush_is_posted_) {
    flush_is_posted_ = true;
    asio::post(io_, [this] {
      flush_is_posted_ = false;
      flush_dirty();
    });
  }
}

void network_thread::drain_inbox() {
  inbox_->take(draining_);
  in_turn_ = true;
  for (auto& work : draining_) {
    work();
    work = nullptr; // what it holds ends in the order of the posts
  }
  draining_.clear();
  in_turn_ = false;
  flush_dirty();
}

void network_thread::flush_dirty() {
  // Flushing may make others dirty (a queue that drained lets its session read on); those have their own
  // turn.
  flushing_.swap(dirty_);
  for (auto& one : flushing_) one->flush();
  flushing_.clear();
}

void network_thread::tick() {
  now_ms_ = monotonic_ms();
  wheel_.advance(now_ms_);
  if (stopping_) {
    if (!forced_ && now_ms_ >= drain_deadline_ms_) {
      forced_ = true;
      for_each_session([](session& one) { one.force_close(); });
    }
    if (now_ms_ >= stop_deadline_ms_) {
      for_each_session([](session& one) { one.abort(); });
      io_.stop();
      return;
    }
    if (sessions_.empty()) return; // end_if_empty let go of the loop
  }
  timer_.expires_after(std::chrono::milliseconds(timer_wheel::tick_ms));
  timer_.async_wait([this](io_error failure) {
    if (!failure) tick();
  });
}

void network_thread::on_stop() {
  if (stopping_) return;
  stopping_ = true;
  now_ms_ = monotonic_ms();
  // The last part is for closing handshakes and for what the deadlines' grain of 100 ms adds.
  const auto reserve = std::min<std::int64_t>(2'000, options_.stop_timeout_ms / 2);
  drain_deadline_ms_ = now_ms_ + options_.stop_timeout_ms - reserve;
  stop_deadline_ms_ = now_ms_ + options_.stop_timeout_ms - reserve / 4;
  for_each_session([](session& one) { one.begin_stop(); });
  end_if_empty();
}

void network_thread::for_each_session(const std::function<void(session&)>& f) {
  std::vector<std::shared_ptr<session>> all;
  all.reserve(sessions_.size());
  for (const auto& one : sessions_) all.push_back(one.second);
  for (const auto& one : all) f(*one);
}

void network_thread::end_if_empty() {
  if (!stopping_ || !sessions_.empty()) return;
  work_.reset();
  timer_.cancel();
}

} // namespace mooring::net
