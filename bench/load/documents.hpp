// The GraphQL documents of the cases, as an app would send them: pretty-printed, whole, with every message.
#pragma once

#include <string_view>

namespace mooring::bench {

inline constexpr std::string_view voice_document =
    R"(mutation SyncVoiceData($data: [VoiceDataInput!]!, $key: String!, $device: String!) {
  syncVoiceData(data: $data, idempotencyKey: $key, deviceId: $device) {
    success
    syncedItems
    failedItems
    items {
      itemId
      success
      duplicate
      error {
        code
        message
        field
      }
    }
    errors {
      code
      message
      field
      itemId
    }
    serverTimestamp
    idempotencyKey
    replayed
  }
})";

inline constexpr std::string_view batch_document = R"(mutation SyncBatch($batch: SyncBatchInput!) {
  syncBatch(batch: $batch) {
    success
    voiceSyncResult {
      ...Section
    }
    behavioralSyncResult {
      ...Section
    }
    sessionSyncResult {
      ...Section
    }
    metricsSyncResult {
      ...Section
    }
    operationsSyncResult {
      ...Section
    }
    overallMetrics {
      totalItems
      syncedItems
      failedItems
      conflictsDetected
      durationMs
    }
    warnings
    serverTimestamp
    idempotencyKey
    replayed
  }
}

fragment Section on SyncResponseType {
  success
  syncedItems
  failedItems
  items {
    itemId
    success
    version
    duplicate
    conflictDetected
    conflictId
    error {
      code
      message
      field
    }
  }
})";

inline constexpr std::string_view operations_document =
    R"(mutation SyncOperations($operations: [SyncOperationInput!]!, $key: String!, $device: String!) {
  syncOperations(operations: $operations, idempotencyKey: $key, deviceId: $device) {
    success
    syncedItems
    failedItems
    items {
      itemId
      success
      version
      duplicate
      conflictDetected
      conflictId
      error {
        code
        message
        field
      }
    }
    conflicts {
      conflictId
      domain
      mobileId
      serverVersion
      clientVersion
      serverData
      clientData
    }
    serverTimestamp
    idempotencyKey
    replayed
  }
})";

// Filling a store wants no answer per item.
inline constexpr std::string_view fill_document = R"(mutation Fill($batch: SyncBatchInput!) {
  syncBatch(batch: $batch) {
    success
    overallMetrics {
      totalItems
      syncedItems
      failedItems
      conflictsDetected
    }
    replayed
  }
})";

inline constexpr std::string_view changes_document = R"(query Changes($since: Cursor) {
  changes(since: $since, first: 1000) {
    cursor
    hasMore
    entities {
      domain
      entityId
      version
      deleted
      data
      modifiedAt
      updatedAt
      deviceId
    }
  }
})";

inline constexpr std::string_view register_document = R"(mutation Register($device: DeviceInput!) {
  registerDevice(device: $device) {
    deviceId
    active
  }
})";

inline constexpr std::string_view events_document =
    R"(subscription SyncEvents($device: ID!, $after: Cursor) {
  syncEvents(deviceId: $device, after: $after) {
    __typename
    ... on DataUpdateEvent {
      cursor
      domain
      operation
      priority
      entity {
        entityId
        version
        deleted
        data
        modifiedAt
        updatedAt
        deviceId
        userId
      }
      serverTimestamp
    }
    ... on ConflictAlertEvent {
      cursor
      actionRequired
      priority
      conflict {
        conflictId
        domain
        mobileId
        status
      }
    }
    ... on SyncTriggerEvent {
      cursor
      domains
      reason
      priority
    }
    ... on SystemNotificationEvent {
      cursor
      message
      data
      priority
    }
    ... on ResyncRequiredEvent {
      cursor
      reason
    }
    ... on CaughtUpEvent {
      cursor
      serverTimestamp
    }
  }
})";

inline constexpr std::string_view server_info_document = R"({
  serverInfo {
    version
    nodeId
    serverTimestamp
  }
})";

} // namespace mooring::bench
