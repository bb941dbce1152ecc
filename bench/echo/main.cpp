// mooring_echo: a raw Boost.Beast WebSocket echo server, asynchronous, on one thread: the ceiling that any
// server on this stack can reach. It parses nothing and stores nothing.
//
// mooring_echo PORT; prints `listening on PORT` when it is ready (port 0: the system chooses). Ends on
// SIGTERM.
#include <utility>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

class session : public std::enable_shared_from_this<session> {
 public:
  explicit session(tcp::socket socket)
      : stream_(std::move(socket)) {}

  void start() {
    stream_.next_layer().set_option(tcp::no_delay(true));
    stream_.text(true);
    stream_.async_accept([self = shared_from_this()](beast::error_code failed) {
      if (!failed) self->read();
    });
  }

 private:
  void read() {
    stream_.async_read(buffer_, [self = shared_from_this()](beast::error_code failed, std::size_t) {
      if (!failed) self->write();
    });
  }
  void write() {
    stream_.async_write(buffer_.data(), [self = shared_from_this()](beast::error_code failed, std::size_t) {
      if (failed) return;
      self->buffer_.clear();
      self->read();
    });
  }

  beast::websocket::stream<tcp::socket> stream_;
  beast::flat_buffer buffer_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code failed, tcp::socket socket) {
    if (failed == asio::error::operation_aborted) return;
    if (!failed) std::make_shared<session>(std::move(socket))->start();
    accept(acceptor);
  });
}

} // namespace

int main(int argc, char** argv) {
  const auto port = static_cast<unsigned short>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0);
  try {
    asio::io_context context(1);
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), port});
    std::printf("listening on %u\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](beast::error_code, int) { context.stop(); });
    accept(acceptor);
    context.run();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "mooring_echo: %s\n", problem.what());
    return 1;
  }
  return 0;
}
