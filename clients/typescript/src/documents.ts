// The GraphQL documents that the client sends, and the exact text of an upload.
import type { OutboxItem } from './types.js';

const item = '{ itemId operationId success version duplicate conflictDetected conflictId error { code message field itemId } }';
export const conflictFields = '{ conflictId domain mobileId serverVersion clientVersion fields resolutionStrategy resolutionRequired status '
  + 'winningVersion serverData clientData deviceId createdAt resolvedAt resolvedBy notes }';
const response = `{ success syncedItems failedItems items ${item} conflicts ${conflictFields} errors { code message field itemId } `
  + 'serverTimestamp idempotencyKey replayed }';
export const entityFields = '{ domain entityId version deleted data modifiedAt updatedAt deviceId userId }';

export const documents = {
  voice: `mutation($data: [VoiceDataInput!]!, $key: String!, $device: String!) { syncVoiceData(data: $data, idempotencyKey: $key, deviceId: $device) ${response} }`,
  operations: `mutation($operations: [SyncOperationInput!]!, $key: String!, $device: String!) { syncOperations(operations: $operations, idempotencyKey: $key, deviceId: $device) ${response} }`,
  batch: `mutation($batch: SyncBatchInput!) { syncBatch(batch: $batch) { success voiceSyncResult ${response} behavioralSyncResult ${response} sessionSyncResult ${response} metricsSyncResult ${response} operationsSyncResult ${response} serverTimestamp idempotencyKey replayed } }`,
  changes: `query($domains: [SyncDomainEnum!], $since: Cursor, $first: Int) { changes(domains: $domains, since: $since, first: $first) { entities ${entityFields} cursor hasMore } }`,
  conflicts: `query($first: Int, $after: Cursor) { conflicts(status: OPEN, first: $first, after: $after) { conflicts ${conflictFields} cursor hasMore } }`,
  resolve: 'mutation($resolution: ConflictResolutionInput!) { resolveConflict(resolution: $resolution) { success conflictId resolutionResult winningVersion version message error { code message field itemId } } }',
  acknowledge: 'mutation($device: ID!, $cursor: Cursor!) { acknowledge(deviceId: $device, cursor: $cursor) }',
  register: 'mutation($device: DeviceInput!) { registerDevice(device: $device) { deviceId active } }',
  info: '{ serverInfo { version limits { maxBatchItems maxPayloadBytes } } }',
  pending: 'query($device: ID!) { device(deviceId: $device) { pendingChanges } }',
  pushFields: '{ __schema { subscriptionType { fields { name } } } }',
  pushSettings: 'mutation($subscription: PushSubscriptionInput!) { setPushSubscription(subscription: $subscription) { domain active batterySaverMode priorityFilter } }',
  events: 'subscription($device: ID!, $after: Cursor) { syncEvents(deviceId: $device, after: $after) { __typename '
    + `... on DataUpdateEvent { cursor domain operation priority entity ${entityFields} } `
    + '... on SyncTriggerEvent { cursor domains reason priority } '
    + `... on ConflictAlertEvent { cursor conflict ${conflictFields} actionRequired priority } `
    + '... on SystemNotificationEvent { cursor message data priority } '
    + '... on ResyncRequiredEvent { cursor reason } '
    + '... on CaughtUpEvent { cursor } } }',
} as const;

// The parts of syncBatch, in the order in which the node applies and the client matches them.
export const parts = [
  { kind: 'voice', input: 'voiceData', result: 'voiceSyncResult' },
  { kind: 'behavioral', input: 'behavioralData', result: 'behavioralSyncResult' },
  { kind: 'session', input: 'sessionData', result: 'sessionSyncResult' },
  { kind: 'metrics', input: 'metricsData', result: 'metricsSyncResult' },
  { kind: 'edit', input: 'operations', result: 'operationsSyncResult' },
] as const;

// The text of one upload: made once, kept, and sent as it is until it is answered. One kind alone goes by the mutation
// that costs less of the rate limit.
export function uploadText(key: string, deviceId: string, clientTimestamp: string, items: readonly OutboxItem[]): string {
  const kinds = new Set(items.map(one => one.kind));
  const inputs = items.map(one => one.input);
  if (kinds.size === 1 && kinds.has('edit'))
    return JSON.stringify({ query: documents.operations, variables: { operations: inputs, key, device: deviceId } });
  if (kinds.size === 1 && kinds.has('voice'))
    return JSON.stringify({ query: documents.voice, variables: { data: inputs, key, device: deviceId } });
  const batch: Record<string, unknown> = { idempotencyKey: key, deviceId, clientTimestamp };
  for (const part of parts) if (kinds.has(part.kind)) batch[part.input] = items.filter(one => one.kind === part.kind).map(one => one.input);
  return JSON.stringify({ query: documents.batch, variables: { batch } });
}
