// What can go wrong, as types, and what the client does about each code of docs/domain.md, "Errors".
import type { Json } from './json.js';

export type ErrorCode =
  | 'UNAUTHENTICATED' | 'FORBIDDEN' | 'BAD_USER_INPUT' | 'PAYLOAD_TOO_LARGE' | 'RATE_LIMITED' | 'QUERY_TOO_COMPLEX'
  | 'IDEMPOTENCY_KEY_REUSED' | 'NOT_FOUND' | 'DEVICE_DEACTIVATED' | 'UNAVAILABLE' | 'STORAGE_FULL' | 'INTERNAL'
  | 'VALIDATION_ERROR';

// One error of a GraphQL answer.
export interface GraphqlErrorJson {
  message: string;
  path?: (string | number)[];
  extensions?: { code?: string; retryable?: boolean; retryAfterMs?: number; requestId?: string; field?: string } & Record<string, Json | undefined>;
}

export class MooringError extends Error {
  override readonly name: string = 'MooringError';
}

// The node answered a request with errors.
export class RequestError extends MooringError {
  override readonly name = 'RequestError';
  readonly code: ErrorCode | (string & {});
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly requestId: string | undefined;
  readonly field: string | undefined;
  readonly errors: readonly GraphqlErrorJson[];

  constructor(errors: readonly GraphqlErrorJson[]) {
    const first = errors[0];
    super(first?.message ?? 'the node answered with an error');
    const extensions = first?.extensions;
    this.errors = errors;
    this.code = extensions?.code ?? 'INTERNAL';
    this.retryable = extensions?.retryable === true;
    // The slowest of several counts: before that, the request as a whole cannot succeed.
    const waits = errors.map(one => one.extensions?.retryAfterMs).filter((one): one is number => typeof one === 'number' && one >= 0);
    this.retryAfterMs = waits.length > 0 ? Math.max(...waits) : undefined;
    this.requestId = extensions?.requestId;
    this.field = extensions?.field;
  }
}

// The connection went away, or did not come about, before there was an answer. Nobody knows whether the request was
// executed: it is sent again as it was.
export class ConnectionError extends MooringError {
  override readonly name = 'ConnectionError';
  readonly closeCode: number | undefined;
  constructor(message: string, closeCode?: number) {
    super(message);
    this.closeCode = closeCode;
  }
}

// The app gave something that the node would refuse for certain; nothing was stored.
export class InvalidItemError extends MooringError {
  override readonly name = 'InvalidItemError';
  readonly field: string;
  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.field = field;
  }
}

// The outbox is at its limit; nothing was stored.
export class OutboxFullError extends MooringError {
  override readonly name = 'OutboxFullError';
}

// Another client of this origin or process has the storage open.
export class StorageInUseError extends MooringError {
  override readonly name = 'StorageInUseError';
}

// What a failed request means for what it carried.
//   retry    the same bytes again after a pause; nothing else has to change
//   renew    a new token first, then as retry
//   split    too much at once: the batch is dissolved and formed smaller; a single item is rejected
//   rekey    the batch is formed again under a new key
//   reject   somebody has to change the item: it leaves the outbox and goes to `onRejected`. Of several items the
//            culprit is found by halving the batch
//   puzzle   nobody knows: as retry for a few times, then as reject
//   stop     nothing of this device will be taken: the client stops and keeps its outbox
export type Verdict = 'retry' | 'renew' | 'split' | 'rekey' | 'reject' | 'puzzle' | 'stop';

const verdicts: Readonly<Record<ErrorCode, Verdict>> = {
  RATE_LIMITED: 'retry',
  UNAVAILABLE: 'retry',
  STORAGE_FULL: 'retry',
  UNAUTHENTICATED: 'renew',
  PAYLOAD_TOO_LARGE: 'split',
  IDEMPOTENCY_KEY_REUSED: 'rekey',
  BAD_USER_INPUT: 'reject',
  QUERY_TOO_COMPLEX: 'reject',
  NOT_FOUND: 'reject',
  VALIDATION_ERROR: 'reject',
  FORBIDDEN: 'stop',
  DEVICE_DEACTIVATED: 'stop',
  INTERNAL: 'puzzle',
};

export function judge(error: RequestError): Verdict {
  if (Object.prototype.hasOwnProperty.call(verdicts, error.code)) return verdicts[error.code as ErrorCode];
  return error.retryable ? 'retry' : 'puzzle';
}

// The same for one item of an answered batch: it stays in the outbox, or it is rejected.
export function isRetriedItem(code: string): boolean {
  return code === 'RATE_LIMITED' || code === 'UNAVAILABLE' || code === 'STORAGE_FULL';
}

// What a closed socket means (PROTOCOL.md of the npm package graphql-ws, RFC 6455, and the node's own uses).
//   reconnect  after a pause, and resume
//   renew      the token is missing, refused or ran out, or the device was deactivated: a new token, then reconnect;
//              after three in a row without success the client stops
//   split      a message was too large: reconnect, and the batch that was on its way is formed smaller
//   fatal      the client and the node do not understand each other: trying again would not help
export type CloseVerdict = 'reconnect' | 'renew' | 'split' | 'fatal';

export function judgeClose(code: number): CloseVerdict {
  switch (code) {
    case 4401: // Unauthorized
    case 4403: // Forbidden; the token expired; the device was deactivated
      return 'renew';
    case 1009: // message too big
      return 'split';
    case 1002: // protocol error
    case 1003: // unsupported data
    case 1007: // not UTF-8
    case 4400: // bad request
    case 4406: // subprotocol not acceptable
    case 4409: // subscriber already exists
    case 4429: // too many initialisation requests
      return 'fatal';
    default: // 1000, 1001 going away, 1006, 1011, 1012, 1013 try again later, 4408 init timeout, 4500, …
      return 'reconnect';
  }
}
