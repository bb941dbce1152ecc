// The client: what an app holds. It keeps a connection while it is started, and everything else moves over it: uploads out
// of the outbox, changes in, conflicts both ways. All that must survive is in the storage; the app may be killed at any
// moment.
import { Backoff, type BackoffOptions } from './backoff.js';
import { Conflicts } from './conflicts.js';
import { Connection, type TokenReason, type TokenSource } from './connection.js';
import { conflictFields, documents } from './documents.js';
import { ConnectionError, InvalidItemError, MooringError, RequestError, judge, judgeClose } from './errors.js';
import { Feed } from './feed.js';
import type { JsonObject } from './json.js';
import { LocalState, type EntityKey, type View } from './local_state.js';
import { NetworkQuality } from './network_quality.js';
import type { Rejection } from './outbox.js';
import { Refresher } from './refresher.js';
import { makeId, systemClock, type Clock, type Random, type SocketConstructor } from './runtime.js';
import { Refused, askPatiently, tell, type Callbacks, type Session, type Settings } from './session.js';
import type { Storage } from './storage.js';
import {
  entityDomains, type BehavioralDataInput, type Conflict, type ConflictResolutionResponse, type DeviceInput, type EntityDomain,
  type MetricsDataInput, type Priority, type PushSubscriptionInput, type Resolution, type SessionDataInput, type SyncDomain,
  type VoiceDataInput,
} from './types.js';
import { Uploader } from './uploader.js';
import { Waiter } from './waiter.js';

// stopped      by the app, or not yet started
// connecting   on the way to the node
// catching-up  connected; what was missed is on its way
// live         connected, and everything up to now is here
// waiting      no connection; the next attempt is at nextAttemptAt
// failed       only the app can help (problem says why): another token, another device id, another version. The outbox is
//              kept; start() tries again
export type Phase = 'stopped' | 'connecting' | 'catching-up' | 'live' | 'waiting' | 'failed';

export interface Status {
  phase: Phase;
  mode: 'push' | 'poll' | null; // how changes come; null: not known yet
  outbox: number; // items that wait for an answer
  nextAttemptAt: number | null;
  problem: Error | null;
}

export interface ClientOptions {
  url: string; // ws:// or wss://, with the path /graphql
  deviceId: string;
  storage: Storage; // of this device and user alone; open. The client closes it
  getToken: TokenSource;
  on?: Partial<Callbacks & { status(status: Status): void }>;
  device?: DeviceInput; // what registerDevice is told; default: type OTHER
  domains?: readonly SyncDomain[]; // what is kept here; default: the entity domains
  webSocket?: SocketConstructor; // default: the global WebSocket
  push?: 'auto' | 'never'; // auto: pushed if the node can, else asked for
  pollIntervalMs?: number; // 30,000
  pageSize?: number; // 500
  acknowledgeAfterMs?: number; // 1,000
  connectTimeoutMs?: number; // 10,000
  requestTimeoutMs?: number; // 15,000, and more for large uploads
  pingIntervalMs?: number; // 20,000
  pongTimeoutMs?: number; // 10,000
  backoff?: BackoffOptions;
  outbox?: { itemsMax?: number; bytesMax?: number }; // 10,000 and 64 MiB
  clock?: Clock;
  random?: Random;
  makeId?: () => string;
}

const renewalsMax = 3;

export class SyncClient {
  readonly quality = new NetworkQuality();
  readonly #options: ClientOptions;
  readonly #settings: Settings;
  readonly #callbacks: Partial<Callbacks & { status(status: Status): void }>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #state: LocalState;
  readonly #conflicts: Conflicts;
  readonly #synced = new Set<() => void>();
  #running: Promise<void> | null = null;
  #isStopping = false;
  #pause: Waiter;
  #opening: Connection | null = null;
  #connection: Connection | null = null; // acknowledged
  #uploader: Uploader | null = null;
  #feed: Feed | null = null;
  #status: Status = { phase: 'stopped', mode: null, outbox: 0, nextAttemptAt: null, problem: null };
  #onOnline = () => this.reconnect();

  private constructor(options: ClientOptions, state: LocalState) {
    this.#options = options;
    this.#callbacks = options.on ?? {};
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#state = state;
    this.#pause = new Waiter(this.#clock);
    this.#conflicts = new Conflicts(this.#callbacks, options.deviceId);
    this.#status.outbox = state.waiting;
    this.#settings = {
      deviceId: options.deviceId, domains: options.domains ?? entityDomains, push: options.push ?? 'auto',
      pollIntervalMs: options.pollIntervalMs ?? 30_000, pageSize: options.pageSize ?? 500,
      acknowledgeAfterMs: options.acknowledgeAfterMs ?? 1000, requestTimeoutMs: options.requestTimeoutMs ?? 15_000,
      backoff: options.backoff ?? {},
    };
  }

  // Reads what the storage has. Works offline from here on; start() goes online.
  static async open(options: ClientOptions): Promise<SyncClient> {
    if (!options.webSocket && typeof (globalThis as { WebSocket?: unknown }).WebSocket !== 'function')
      throw new MooringError('there is no global WebSocket here: give one as `webSocket`');
    const clock = options.clock ?? systemClock;
    const state = await LocalState.open(options.storage, {
      deviceId: options.deviceId, nowMs: () => clock.now(), makeId: options.makeId ?? makeId,
      outbox: { itemsMax: options.outbox?.itemsMax ?? 10_000, bytesMax: options.outbox?.bytesMax ?? 64 << 20 },
    });
    await state.setDomains(options.domains ?? entityDomains);
    return new SyncClient(options, state);
  }

  get status(): Status {
    return { ...this.#status };
  }

  // ── connection ──

  start(): void {
    if (this.#running) return;
    this.#isStopping = false;
    this.#pause = new Waiter(this.#clock);
    this.#listen('addEventListener');
    this.#running = this.#run().finally(() => {
      this.#running = null;
      this.#listen('removeEventListener');
    });
  }

  // Offline. What was on its way is sent again after the next start.
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#pause.end();
    this.#opening?.close(1000, 'stopped');
    await this.#running;
    if (this.#status.phase !== 'failed') this.#setStatus({ phase: 'stopped', nextAttemptAt: null });
  }

  // The network may be back: tries now instead of at nextAttemptAt.
  reconnect(): void {
    this.#pause.call();
  }

  // For good: stops, and closes the storage.
  async close(): Promise<void> {
    await this.stop();
    await this.#state.close();
  }

  // Resolves when the outbox is empty and everything from the node is here; with false when that took longer than
  // `timeoutMs`. For background tasks, and for tests.
  async synced({ timeoutMs }: { timeoutMs?: number } = {}): Promise<boolean> {
    if (this.#status.mode === 'poll' && this.#status.phase === 'live') this.#setStatus({ phase: 'catching-up' });
    this.#feed?.call();
    return new Promise(resolve => {
      const look = () => {
        if (this.#status.phase !== 'live' || this.#state.waiting > 0 || this.#state.expected.length > 0) return;
        end(true);
      };
      const timer = timeoutMs === undefined ? undefined : this.#clock.setTimeout(() => end(false), timeoutMs);
      const end = (is: boolean) => {
        this.#synced.delete(look);
        if (timer !== undefined) this.#clock.clearTimeout(timer);
        resolve(is);
      };
      this.#synced.add(look);
      look();
    });
  }

  // ── entities ──

  get<Data extends JsonObject = JsonObject>(domain: SyncDomain, entityId: string): Promise<View<Data> | undefined> {
    return this.#state.get(domain, entityId) as Promise<View<Data> | undefined>;
  }

  list<Data extends JsonObject = JsonObject>(domain: SyncDomain): AsyncIterableIterator<View<Data>> {
    return this.#state.list(domain) as AsyncIterableIterator<View<Data>>;
  }

  // Each edit is in the outbox when its promise resolves, and visible. They answer the operation's id; null when nothing
  // changed.

  async create(domain: EntityDomain, entityId: string, data: object, { priority = 'NORMAL' }: { priority?: Priority } = {}): Promise<string | null> {
    return this.#edit(domain, entityId, priority, now => {
      if (now && !now.deleted) throw new InvalidItemError('entityId', 'there is such an entity');
      return { kind: 'CREATE', data };
    });
  }

  // `change`: the new document, or a function that makes it of the present one (which it must not change). Only fields
  // that differ are sent.
  async update<Data extends JsonObject = JsonObject>(domain: EntityDomain, entityId: string, change: object | ((now: Data) => object), { priority = 'NORMAL' }: { priority?: Priority } = {}): Promise<string | null> {
    return this.#edit(domain, entityId, priority, now => {
      if (!now?.data) throw new InvalidItemError('entityId', 'there is no such entity');
      return { kind: 'UPDATE', data: typeof change === 'function' ? (change as (now: Data) => object)(now.data as Data) : change };
    });
  }

  async remove(domain: EntityDomain, entityId: string, { priority = 'NORMAL' }: { priority?: Priority } = {}): Promise<string | null> {
    return this.#edit(domain, entityId, priority, now => (now && !now.deleted ? { kind: 'DELETE' } : null));
  }

  // ── records: written once ──

  recordVoice(...inputs: VoiceDataInput[]): Promise<void> {
    return this.#record(this.#state.record(inputs.map(input => ({ kind: 'voice', input }))));
  }

  recordBehavior(...inputs: BehavioralDataInput[]): Promise<void> {
    return this.#record(this.#state.record(inputs.map(input => ({ kind: 'behavioral', input }))));
  }

  recordSession(...inputs: SessionDataInput[]): Promise<void> {
    return this.#record(this.#state.record(inputs.map(input => ({ kind: 'session', input }))));
  }

  recordMetrics(...inputs: MetricsDataInput[]): Promise<void> {
    return this.#record(this.#state.record(inputs.map(input => ({ kind: 'metrics', input }))));
  }

  // ── what did not go smoothly ──

  // Items that the node refused for good and that no `rejected` callback has taken yet.
  get rejections(): Rejection[] {
    return this.#state.rejections;
  }

  dismiss(rejection: Rejection): Promise<void> {
    return this.#state.forget(rejection);
  }

  // Decides a conflict, now or as soon as there is a connection.
  resolve(conflictId: string, resolution: Resolution): Promise<ConflictResolutionResponse> {
    return this.#conflicts.resolve(conflictId, resolution);
  }

  // Asks the node; needs a connection.
  async openConflicts({ first = 50, after = null }: { first?: number; after?: string | null } = {}): Promise<{ conflicts: Conflict[]; cursor: string | null; hasMore: boolean }> {
    return (await this.ask<{ conflicts: { conflicts: Conflict[]; cursor: string | null; hasMore: boolean } }>(documents.conflicts, { first, after })).conflicts;
  }

  async conflict(conflictId: string): Promise<Conflict | null> {
    return (await this.ask<{ conflict: Conflict | null }>(`query($id: ID!) { conflict(conflictId: $id) ${conflictFields} }`, { id: conflictId })).conflict;
  }

  // ── everything else of the API ──

  // What the node pushes to this device. Needs a connection, as `ask` does.
  async setPushSubscription(subscription: PushSubscriptionInput): Promise<void> {
    await this.ask(documents.pushSettings, { subscription: { ...subscription, deviceId: this.#settings.deviceId } });
  }

  // Also makes a deactivated device active again; then start().
  async registerDevice(device: DeviceInput): Promise<void> {
    await this.ask(documents.register, { device: { ...device, deviceId: this.#settings.deviceId } });
    await this.#state.setRegistered(JSON.stringify(device));
  }

  // Any query or mutation over the client's connection. ConnectionError when there is none.
  ask<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const connection = this.#connection;
    if (!connection?.isOpen) return Promise.reject(new ConnectionError('there is no connection'));
    return connection.ask<T>(query, variables);
  }

  // ──

  async #edit(domain: EntityDomain, entityId: string, priority: Priority, change: Parameters<LocalState['edit']>[2]): Promise<string | null> {
    const edit = await this.#state.edit(domain, entityId, change, priority);
    if (!edit) return null;
    await this.#record(Promise.resolve());
    this.#changed([{ domain, entityId }]);
    return edit.operationId;
  }

  async #record(stored: Promise<void>): Promise<void> {
    await stored;
    this.#uploader?.call();
    this.#setStatus({});
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(this.#settings.backoff, this.#random);
    let reason: TokenReason = 'initial', renewals = 0;
    while (!this.#isStopping) {
      this.#setStatus({ phase: 'connecting', nextAttemptAt: null });
      let problem: unknown, wasTaken = false, wasLive = false;
      try {
        this.#connection = await this.#connect(reason);
        this.quality.attempt(true);
        await this.#talk(this.#connection, () => {
          wasTaken = true;
          reason = 'initial';
          renewals = 0;
          wasLive ||= this.#status.phase === 'live';
        });
      } catch (thrown) {
        problem = thrown;
        if (!this.#connection) this.quality.attempt(false);
      }
      this.#opening = this.#connection = null;
      if (this.#isStopping) return;
      const verdict = verdictOf(problem);
      if (verdict === 'renew') {
        reason = 'refused';
        renewals += 1;
      }
      if (verdict === 'fatal' || renewals > renewalsMax) {
        this.#setStatus({ phase: 'failed', problem: problem instanceof Refused ? problem.problem : problem as Error });
        return;
      }
      void tell(this.#callbacks, 'error', problem);
      // A connection that served well and broke is taken up again soon. The others wait longer and longer, also those that
      // this device ended itself: its storage may be full, and every attempt would send the same upload again.
      if (wasLive && problem instanceof ConnectionError || wasTaken && verdict === 'renew') backoff.reset();
      const wait = backoff.next(problem instanceof RequestError ? problem.retryAfterMs : undefined);
      this.#setStatus({ phase: 'waiting', nextAttemptAt: this.#clock.now() + wait, problem: problem as Error });
      await this.#pause.wait(wait);
    }
  }

  #connect(tokenReason: TokenReason): Promise<Connection> {
    const { url, webSocket, getToken, connectTimeoutMs = 10_000, pingIntervalMs = 20_000, pongTimeoutMs = 10_000 } = this.#options;
    return Connection.open({
      url, getToken, tokenReason, connectTimeoutMs, pingIntervalMs, pongTimeoutMs, clock: this.#clock,
      webSocket: webSocket ?? (globalThis as unknown as { WebSocket: SocketConstructor }).WebSocket,
      requestTimeoutMs: this.#settings.requestTimeoutMs,
      onRoundTrip: ms => this.quality.roundTrip(ms),
      onTokenProblem: problem => void tell(this.#callbacks, 'error', problem),
    }, connection => {
      this.#opening = connection;
      if (this.#isStopping) connection.close(1000, 'stopped');
    });
  }

  // Everything that goes over one connection, until it ends. Always throws why. No loop is left behind.
  async #talk(connection: Connection, served: () => void): Promise<void> {
    this.#setStatus({ phase: 'catching-up' });
    const session: Session = {
      connection, state: this.#state, quality: this.quality, settings: this.#settings, callbacks: this.#callbacks, clock: this.#clock,
      random: this.#random, limits: { items: 1000, bytes: 10 << 20 },
      changed: keys => this.#changed(keys),
      caughtUp: mode => {
        this.#setStatus({ phase: 'live', mode, problem: null });
        served();
      },
      waitingChanged: () => this.#setStatus({}),
    };
    const { serverInfo: { limits } } = await askPatiently<{ serverInfo: { limits: { maxBatchItems: number; maxPayloadBytes: number } } }>(session, documents.info);
    session.limits = { items: limits.maxBatchItems, bytes: limits.maxPayloadBytes };
    served();
    await this.#register(session);
    const refresher = new Refresher(session);
    const uploader = this.#uploader = new Uploader(session, {
      conflicts: conflicts => void this.#conflicts.tell(conflicts).catch(problem => void tell(this.#callbacks, 'error', problem)),
      expected: () => refresher.call(),
    });
    const feed = this.#feed = new Feed(session, this.#conflicts, () => uploader.call());
    const loops = [uploader.run(), feed.run(), refresher.run(), this.#conflicts.run(session, () => refresher.call())];
    try {
      // A loop that ends without throwing ends because the connection did.
      await Promise.race([...loops.map(loop => loop.then(() => connection.closed)), connection.closed]);
      const { code, reason } = await connection.closed;
      throw new ConnectionError(`the connection closed: ${code} ${reason}`, code);
    } finally {
      this.#uploader = this.#feed = null;
      connection.close(1000, 'over');
      await Promise.allSettled(loops);
    }
  }

  // Once, and again when the app says something else of the device: a deactivated device must not come back by itself.
  async #register(session: Session): Promise<void> {
    const device: DeviceInput = this.#options.device ?? { deviceType: 'OTHER' };
    const text = JSON.stringify(device);
    if (this.#state.registered === text) return;
    await askPatiently(session, documents.register, { device: { ...device, deviceId: this.#settings.deviceId } });
    await this.#state.setRegistered(text);
  }

  #changed(keys: readonly EntityKey[]): void {
    if (keys.length > 0) void tell(this.#callbacks, 'change', [...keys]);
    for (const look of this.#synced) look();
  }

  #setStatus(change: Partial<Status>): void {
    const before = this.#status;
    this.#status = { ...before, ...change, outbox: this.#state.waiting };
    if ((Object.keys(before) as (keyof Status)[]).some(name => before[name] !== this.#status[name])) {
      try {
        this.#callbacks.status?.({ ...this.#status });
      } catch (problem) {
        void tell(this.#callbacks, 'error', problem);
      }
    }
    for (const look of this.#synced) look();
  }

  // Browsers say when the network is back. React Native has NetInfo: the app calls reconnect().
  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    const target = globalThis as { addEventListener?: unknown } & Partial<Record<'addEventListener' | 'removeEventListener', (name: string, run: () => void) => void>>;
    if (typeof target[how] === 'function') target[how]('online', this.#onOnline);
  }
}

function verdictOf(problem: unknown): 'reconnect' | 'renew' | 'fatal' {
  if (problem instanceof Refused) return 'fatal';
  if (problem instanceof ConnectionError) {
    const verdict = problem.closeCode === undefined ? 'reconnect' : judgeClose(problem.closeCode);
    return verdict === 'split' ? 'reconnect' : verdict;
  }
  if (problem instanceof RequestError) {
    const verdict = judge(problem);
    if (verdict === 'renew') return 'renew';
    return verdict === 'stop' ? 'fatal' : 'reconnect';
  }
  return 'reconnect'; // getToken or the storage failed: perhaps not next time
}
