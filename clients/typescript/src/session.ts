// What the parts of one connected session share: the connection, the device's state, the app's callbacks, and requests that
// bear with a busy node.
import { Backoff } from './backoff.js';
import type { Connection } from './connection.js';
import { ConnectionError, RequestError, judge, type MooringError } from './errors.js';
import type { EntityKey, LocalState } from './local_state.js';
import type { NetworkQuality } from './network_quality.js';
import type { Rejection } from './outbox.js';
import type { Clock, Random } from './runtime.js';
import type { Conflict, Priority, Resolution, SyncDomain } from './types.js';
import type { Json } from './json.js';
import { Waiter } from './waiter.js';
import type { BackoffOptions } from './backoff.js';

export interface Progress {
  // `first`: nothing was here before. `again`: the position was gone, everything is read again. `catch-up`: what was
  // missed since the last time.
  phase: 'first' | 'again' | 'catch-up';
  received: number; // entities, of this reading
  total: number | null; // what the node said at its beginning; an estimate, null when it is not known
  cursor: string | null;
  done: boolean;
}

export interface Callbacks {
  // These entities look different now: after an edit of the app, an answer, or a change from elsewhere.
  change(keys: EntityKey[]): void;
  // A conflict that waits for a person. What is answered, now or later, is sent; without an answer it stays open, and is
  // asked about again after the next start.
  conflict(conflict: Conflict): Resolution | null | undefined | void | Promise<Resolution | null | undefined | void>;
  // A conflict that was decided, by a policy or a person.
  resolved(conflict: Conflict): void;
  // The node will not take this item, ever; it left the outbox. Told again after a restart until the callback has returned
  // (its promise was fulfilled).
  rejected(rejection: Rejection): void | Promise<void>;
  progress(progress: Progress): void;
  trigger(trigger: { domains: SyncDomain[]; reason: string; priority: Priority }): void;
  // At least once; the position moves on when it has returned.
  notification(notification: { message: string; data: Json; priority: Priority }): void | Promise<void>;
  // What went wrong and was dealt with: for the log.
  error(problem: unknown): void;
}

export interface Settings {
  deviceId: string;
  domains: readonly SyncDomain[];
  push: 'auto' | 'never';
  pollIntervalMs: number;
  pageSize: number;
  acknowledgeAfterMs: number;
  requestTimeoutMs: number;
  backoff: BackoffOptions;
}

export interface Session {
  readonly connection: Connection;
  readonly state: LocalState;
  readonly quality: NetworkQuality;
  readonly settings: Settings;
  readonly callbacks: Partial<Callbacks>;
  readonly clock: Clock;
  readonly random: Random;
  limits: { items: number; bytes: number }; // of the node
  changed(keys: EntityKey[]): void;
  caughtUp(mode: 'push' | 'poll', isCaughtUp: boolean): void;
  waitingChanged(): void;
}

// The node will not have anything of this device: no retry, the outbox stays.
export class Refused extends Error {
  readonly problem: MooringError;
  constructor(problem: MooringError) {
    super(problem.message);
    this.problem = problem;
  }
}

export const puzzlesMax = 5;

// A waiter that ends with the connection.
export function waiterOf(session: Session): Waiter {
  const waiter = new Waiter(session.clock);
  void session.connection.closed.then(() => waiter.end());
  return waiter;
}

// A query or mutation that may be repeated; again after a pause while the node is busy. Throws ConnectionError; Refused;
// RequestError for what a retry does not cure.
export async function askPatiently<T>(session: Session, query: string, variables: Record<string, unknown> = {}): Promise<T> {
  const backoff = new Backoff(session.settings.backoff, session.random);
  for (;;) {
    try {
      return await session.connection.ask<T>(query, variables);
    } catch (problem) {
      if (!(problem instanceof RequestError)) throw problem;
      const verdict = judge(problem);
      if (verdict === 'stop') throw new Refused(problem);
      if (verdict !== 'retry' && !(verdict === 'puzzle' && backoff.failures < puzzlesMax)) throw problem;
      await waiterOf(session).pause(backoff.next(problem.retryAfterMs));
      if (!session.connection.isOpen) throw new ConnectionError('the connection closed while the node was busy');
    }
  }
}

// Calls back the app. What it throws is its own affair, and goes to its log.
export async function tell<Name extends keyof Callbacks>(callbacks: Partial<Callbacks>, name: Name, ...values: Parameters<Callbacks[Name]>): Promise<{ ok: boolean; answer?: Awaited<ReturnType<Callbacks[Name]>> }> {
  const callback = callbacks[name] as ((...given: unknown[]) => unknown) | undefined;
  if (!callback) return { ok: false };
  try {
    return { ok: true, answer: await callback.apply(callbacks, values) as Awaited<ReturnType<Callbacks[Name]>> };
  } catch (problem) {
    if (name !== 'error') void tell(callbacks, 'error', problem);
    return { ok: false };
  }
}
