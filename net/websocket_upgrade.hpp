// Internal to net: from an HTTP connection to a WebSocket.
#pragma once

#include <memory>
#include <string_view>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

#include "net/session.hpp"

namespace mooring::net {

// Takes the connection of `from` over, which ends. `who` is the upgrade's own Authorization header, verified,
// or null. `leftover` are bytes that came behind the request.
void upgrade_to_websocket(network_thread& thread, session& from, connection parts,
                          boost::beast::http::request<boost::beast::http::empty_body> request,
                          std::shared_ptr<const identity> who, std::string_view leftover);

} // namespace mooring::net
