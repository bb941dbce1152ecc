// One subscription from its request to its source (October 2021, 6.2.3.1).
#pragma once

#include <cstdint>
#include <memory>

#include "graphql/engine.hpp"
#include "graphql/prepared.hpp"

namespace mooring::graphql {

// Coerces the variables, makes the event_writer, coerces the root field's arguments and calls its
// stream_resolver. `done` is called once: now, or from the stream_responder. REQUIRES: the document is a
// subscription
void start_subscription(const input_types& types, std::shared_ptr<const prepared_document> document,
                        const request& what, std::size_t variable_errors_max, response_handler done);

} // namespace mooring::graphql
