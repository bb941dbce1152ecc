// The output side of the API: which struct stands for which type of the schema. Root fields are in service.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graphql/binding.hpp"
#include "sync/answers.hpp"
#include "sync/queries.hpp"

namespace mooring::api {

// What the nested fields may ask of the request.
struct output_context {
  std::string tenant; // cursors carry it
};

// SyncResponseType: one section of an upload's answer, which it keeps alive.
struct section_view {
  std::shared_ptr<const sync::upload_answer> whole;
  const sync::section_answer* part = nullptr;
};

// SyncBatchResponseType.
struct batch_view {
  std::shared_ptr<const sync::upload_answer> whole;
};

struct limits_view {
  std::int32_t batch_items_max = 0, payload_bytes_max = 0, depth_max = 0;
  double complexity_max = 0;
  std::int32_t idempotency_window_seconds = 0;
};

struct server_view {
  std::string version, node_id;
  std::vector<std::string> api_versions;
  instant now;
  limits_view limits;
};

// DomainAnalyticsType.
struct domain_view {
  sync::domain in = sync::domain::voice;
  sync::domain_counts counts;
};

// The context given to the engine must point to an output_context (or to something that starts with one).
void bind_output(graphql::bindings& to);

} // namespace mooring::api
