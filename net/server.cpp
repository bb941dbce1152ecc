#include "net/server.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <mutex>

#include <arpa/inet.h>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.hpp"
#include "base/log.hpp"
#include "net/client_address.hpp"
#include "net/network_thread.hpp"

namespace mooring::net {

namespace {

constexpr auto accept_pause =
    std::chrono::milliseconds(100); // without descriptors or memory, or at the limit
constexpr int accept_batch = 64;    // then others on the thread have their turn

std::string text_of_errno() {
  return std::strerror(errno);
}

ip_address address_of(const sockaddr_storage& peer) {
  ip_address out;
  if (peer.ss_family == AF_INET6) {
    std::memcpy(out.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr, out.bytes.size());
  } else {
    out.bytes[10] = out.bytes[11] = 0xff;
    std::memcpy(out.bytes.data() + 12, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, 4);
  }
  return out;
}

// Raises the soft limit of open files to the hard one: each connection is one.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

struct server::impl {
  struct listener {
    listener(asio::io_context& io, int descriptor)
        : socket(io.get_executor(), descriptor)
        , pause(io.get_executor()) {}
    asio::posix::basic_stream_descriptor<executor> socket;
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                               executor>
        pause;
    bool is_closed = false;
  };

  impl(server_options with, std::shared_ptr<const jwt_verifier> verifier, gateway_factory factory,
       status_source* source)
      : options(std::move(with))
      , tokens(std::move(verifier))
      , make_gateway(std::move(factory))
      , status(source)
      , limits(options.connections_max, options.connections_per_address_max) {}

  result<void> bind_all();
  void accept_next(listener& on);
  void accept_batch_of(listener& on);
  void pause(listener& on);
  network_thread& emptiest();
  tls_context tls() const {
    const std::lock_guard lock(tls_mutex);
    return current_tls;
  }

  const server_options options;
  const std::shared_ptr<const jwt_verifier> tokens;
  const gateway_factory make_gateway;
  status_source* const status;
  connection_limits limits;
  mutable std::mutex tls_mutex;
  tls_context current_tls;
  std::vector<int> bound; // listening, not yet given to a listener
  std::vector<std::uint16_t> ports;
  std::vector<std::unique_ptr<network_thread>> threads;
  std::vector<std::unique_ptr<listener>> listeners; // live on the first thread
  std::int64_t last_warning_ms = 0;
  bool is_started = false;
};

server::server(server_options options, std::shared_ptr<const jwt_verifier> tokens,
               gateway_factory make_gateway, status_source* status)
    : impl_(std::make_unique<impl>(std::move(options), std::move(tokens), std::move(make_gateway), status)) {}

server::~server() {
  stop();
  for (const int one : impl_->bound) ::close(one);
  impl_->listeners.clear(); // before the threads, whose io_contexts they use
}

result<void> server::impl::bind_all() {
  for (const auto& at : options.listen) {
    sockaddr_storage address{};
    socklen_t length = 0;
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    if (inet_pton(AF_INET, at.address.c_str(), &v4.sin_addr) == 1) {
      v4.sin_family = AF_INET;
      v4.sin_port = htons(at.port);
      length = sizeof v4;
    } else if (inet_pton(AF_INET6, at.address.c_str(), &v6.sin6_addr) == 1) {
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(at.port);
      length = sizeof v6;
    }
    const auto where = at.address + ":" + std::to_string(at.port);
    const int descriptor = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
      return error{error_code::bad_user_input, "cannot make a socket for " + where + ": " + text_of_errno()};
    bound.push_back(descriptor);
    const int on = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), length) != 0)
      return error{error_code::bad_user_input, "cannot listen on " + where + ": " + text_of_errno()};
    if (::listen(descriptor, options.backlog) != 0)
      return error{error_code::bad_user_input, "cannot listen on " + where + ": " + text_of_errno()};
    length = sizeof address;
    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length);
    ports.push_back(ntohs(address.ss_family == AF_INET ? v4.sin_port : v6.sin6_port));
  }
  return {};
}

result<void> server::start() {
  auto& in = *impl_;
  MOORING_CHECK(!in.is_started, "a server starts once");
  if (auto valid = in.options.validate(); !valid) return valid;
  if (in.tokens == nullptr)
    return error{error_code::bad_user_input, "network: there is no verifier for tokens"};
  if (in.options.uses_tls()) {
    auto loaded = load_tls_context(in.options.tls_certificate_file, in.options.tls_key_file);
    if (!loaded) return loaded.failure();
    in.current_tls = std::move(*loaded);
  }
  raise_file_limit();
  std::signal(SIGPIPE, SIG_IGN); // OpenSSL writes with write(2)
  if (auto bound = in.bind_all(); !bound) {
    for (const int one : in.bound) ::close(one);
    in.bound.clear();
    in.ports.clear();
    return bound;
  }
  in.is_started = true;
  for (unsigned i = 0; i < in.options.threads; ++i) {
    in.threads.push_back(std::make_unique<network_thread>(i, in.options, in.tokens, in.status));
    in.threads.back()->set_gateway(in.make_gateway(*in.threads.back()));
  }
  for (const int one : in.bound) {
    in.listeners.push_back(std::make_unique<impl::listener>(in.threads.front()->io(), one));
    in.accept_next(*in.listeners.back());
  }
  in.bound.clear();
  for (auto& thread : in.threads) thread->run();
  return {};
}

void server::impl::accept_next(listener& on) {
  if (on.is_closed) return;
  on.socket.async_wait(asio::posix::descriptor_base::wait_read, [this, &on](io_error failure) {
    if (failure || on.is_closed) return;
    accept_batch_of(on);
  });
}

void server::impl::pause(listener& on) {
  on.pause.expires_after(accept_pause);
  on.pause.async_wait([this, &on](io_error failure) {
    if (failure || on.is_closed) return;
    accept_batch_of(on);
  });
}

void server::impl::accept_batch_of(listener& on) {
  auto& first = *threads.front();
  for (int i = 0; i < accept_batch; ++i) {
    if (limits.is_full()) {
      // The rest waits in the kernel's backlog.
      first.counters().refused_connections_limit.add();
      return pause(on);
    }
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const int descriptor = ::accept4(on.socket.native_handle(), reinterpret_cast<sockaddr*>(&peer), &length,
                                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      if (const auto now_ms = first.now_ms(); now_ms - last_warning_ms > 10'000) {
        last_warning_ms = now_ms;
        log::warning("connections cannot be accepted for now: {}", text_of_errno());
      }
      return pause(on);
    }
    const auto address = address_of(peer);
    const bool is_proxy = is_trusted(options.trusted_proxies, address);
    const auto key = is_proxy ? address_key{0} : limit_key_of(address);
    if (!limits.enter(key)) {
      first.counters().refused_address_limit.add();
      ::close(descriptor);
      continue;
    }
    accepted_socket socket(descriptor, {limits, key}, peer.ss_family == AF_INET6, address.text(), tls());
    socket.is_proxy = is_proxy;
    auto& thread = emptiest();
    if (&thread == &first)
      first.adopt(std::move(socket));
    else
      thread.adopt_later(std::move(socket));
  }
  accept_next(on);
}

network_thread& server::impl::emptiest() {
  return **std::min_element(threads.begin(), threads.end(), [](const auto& a, const auto& b) {
    return a->session_count() < b->session_count();
  });
}

void server::stop() {
  auto& in = *impl_;
  if (!in.is_started || in.threads.empty() || !in.threads.front()->is_running()) return;
  in.threads.front()->post([&in] {
    for (auto& one : in.listeners) {
      one->is_closed = true;
      io_error ignored;
      one->socket.close(ignored);
      one->pause.cancel();
    }
  });
  for (auto& thread : in.threads) thread->begin_stop();
  for (auto& thread : in.threads) thread->join();
}

result<void> server::reload_certificates() {
  auto& in = *impl_;
  if (!in.options.uses_tls()) return error{error_code::bad_user_input, "TLS is not configured"};
  auto loaded = load_tls_context(in.options.tls_certificate_file, in.options.tls_key_file);
  if (!loaded) return loaded.failure();
  const std::lock_guard lock(in.tls_mutex);
  in.current_tls = std::move(*loaded);
  return {};
}

std::vector<std::uint16_t> server::ports() const {
  return impl_->ports;
}

net_totals server::totals() const {
  net_totals sum;
  for (const auto& thread : impl_->threads) accumulate(sum, thread->counters());
  return sum;
}

} // namespace mooring::net
