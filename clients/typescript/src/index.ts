// @mooring/client: everything that an app may use.
export { SyncClient, type ClientOptions, type Phase, type Status } from './sync_client.js';
export type { Callbacks, Progress } from './session.js';
export type { EntityKey, View } from './local_state.js';
export type { Rejection } from './outbox.js';
export type { TokenReason, TokenSource } from './connection.js';
export { MemoryStorage, type ScanOptions, type Storage, type Write } from './storage.js';
export { IndexedDbStorage } from './indexeddb_storage.js';
export {
  ConnectionError, InvalidItemError, MooringError, OutboxFullError, RequestError, StorageInUseError, type ErrorCode,
} from './errors.js';
export { applyMergePatch, makeMergePatch } from './merge_patch.js';
export { NetworkQuality, type Grade } from './network_quality.js';
export type { BackoffOptions } from './backoff.js';
export type { Clock, Random, SocketConstructor, SocketLike } from './runtime.js';
export type { Json, JsonObject } from './json.js';
export type * from './types.js';
