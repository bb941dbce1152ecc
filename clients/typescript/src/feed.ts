// Brings the node's changes to the device, over one connection.
//
//   nothing here, or the position is gone ──► everything, page by page ──┐
//                                                                        ▼
//   the node has syncEvents ──► pushed, from the position on     else ──► asked for every pollIntervalMs
//
// An event or page is stored together with its position in one commit; then the app is told; then, after a moment, the
// position is acknowledged to the node. So each event is applied at least once, in order, and after an interruption at
// any point the feed goes on behind the last commit.
import { Backoff } from './backoff.js';
import { documents } from './documents.js';
import { ConnectionError, RequestError, judge } from './errors.js';
import { Refused, askPatiently, tell, waiterOf, type Progress, type Session } from './session.js';
import type { Entity, SyncEvent } from './types.js';
import type { Conflicts } from './conflicts.js';
import type { Waiter } from './waiter.js';

// Events that wait for the storage. At this many the subscription is ended and taken up again behind what was stored: a
// WebSocket cannot be told to pause.
const queuedMax = 5000;
const atOnce = 500; // events in one commit

interface ChangeSet { entities: Entity[]; cursor: string; hasMore: boolean }

export class Feed {
  readonly #session: Session;
  readonly #conflicts: Conflicts;
  readonly #onTrigger: () => void;
  readonly #waiter: Waiter;
  readonly #backoff: Backoff;
  #acknowledged: string | null = null;
  #isAcknowledging = false;
  #resyncs = 0; // since something was applied
  #caughtUpWith = 0; // entities, since the connection began
  #isPolling = false;

  constructor(session: Session, conflicts: Conflicts, onTrigger: () => void) {
    this.#session = session;
    this.#conflicts = conflicts;
    this.#onTrigger = onTrigger;
    this.#waiter = waiterOf(session);
    this.#backoff = new Backoff(session.settings.backoff, session.random);
  }

  // Asks at once, if asking is how changes come.
  call(): void {
    if (this.#isPolling) this.#waiter.call();
  }

  // Until the connection ends, or something is thrown that ends it.
  async run(): Promise<void> {
    const { connection, state, settings } = this.#session;
    let mode: 'push' | 'poll' = settings.push === 'auto' ? 'push' : 'poll';
    while (connection.isOpen) {
      if (state.position.cursor === null || state.position.reading) await this.#readEverything();
      else if (mode === 'push') mode = await this.#push();
      else await this.#poll();
    }
  }

  // ── everything, from the beginning ──

  async #readEverything(): Promise<void> {
    const { state, settings, connection } = this.#session;
    if (!state.position.reading) await state.beginReading(null);
    const phase = state.position.cursor === null ? 'first' : 'again';
    const total = await this.#total();
    const progress = (done: boolean) => {
      const { received, cursor } = state.position.reading!;
      this.#progress({ phase, received, total: total === null ? null : Math.max(total, received), cursor, done });
    };
    progress(false);
    const restarts = new Backoff(this.#session.settings.backoff, this.#session.random);
    while (!state.position.reading!.done) {
      const { cursor } = state.position.reading!;
      let page: ChangeSet;
      try {
        page = (await askPatiently<{ changes: ChangeSet }>(this.#session, documents.changes, { domains: settings.domains, since: cursor, first: settings.pageSize })).changes;
      } catch (problem) {
        if (cursor === null || !isCursorRefused(problem)) throw problem;
        await state.beginReading(null);
        await this.#waiter.pause(restarts.next()); // reading it all is work for both
        if (!connection.isOpen) return;
        continue;
      }
      const { changed } = await state.applyPage(page.entities, page.cursor, page.hasMore);
      this.#session.changed(changed);
      if (page.hasMore) progress(false);
      if (!connection.isOpen) return;
    }
    const { received, cursor } = state.position.reading!;
    const { changed } = await state.endReading();
    this.#session.changed(changed);
    this.#progress({ phase, received, total: received, cursor, done: true });
    this.#acknowledgeSoon();
  }

  // How many changes the node has for this device; an estimate, because records and other domains count as well.
  async #total(): Promise<number | null> {
    try {
      const { device } = await askPatiently<{ device: { pendingChanges: number } | null }>(this.#session, documents.pending, { device: this.#session.settings.deviceId });
      return device?.pendingChanges ?? null;
    } catch (problem) {
      if (problem instanceof RequestError) return null;
      throw problem;
    }
  }

  // ── pushed ──

  async #push(): Promise<'push' | 'poll'> {
    const { connection, state, settings } = this.#session;
    const queue: SyncEvent[] = [];
    let problem: RequestError | null = null, isOver = false, isOverrun = false;
    const end = connection.subscribe(documents.events, { device: settings.deviceId, after: state.position.cursor }, {
      next: ({ data, errors }) => {
        if (isOver) return;
        const event = (data as { syncEvents?: SyncEvent } | null | undefined)?.syncEvents;
        if (errors && errors.length > 0 || !event) {
          problem = new RequestError(errors ?? []);
          isOver = true;
        } else {
          queue.push(event);
          if (queue.length >= queuedMax) isOver = isOverrun = true;
        }
        if (isOver) end();
        this.#waiter.call();
      },
      error: refused => {
        problem = refused;
        isOver = true;
        this.#waiter.call();
      },
      complete: () => {
        isOver = true;
        this.#waiter.call();
      },
    }, () => {});
    try {
      while (connection.isOpen) {
        if (queue.length > 0) {
          this.#resyncs = 0;
          this.#backoff.reset();
          if (await this.#apply(queue.splice(0, atOnce)) === 'resync') return 'push';
        } else if (problem) return await this.#onRefusal(problem);
        else if (isOver) {
          if (!isOverrun) await this.#waiter.pause(this.#backoff.next());
          return 'push';
        } else await this.#waiter.wait();
      }
      return 'push';
    } finally {
      end();
    }
  }

  async #apply(events: readonly SyncEvent[]): Promise<'resync' | void> {
    const { state, settings, callbacks } = this.#session;
    for (let at = 0; at < events.length;) {
      const event = events[at]!;
      if (event.__typename === 'DataUpdateEvent') {
        const entities: Entity[] = [];
        let cursor = event.cursor;
        for (let next = events[at]; next?.__typename === 'DataUpdateEvent'; next = events[++at]) {
          cursor = next.cursor;
          if (settings.domains.includes(next.domain)) entities.push(next.entity);
        }
        const { changed } = await state.apply(entities, cursor);
        this.#caughtUpWith += entities.length;
        this.#session.changed(changed);
        continue;
      }
      at += 1;
      switch (event.__typename) {
        case 'ResyncRequiredEvent':
          await state.beginReading(event.cursor);
          return 'resync';
        case 'SyncTriggerEvent':
          void tell(callbacks, 'trigger', { domains: event.domains, reason: event.reason, priority: event.priority });
          this.#onTrigger();
          break;
        case 'ConflictAlertEvent':
          await this.#conflicts.tell([event.conflict]);
          break;
        case 'SystemNotificationEvent':
          await tell(callbacks, 'notification', { message: event.message, data: event.data, priority: event.priority });
          break;
        case 'CaughtUpEvent': break;
      }
      await state.apply([], event.cursor);
      if (event.__typename === 'CaughtUpEvent') {
        this.#progress({ phase: 'catch-up', received: this.#caughtUpWith, total: this.#caughtUpWith, cursor: event.cursor, done: true });
        this.#session.caughtUp('push', true);
      }
    }
    this.#acknowledgeSoon();
  }

  // Why there is no subscription. A node without the field answers BAD_USER_INPUT, and so does one that does not take the
  // cursor: its schema tells which.
  async #onRefusal(problem: RequestError): Promise<'push' | 'poll'> {
    const { state, callbacks } = this.#session;
    const verdict = judge(problem);
    if (verdict === 'stop') throw new Refused(problem);
    if (verdict === 'renew') throw problem;
    if (verdict === 'retry' || verdict === 'puzzle') {
      void tell(callbacks, 'error', problem);
      await this.#waiter.pause(this.#backoff.next(problem.retryAfterMs));
      return 'push';
    }
    if (problem.code === 'NOT_FOUND') { // the device: registered again with the next connection
      await state.setRegistered('');
      throw new ConnectionError('the node does not know the device');
    }
    if (!await this.#hasPush()) return 'poll';
    if (isCursorRefused(problem) && this.#resyncs === 0) {
      this.#resyncs += 1;
      await state.beginReading(null);
      return 'push';
    }
    void tell(callbacks, 'error', problem); // a node that the client does not understand: better late than not at all
    return 'poll';
  }

  async #hasPush(): Promise<boolean> {
    interface Answer { __schema: { subscriptionType: { fields: { name: string }[] } | null } }
    try {
      const { __schema: { subscriptionType } } = await askPatiently<Answer>(this.#session, documents.pushFields);
      return subscriptionType?.fields.some(one => one.name === 'syncEvents') ?? false;
    } catch (problem) {
      if (problem instanceof RequestError) return true; // introspection is switched off
      throw problem;
    }
  }

  // ── asked for ──

  async #poll(): Promise<void> {
    const { connection, state, settings } = this.#session;
    this.#isPolling = true;
    try {
      while (connection.isOpen) {
        const received = await this.#readOn();
        if (received === null) return; // everything has to be read again
        await this.#conflicts.readOpen(this.#session);
        if (this.#caughtUpWith > 0 || received > 0) {
          this.#caughtUpWith = 0;
          this.#progress({ phase: 'catch-up', received, total: received, cursor: state.position.cursor, done: true });
        }
        this.#session.caughtUp('poll', true);
        this.#acknowledgeSoon();
        await this.#waiter.wait(settings.pollIntervalMs);
      }
    } finally {
      this.#isPolling = false;
    }
  }

  async #readOn(): Promise<number | null> {
    const { connection, state, settings } = this.#session;
    for (let received = 0; ;) {
      let page: ChangeSet;
      try {
        page = (await askPatiently<{ changes: ChangeSet }>(this.#session, documents.changes, { domains: settings.domains, since: state.position.cursor, first: settings.pageSize })).changes;
      } catch (problem) {
        if (!isCursorRefused(problem)) throw problem;
        await state.beginReading(null);
        return null;
      }
      const { changed } = await state.apply(page.entities, page.cursor);
      received += page.entities.length;
      this.#session.changed(changed);
      if (!page.hasMore || !connection.isOpen) return received;
      this.#progress({ phase: 'catch-up', received, total: null, cursor: page.cursor, done: false });
    }
  }

  // ──

  #progress(progress: Progress): void {
    void tell(this.#session.callbacks, 'progress', progress);
  }

  // Positions that follow each other quickly are acknowledged as one. Losing an acknowledgement loses nothing: the position
  // is the device's own, the node's copy serves its statistics and a device that lost its storage.
  #acknowledgeSoon(): void {
    if (this.#isAcknowledging || this.#session.state.position.cursor === this.#acknowledged) return;
    this.#isAcknowledging = true;
    void this.#acknowledge();
  }

  async #acknowledge(): Promise<void> {
    const { state, settings, connection, callbacks } = this.#session;
    const waiter = waiterOf(this.#session);
    try {
      while (connection.isOpen && state.position.cursor !== this.#acknowledged) {
        await waiter.pause(settings.acknowledgeAfterMs);
        const { cursor } = state.position;
        if (!connection.isOpen || cursor === null) return;
        await connection.ask(documents.acknowledge, { device: settings.deviceId, cursor });
        this.#acknowledged = cursor;
      }
    } catch (problem) {
      if (problem instanceof RequestError) void tell(callbacks, 'error', problem);
    } finally {
      this.#isAcknowledging = false;
    }
  }
}

function isCursorRefused(problem: unknown): boolean {
  return problem instanceof RequestError && problem.code === 'BAD_USER_INPUT'
    && (problem.field === undefined || ['since', 'after', 'cursor'].includes(problem.field));
}
