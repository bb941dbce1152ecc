#include "sync/row_key.hpp"

namespace mooring::sync {

namespace {

struct key_maker {
  row_key operator()(const tenant_counters&) const { return {row_table::counters}; }
  row_key operator()(const entity& row) const { return entity_key(row.in, row.owner, row.id); }
  row_key operator()(const conflict& row) const { return conflict_key(row.first_at); }
  row_key operator()(const device& row) const { return device_key(row.id); }
  row_key operator()(const user& row) const { return user_key(row.id); }
  row_key operator()(const policy& row) const { return policy_key(row.in); }
  row_key operator()(const idempotency_record& row) const {
    return idempotency_key(row.user, row.device, row.key);
  }
  row_key operator()(const operation_record& row) const {
    return operation_key(row.user, row.device, row.operation_id);
  }
  row_key operator()(const feed_row& row) const { return feed_row_key(row.key); }
  row_key operator()(const delete_entity& row) const { return entity_key(row.in, row.owner, row.id); }
  row_key operator()(const delete_feed_row& row) const { return feed_row_key(row.key); }
  row_key operator()(const notification& row) const { return notification_key(row.at); }
  row_key operator()(const delete_notification& row) const { return notification_key(row.at); }
  row_key operator()(const analytics_hour& row) const { return analytics_key(row.hour); }
  row_key operator()(const delete_analytics& row) const { return analytics_key(row.hour); }
  row_key operator()(const delete_conflict& row) const { return conflict_key(row.first_at); }
  row_key operator()(const delete_idempotency& row) const {
    return idempotency_key(row.user, row.device, row.key);
  }
  row_key operator()(const delete_operation& row) const {
    return operation_key(row.user, row.device, row.operation_id);
  }
  row_key operator()(const put_swept_position&) const { return {row_table::swept}; }
};

} // namespace

row_key key_of(const write& w) {
  return std::visit(key_maker{}, w);
}

} // namespace mooring::sync
