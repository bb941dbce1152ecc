// The parts of the node's GraphQL schema (api/schema.graphql) that the client speaks of, under the schema's names.
import type { Json, JsonObject } from './json.js';

export type EntityDomain = 'JOURNAL' | 'ATTENDANCE' | 'TASK' | 'TICKET' | 'WORK_ORDER';
export type RecordDomain = 'VOICE' | 'BEHAVIORAL' | 'SESSION' | 'METRICS';
export type SyncDomain = EntityDomain | RecordDomain;
export const entityDomains: readonly EntityDomain[] = ['JOURNAL', 'ATTENDANCE', 'TASK', 'TICKET', 'WORK_ORDER'];

export type Priority = 'NORMAL' | 'HIGH' | 'CRITICAL';
export type EditKind = 'CREATE' | 'UPDATE' | 'DELETE' | 'SYNC';
export type DeviceType = 'DESKTOP' | 'LAPTOP' | 'TABLET' | 'PHONE' | 'OTHER';
export type ResolutionStrategy =
  | 'CLIENT_WINS' | 'SERVER_WINS' | 'MOST_RECENT_WINS' | 'DEVICE_PRIORITY' | 'MERGE' | 'PRESERVE_ESCALATION' | 'MANUAL';

// ── uploads: exactly what is sent ──

export interface SyncOperationInput {
  operationId: string;
  domain: EntityDomain;
  operation: EditKind;
  entityId: string;
  baseVersion: number | null;
  data?: JsonObject;
  modifiedAt: string;
  priority: Priority;
}

export interface VoiceDataInput {
  verificationId: string;
  timestamp: string;
  verified: boolean;
  confidenceScore?: number;
  qualityScore?: number;
  processingTimeMs?: number;
  metadata?: Json;
}

export interface BehavioralDataInput {
  sessionId: string;
  events: Json[];
  durationMs: number;
  userInteractions?: number;
  screenChanges?: number;
  metadata?: Json;
}

export interface SessionDataInput {
  sessionId: string;
  startTime: string;
  endTime?: string;
  durationMs?: number;
  activities?: Json[];
  metadata?: Json;
}

export interface MetricsDataInput {
  metricType: string;
  value: number;
  unit?: string;
  timestamp: string;
  tags?: Json;
}

// One thing in the outbox.
export type OutboxItem =
  | { kind: 'edit'; input: SyncOperationInput }
  | { kind: 'voice'; input: VoiceDataInput }
  | { kind: 'behavioral'; input: BehavioralDataInput }
  | { kind: 'session'; input: SessionDataInput }
  | { kind: 'metrics'; input: MetricsDataInput };
export type RecordItem = Exclude<OutboxItem, { kind: 'edit' }>;

export interface DeviceInput {
  deviceType: DeviceType;
  deviceName?: string;
  osType?: string;
  osVersion?: string;
  appVersion?: string;
  priority?: number;
}

export interface PushSubscriptionInput {
  domain?: SyncDomain | null;
  active?: boolean;
  batterySaverMode?: boolean;
  priorityFilter?: Priority;
}

// ── answers ──

export interface SyncError {
  code: string;
  message: string;
  field?: string | null;
  itemId?: string | null;
}

export interface SyncItemResult {
  itemId: string;
  operationId: string | null;
  success: boolean;
  version: number | null;
  duplicate: boolean;
  conflictDetected: boolean;
  conflictId: string | null;
  error: SyncError | null;
}

export interface Conflict {
  conflictId: string;
  domain: SyncDomain;
  mobileId: string; // the entity's id
  serverVersion: number;
  clientVersion: number;
  fields: string[];
  resolutionStrategy: ResolutionStrategy | null;
  resolutionRequired: boolean;
  status: 'OPEN' | 'RESOLVED';
  winningVersion: string | null;
  serverData: Json;
  clientData: Json;
  deviceId: string;
  createdAt: string;
  resolvedAt: string | null;
  resolvedBy: string | null;
  notes: string | null;
}

export interface SyncResponse {
  success: boolean;
  syncedItems: number;
  failedItems: number;
  items: SyncItemResult[];
  conflicts: Conflict[];
  errors: SyncError[];
  serverTimestamp: string;
  idempotencyKey: string;
  replayed: boolean;
}

export interface SyncBatchResponse {
  success: boolean;
  voiceSyncResult: SyncResponse | null;
  behavioralSyncResult: SyncResponse | null;
  sessionSyncResult: SyncResponse | null;
  metricsSyncResult: SyncResponse | null;
  operationsSyncResult: SyncResponse | null;
  serverTimestamp: string;
  idempotencyKey: string;
  replayed: boolean;
}

export interface Entity {
  domain: SyncDomain;
  entityId: string;
  version: number;
  deleted: boolean;
  data: Json;
  modifiedAt: string;
  updatedAt: string;
  deviceId: string;
  userId: string;
}

export interface ConflictResolutionResponse {
  success: boolean;
  conflictId: string;
  resolutionResult: string; // resolved, already_resolved, failed
  winningVersion: string | null;
  version: number | null;
  message: string | null;
  error: SyncError | null;
}

// What a person, or the app for them, decides of an open conflict.
export type Resolution =
  | { choose: 'client' | 'server'; notes?: string }
  | { choose: 'merged'; data: JsonObject; notes?: string };

// ── pushes ──

export type SyncEvent =
  | { __typename: 'DataUpdateEvent'; cursor: string; domain: SyncDomain; operation: EditKind; priority: Priority; entity: Entity }
  | { __typename: 'SyncTriggerEvent'; cursor: string; domains: SyncDomain[]; reason: string; priority: Priority }
  | { __typename: 'ConflictAlertEvent'; cursor: string; conflict: Conflict; actionRequired: boolean; priority: Priority }
  | { __typename: 'SystemNotificationEvent'; cursor: string; message: string; data: Json; priority: Priority }
  | { __typename: 'ResyncRequiredEvent'; cursor: string; reason: string }
  | { __typename: 'CaughtUpEvent'; cursor: string };
