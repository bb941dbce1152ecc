// From coerced GraphQL arguments to the plain commands and queries of sync.
//
// Arguments come as values by ordinal; the ordinals below are the order of api/schema.graphql, and check_layout compares
// the two at start, so that an edit of the SDL cannot silently shift a field.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/backend.hpp"
#include "base/hash.hpp"
#include "base/result.hpp"
#include "graphql/value.hpp"

namespace mooring::graphql {
class schema;
}

namespace mooring::api {

using argument_list = std::span<const graphql::value>;

// `payload_bytes` is the size of the whole request. Failures: bad_user_input with the argument's name.
result<sync::upload> read_voice_upload(argument_list arguments, std::uint64_t payload_bytes);
result<sync::upload> read_operations_upload(argument_list arguments, std::uint64_t payload_bytes);
result<sync::upload> read_batch_upload(argument_list arguments, std::uint64_t payload_bytes);
result<sync::resolve_conflict> read_resolution(argument_list arguments);
sync::register_device read_registration(argument_list arguments);
sync::deactivate_device read_deactivation(argument_list arguments);
result<sync::acknowledge> read_acknowledgement(argument_list arguments, std::string_view tenant);
sync::set_conflict_policy read_policy(argument_list arguments);
sync::set_push_subscription read_push_subscription(argument_list arguments);
// `devices` stays 0: it is counted before the command is submitted.
sync::trigger_sync read_trigger(argument_list arguments);
result<sync::broadcast> read_broadcast(argument_list arguments);

sync::get_entity read_get_entity(argument_list arguments);
result<sync::get_changes> read_get_changes(argument_list arguments, std::string_view tenant);
result<sync::list_conflicts> read_list_conflicts(argument_list arguments, std::string_view tenant);
// Of the subscription syncEvents: the device, and where it asks to begin.
struct open_events {
  std::string device_id;
  std::optional<sync::cursor> after;
};
result<open_events> read_open_events(argument_list arguments, std::string_view tenant);
result<sync::get_analytics> read_get_analytics(argument_list arguments);
std::string read_id(argument_list arguments); // the one argument of conflict(), device() and others

// What a request asks for, independent of its text: mutation and arguments, objects' members in any order.
digest128 digest_of(std::string_view field, argument_list arguments);

// Every difference between the ordinals used here and the schema, one sentence each.
std::vector<std::string> check_layout(const graphql::schema& schema);

} // namespace mooring::api
