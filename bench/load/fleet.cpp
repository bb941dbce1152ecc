#include "bench/load/fleet.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/frames.hpp"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

namespace mooring::bench {
namespace {

constexpr std::size_t handshakes_at_once = 128;
constexpr std::int64_t silence_max_ns = 30'000'000'000; // no answer for so long is a failure

// The id of a connection's subscription; those of operations begin with 1.
constexpr std::string_view subscription_id = R"("id":"0000000000")";

using operation_text = char[10];
std::string_view write_operation(std::uint64_t number, operation_text& text) {
  for (int i = 9; i >= 0; --i, number /= 10) text[i] = static_cast<char>('0' + number % 10);
  return {text, sizeof text};
}

std::string errno_text(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

} // namespace

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

fleet::fleet(fleet_options options)
    : options_(std::move(options))
    , epoll_(epoll_create1(EPOLL_CLOEXEC))
    , buffer_(std::size_t{1} << 20) {}

fleet::~fleet() {
  for (auto& c : connections_)
    if (c.socket >= 0) ::close(c.socket);
  if (epoll_ >= 0) ::close(epoll_);
}

bool fleet::open(std::size_t count, std::string& why) {
  failure_.clear();
  std::size_t next = connections_.size();
  connections_.resize(std::max(count, next));
  auto progress = monotonic_ns();
  while (next < count || opening_ > 0) {
    while (next < count && opening_ < handshakes_at_once) {
      if (!start_connecting(next, why)) return false;
      ++next;
      ++opening_;
    }
    const auto before = opening_;
    poll(1000);
    if (!failure_.empty()) {
      why = failure_;
      return false;
    }
    if (opening_ != before) progress = monotonic_ns();
    if (monotonic_ns() - progress > silence_max_ns) {
      why = "the server does not answer the handshake";
      return false;
    }
  }
  return true;
}

bool fleet::start_connecting(std::size_t index, std::string& why) {
  auto& c = connections_[index];
  c.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.socket < 0) {
    why = errno_text("socket");
    return false;
  }
  const int on = 1;
  setsockopt(c.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (options_.source_addresses > 1) {
    setsockopt(c.socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    address.sin_addr.s_addr =
        htonl(0x7f000002U + static_cast<std::uint32_t>(index % options_.source_addresses));
    if (bind(c.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      why = errno_text("bind");
      return false;
    }
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(options_.port);
  if (connect(c.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    why = errno_text("connect");
    return false;
  }
  c.at = phase::connecting;
  c.writable_wanted = true;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.u64 = index;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, c.socket, &event);
  return true;
}

void fleet::close_all(std::size_t kept) {
  const auto first = connections_.begin() + static_cast<std::ptrdiff_t>(std::min(kept, connections_.size()));
  for (std::size_t i = kept; i < connections_.size(); ++i) {
    if (connections_[i].at != phase::ready) continue;
    scratch_.clear();
    append_frame(scratch_, opcode::close, std::string_view("\x03\xe8", 2)); // 1000
    connections_[i].at = phase::closed;
    send(i, scratch_);
  }
  // The server answers each and closes first, so that the waiting states of TCP stay on its side.
  const auto until = monotonic_ns() + 2'000'000'000;
  const auto left = [&] {
    return std::any_of(first, connections_.end(), [](const auto& c) { return c.socket >= 0; });
  };
  while (left() && monotonic_ns() < until) poll(50);
  for (std::size_t i = kept; i < connections_.size(); ++i) close(i);
  connections_.erase(first, connections_.end());
}

bool fleet::idle(double seconds, std::string& why) {
  failure_.clear();
  lost_ = 0;
  const auto until = monotonic_ns() + static_cast<std::int64_t>(seconds * 1e9);
  while (monotonic_ns() < until) poll(20);
  if (lost_ > 0) why = failure_;
  return lost_ == 0;
}

void fleet::subscribe(std::size_t index, std::string_view query, std::string_view variables) {
  std::string text(R"({"id":"0000000000","type":"subscribe","payload":{"query":)");
  text.append(query).append(R"(,"variables":)").append(variables).append("}}");
  scratch_.clear();
  append_frame(scratch_, opcode::text, text);
  connections_[index].subscribed = true;
  send(index, scratch_);
}

bool fleet::wait_until(const std::function<bool()>& done, std::string& why) {
  failure_.clear();
  lost_ = 0;
  received_ns_ = monotonic_ns();
  while (!done()) {
    poll(20);
    if (lost_ > 0) {
      why = failure_;
      return false;
    }
    if (monotonic_ns() - received_ns_ > silence_max_ns) {
      why = "nothing came for 30 s";
      return false;
    }
  }
  return true;
}

void fleet::run(workload& what, std::size_t connections, const run_options& options, run_stats& stats) {
  work_ = &what;
  stats_ = &stats;
  ready_.clear();
  in_flight_ = 0;
  for (std::size_t i = 0; i < connections; ++i) ready_.push_back(static_cast<std::uint32_t>(i));

  cpu_time server_before{};
  cpu_time own_before{};
  std::int64_t machine_before = 0;
  std::int64_t measured_from = 0;
  const auto begin_recording = [&] {
    stats.latency.clear();
    stats.operations = stats.items = 0;
    server_before = cpu_time_of(options.server);
    own_before = cpu_time_of(getpid());
    machine_before = machine_busy_ticks();
    measured_from = monotonic_ns();
    recording_ = true;
    what.recording_begins();
  };
  const auto end_recording = [&] {
    recording_ = false;
    stats.seconds = static_cast<double>(monotonic_ns() - measured_from) / 1e9;
    const auto server = cpu_time_of(options.server);
    stats.server_cpu_ns = server.total_ns - server_before.total_ns;
    const auto system = server.system_ticks - server_before.system_ticks;
    const auto user = server.user_ticks - server_before.user_ticks;
    stats.server_system_share =
        user + system > 0 ? static_cast<double>(system) / static_cast<double>(user + system) : 0;
    stats.own_cpu_ns = cpu_time_of(getpid()).total_ns - own_before.total_ns;
    const auto machine = static_cast<double>(machine_busy_ticks() - machine_before) /
                         static_cast<double>(sysconf(_SC_CLK_TCK));
    const auto ours = static_cast<double>(stats.server_cpu_ns + stats.own_cpu_ns) / 1e9;
    stats.other_cores = std::max(0.0, machine - ours) / stats.seconds;
  };

  const auto start = monotonic_ns();
  const auto warm = start + static_cast<std::int64_t>(options.warm_up_seconds * 1e9);
  if (options.warm_up_seconds <= 0) begin_recording();
  last_progress_ns_ = start;
  starting_ = true;
  while (in_flight_ < options.in_flight && !ready_.empty()) {
    const auto before = in_flight_;
    start_next();
    if (in_flight_ == before && ready_.empty()) break;
  }
  while (in_flight_ > 0) {
    poll(20);
    const auto now = monotonic_ns();
    if (!recording_ && starting_ && now >= warm) begin_recording();
    if (recording_ && options.seconds > 0 &&
        now >= measured_from + static_cast<std::int64_t>(options.seconds * 1e9)) {
      end_recording();
      starting_ = false;
    }
    if (now - last_progress_ns_ > silence_max_ns) {
      ++stats.failures;
      if (stats.first_failure.empty()) stats.first_failure = "no answer for 30 s";
      break;
    }
    if (stats.failures > 100) break;
  }
  if (recording_) end_recording();
  starting_ = false;
  work_ = nullptr;
  stats_ = nullptr;
}

void fleet::poll(int timeout_ms) {
  epoll_event events[512];
  const int count = epoll_wait(epoll_, events, 512, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(events[i].data.u64);
    auto& c = connections_[index];
    if (c.socket < 0) continue;
    if (c.at == phase::connecting) {
      int problem = 0;
      socklen_t length = sizeof problem;
      getsockopt(c.socket, SOL_SOCKET, SO_ERROR, &problem, &length);
      if (problem != 0) {
        errno = problem;
        fail(index, errno_text("connect"));
        continue;
      }
      if ((events[i].events & EPOLLOUT) != 0) upgrade(index);
      continue;
    }
    if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) readable(index);
    if (c.socket >= 0 && (events[i].events & EPOLLOUT) != 0) flush(index);
  }
}

void fleet::upgrade(std::size_t index) {
  std::string request = "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options_.port) +
                        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: bW9vcmluZy1sb2FkLTAwMQ==\r\nSec-WebSocket-Version: 13\r\n";
  if (options_.speaks == protocol::graphql_transport_ws)
    request += "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
  connections_[index].at = phase::upgrading;
  want(index, false);
  send(index, request + "\r\n");
}

void fleet::readable(std::size_t index) {
  auto& c = connections_[index];
  for (;;) {
    const auto count = ::recv(c.socket, buffer_.data(), buffer_.size(), 0);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      fail(index, errno_text("recv"));
      return;
    }
    if (count == 0) {
      fail(index, "the server closed the connection");
      return;
    }
    received_ns_ = monotonic_ns();
    const auto got = static_cast<std::size_t>(count);
    if (c.received.empty()) {
      const std::string_view bytes(buffer_.data(), got);
      const auto used = consume(index, bytes);
      if (c.socket < 0) return;
      c.received.assign(bytes.substr(used));
    } else {
      c.received.append(buffer_.data(), got);
      const auto bytes = std::move(c.received);
      c.received.clear();
      const auto used = consume(index, bytes);
      if (c.socket < 0) return;
      c.received.assign(bytes, used);
    }
    if (got < buffer_.size()) return; // the next epoll_wait tells of more
  }
}

std::size_t fleet::consume(std::size_t index, std::string_view bytes) {
  auto& c = connections_[index];
  std::size_t used = 0;
  if (c.at == phase::upgrading) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    if (bytes.substr(0, 12) != "HTTP/1.1 101") {
      fail(index, "the upgrade was refused: " + std::string(bytes.substr(0, bytes.find('\r'))));
      return used;
    }
    used = end + 4;
    if (options_.speaks == protocol::echo) {
      c.at = phase::ready;
      --opening_;
    } else {
      c.at = phase::authenticating;
      std::string frame;
      append_frame(frame, opcode::text,
                   R"({"type":"connection_init","payload":{"authorization":"Bearer )" +
                       options_.token_of(index) + "\"}}");
      send(index, frame);
    }
  }
  server_frame frame;
  while (c.socket >= 0) {
    const auto state = read_frame(bytes.substr(used), frame);
    if (state == frame_state::incomplete) break;
    if (state == frame_state::malformed) {
      fail(index, "the server sent a malformed frame");
      break;
    }
    used += frame.size;
    switch (frame.kind) {
    case opcode::ping:
      scratch_.clear();
      append_frame(scratch_, opcode::pong, frame.payload);
      send(index, scratch_);
      break;
    case opcode::pong: break;
    case opcode::close: {
      int code = 1005;
      if (frame.payload.size() >= 2)
        code = (static_cast<unsigned char>(frame.payload[0]) << 8) |
               static_cast<unsigned char>(frame.payload[1]);
      fail(index, "the server closed with " + std::to_string(code) + " " +
                      std::string(frame.payload.size() > 2 ? frame.payload.substr(2) : ""));
      break;
    }
    default:
      if (frame.kind != opcode::continuation && frame.last) {
        message(index, frame.payload);
      } else {
        c.message.append(frame.payload);
        if (frame.last) {
          const auto whole = std::move(c.message);
          c.message.clear();
          message(index, whole);
        }
      }
    }
  }
  return used;
}

void fleet::message(std::size_t index, std::string_view text) {
  auto& c = connections_[index];
  if (c.at == phase::busy && work_ == nullptr) return fail(index, "an answer after its run was given up");
  if (options_.speaks == protocol::echo) {
    if (c.at != phase::busy) return fail(index, "a message that nobody asked for");
    std::string why;
    const auto items = work_->accept(index, text, why);
    if (items < 0) return fail(index, why);
    return finish(index, items);
  }
  // The type stands near the front in what any server writes; look at the whole text only when it does not.
  const auto head = text.substr(0, 64);
  const auto is = [&](std::string_view type) { return head.find(type) != std::string_view::npos; };
  if (c.subscribed && is(subscription_id)) {
    std::string why = "not an event";
    if (!is("\"type\":\"next\"") || listener_ == nullptr || !listener_->hear(index, text, why))
      fail(index, why + ": " + std::string(text.substr(0, 1000)));
    return;
  }
  if (is("\"type\":\"ping\"")) {
    scratch_.clear();
    append_frame(scratch_, opcode::text, R"({"type":"pong"})");
    return send(index, scratch_);
  }
  if (is("\"type\":\"pong\"")) return;
  if (c.at == phase::authenticating) {
    if (!is("\"type\":\"connection_ack\""))
      return fail(index, "no connection_ack: " + std::string(text.substr(0, 200)));
    c.at = phase::ready;
    --opening_;
    return;
  }
  if (c.at != phase::busy)
    return fail(index, "a message that nobody asked for: " + std::string(text.substr(0, 200)));
  operation_text digits;
  char id[17] = "\"id\":\"";
  std::memcpy(id + 6, write_operation(c.operation, digits).data(), sizeof digits);
  if (head.find(std::string_view(id, 16)) == std::string_view::npos)
    return fail(index, "an answer to another operation: " + std::string(text.substr(0, 200)));
  const auto ending = work_->ends();
  if (is("\"type\":\"complete\"") && ending != workload::ending::over) {
    if (!c.answered) return fail(index, "complete without next");
    c.completed = true;
    if (ending == workload::ending::answered || c.released) finish(index, c.items);
    return;
  }
  if (is("\"type\":\"next\"") && (!c.answered || ending == workload::ending::over)) {
    std::string why;
    const auto items = work_->accept(index, text, why);
    if (items < 0) return fail(index, why + ": " + std::string(text.substr(0, 1000)));
    c.answered = true;
    last_progress_ns_ = received_ns_;
    if (ending != workload::ending::over) {
      c.items = items;
      return;
    }
    if (recording_) stats_->items += static_cast<std::uint64_t>(items); // such an operation may take seconds
    if (work_->is_over(index)) {
      const std::string end = "{" + std::string(id, 16) + R"(","type":"complete"})";
      scratch_.clear();
      append_frame(scratch_, opcode::text, end);
      send(index, scratch_);
      finish(index, 0);
    }
    return;
  }
  fail(index, "unexpected: " + std::string(text.substr(0, 1000)));
}

void fleet::release(std::size_t index) {
  auto& c = connections_[index];
  c.released = true;
  if (c.completed) finish(index, c.items);
}

void fleet::start_next() {
  while (starting_ && !ready_.empty()) {
    const auto index = ready_.front();
    ready_.pop_front();
    auto& c = connections_[index];
    if (c.at != phase::ready) continue;
    operation_text digits;
    scratch_.clear();
    if (!work_->write(index, write_operation(++c.operation, digits), scratch_)) continue; // this one is done
    c.at = phase::busy;
    c.answered = c.completed = c.released = false;
    c.items = 0;
    ++in_flight_;
    c.began_ns = monotonic_ns();
    send(index, scratch_);
    return;
  }
}

void fleet::finish(std::size_t index, std::int64_t items) {
  auto& c = connections_[index];
  const auto now = monotonic_ns();
  last_progress_ns_ = now;
  if (recording_) {
    stats_->latency.record(static_cast<std::uint64_t>(now - c.began_ns));
    ++stats_->operations;
    stats_->items += static_cast<std::uint64_t>(items);
  }
  c.at = phase::ready;
  --in_flight_;
  ready_.push_back(static_cast<std::uint32_t>(index));
  start_next();
}

void fleet::send(std::size_t index, std::string_view bytes) {
  auto& c = connections_[index];
  if (c.socket < 0) return;
  std::size_t done = 0;
  if (c.unsent.empty()) {
    while (done < bytes.size()) {
      const auto count = ::send(c.socket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (count < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) break;
        return fail(index, errno_text("send"));
      }
      done += static_cast<std::size_t>(count);
    }
  }
  if (done < bytes.size()) {
    c.unsent.append(bytes.substr(done));
    want(index, true);
  }
}

void fleet::flush(std::size_t index) {
  auto& c = connections_[index];
  while (c.sent < c.unsent.size()) {
    const auto count = ::send(c.socket, c.unsent.data() + c.sent, c.unsent.size() - c.sent, MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return;
      return fail(index, errno_text("send"));
    }
    c.sent += static_cast<std::size_t>(count);
  }
  c.unsent.clear();
  c.sent = 0;
  want(index, false);
}

void fleet::want(std::size_t index, bool writable) {
  auto& c = connections_[index];
  if (c.writable_wanted == writable) return;
  c.writable_wanted = writable;
  epoll_event event{};
  event.events = EPOLLIN | (writable ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.u64 = index;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, c.socket, &event);
}

void fleet::fail(std::size_t index, const std::string& why) {
  auto& c = connections_[index];
  const auto was = c.at;
  close(index);
  if (was == phase::closed) return; // we asked for it
  ++lost_;
  if (failure_.empty()) failure_ = why;
  if (was == phase::connecting || was == phase::upgrading || was == phase::authenticating) --opening_;
  if (stats_ == nullptr) return;
  ++stats_->failures;
  if (stats_->first_failure.empty()) stats_->first_failure = why;
  if (was == phase::busy) --in_flight_;
}

void fleet::close(std::size_t index) {
  auto& c = connections_[index];
  if (c.socket >= 0) ::close(c.socket);
  c.socket = -1;
  c.at = phase::closed;
}

} // namespace mooring::bench
