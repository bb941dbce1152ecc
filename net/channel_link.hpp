// Internal to net: the channel as the next layer of Beast's websocket::stream.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "net/channel.hpp"

namespace mooring::net {

namespace beast = boost::beast;

// A pointer, since the channel came from the HTTP session.
struct channel_link {
  using executor_type = executor;
  channel* to;
  std::uint16_t* close_code; // the code of a close frame that Beast writes, unless one is there

  executor_type get_executor() { return to->get_executor(); }
  template<class Buffers, class Handler> void async_read_some(const Buffers& buffers, Handler&& handler) {
    to->async_read_some(buffers, std::forward<Handler>(handler));
  }
  template<class Buffers, class Handler> void async_write_some(const Buffers& buffers, Handler&& handler) {
    asio::const_buffer first;
    if (asio::buffer_sequence_begin(buffers) != asio::buffer_sequence_end(buffers))
      first = *asio::buffer_sequence_begin(buffers);
    const auto* const frame = static_cast<const unsigned char*>(first.data());
    if (first.size() >= 4 && frame[0] == 0x88 && *close_code == 0)
      *close_code = static_cast<std::uint16_t>((frame[2] << 8) | frame[3]);
    to->async_write_some(buffers, std::forward<Handler>(handler));
  }
};

inline void beast_close_socket(channel_link& link) {
  link.to->close();
}

template<class Handler> void async_teardown(beast::role_type, channel_link& link, Handler&& handler) {
  // Beast's handlers can only be moved; std::function copies.
  auto shared = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
  link.to->async_finish(
      [shared](io_error failure) { (*shared)(failure == asio::error::eof ? io_error() : failure); });
}

} // namespace mooring::net
