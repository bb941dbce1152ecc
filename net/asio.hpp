// What every file that touches Asio needs, in the order it needs it.
#pragma once

#include <utility> // before Asio: 1.74 forgets it

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

namespace mooring::net {

namespace asio = boost::asio;
using io_error = boost::system::error_code; // `error_code` is the clients' (base/error.hpp)

// With the concrete executor: the default, any_io_executor, costs a virtual call and a reference count per
// operation.
using executor = asio::io_context::executor_type;
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, executor>;

} // namespace mooring::net
