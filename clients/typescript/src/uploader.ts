// Empties the outbox over one connection: one batch at a time, in order, each until it is answered.
import { Backoff } from './backoff.js';
import { parts } from './documents.js';
import { ConnectionError, MooringError, RequestError, judge } from './errors.js';
import { utf8Length } from './json.js';
import type { Batch, Rejection } from './outbox.js';
import { Refused, puzzlesMax, tell, waiterOf, type Session } from './session.js';
import type { Conflict, SyncBatchResponse, SyncItemResult, SyncResponse } from './types.js';
import type { Waiter } from './waiter.js';

const slowestBytesPerMs = 4; // an upload gets that much more time

export interface UploaderHooks {
  conflicts(conflicts: readonly Conflict[]): void;
  expected(): void; // some entities have to be read
}

export class Uploader {
  readonly #session: Session;
  readonly #hooks: UploaderHooks;
  readonly #waiter: Waiter;
  readonly #backoff: Backoff;
  #puzzles = 0; // of the present batch

  constructor(session: Session, hooks: UploaderHooks) {
    this.#session = session;
    this.#hooks = hooks;
    this.#waiter = waiterOf(session);
    this.#backoff = new Backoff(session.settings.backoff, session.random);
  }

  // Something was put into the outbox.
  call(): void {
    this.#waiter.call();
  }

  // Until the connection ends, or something is thrown that ends it.
  async run(): Promise<void> {
    const session = this.#session;
    for (const rejection of session.state.rejections) await deliver(session, rejection);
    while (session.connection.isOpen) {
      const { oldest } = session.state;
      if (!oldest) {
        await this.#waiter.wait();
        continue;
      }
      const limits = session.quality.limits();
      limits.items = Math.min(limits.items, session.limits.items);
      limits.bytes = Math.min(limits.bytes, session.limits.bytes);
      const left = Math.min(limits.lingerMs, oldest.queuedAt + limits.lingerMs - session.clock.now());
      if (!session.state.batch && !oldest.urgent && left > 0 && session.state.waiting < limits.items) {
        await this.#waiter.wait(left);
        continue;
      }
      const batch = await session.state.form(limits);
      if (batch && session.connection.isOpen) await this.#upload(batch);
    }
  }

  async #upload(batch: Batch): Promise<void> {
    const { connection, quality, state, clock, settings } = this.#session;
    const bytes = utf8Length(batch.text), began = clock.now();
    let answer: Record<string, SyncResponse | SyncBatchResponse>;
    try {
      // The key is the operation's id as well, so that a retry is the same message to the byte.
      answer = await connection.run(batch.text, { id: batch.key, timeoutMs: settings.requestTimeoutMs + bytes / slowestBytesPerMs });
    } catch (problem) {
      if (problem instanceof RequestError) return this.#onRefusal(batch, problem);
      if (problem instanceof ConnectionError && problem.closeCode === 1009) {
        await this.#shrinkOrReject(batch, { code: 'PAYLOAD_TOO_LARGE', message: 'larger than what the node takes in one message' });
      } else quality.attempt(false);
      throw problem;
    }
    quality.uploaded(bytes, clock.now() - began);
    this.#backoff.reset();
    this.#puzzles = 0;
    const response = answer['syncOperations'] ?? answer['syncVoiceData'] ?? answer['syncBatch'];
    const matched = response && resultsOf(batch, response);
    if (!matched) throw new Refused(new MooringError('the node answered an upload with something else'));
    const { rejections, changed } = await state.settle(batch, matched.results, response.serverTimestamp);
    this.#session.waitingChanged();
    this.#session.changed(changed);
    this.#hooks.conflicts(matched.conflicts);
    if (state.expected.length > 0) this.#hooks.expected();
    for (const rejection of rejections) await deliver(this.#session, rejection);
  }

  async #onRefusal(batch: Batch, problem: RequestError): Promise<void> {
    const verdict = judge(problem);
    void tell(this.#session.callbacks, 'error', problem);
    switch (verdict) {
      case 'stop': throw new Refused(problem);
      case 'renew': throw problem;
      case 'rekey': return this.#session.state.dissolve(batch, false);
      case 'retry': return this.#waiter.pause(this.#backoff.next(problem.retryAfterMs));
      case 'puzzle':
        this.#puzzles += 1;
        if (this.#puzzles <= puzzlesMax) return this.#waiter.pause(this.#backoff.next(problem.retryAfterMs));
        break;
      case 'split':
      case 'reject': break;
    }
    return this.#shrinkOrReject(batch, { code: problem.code, message: problem.message, field: problem.field ?? null });
  }

  // The same batch would be refused again. One item is to blame by itself; of several, it is found by halving.
  async #shrinkOrReject(batch: Batch, error: { code: string; message: string; field?: string | null }): Promise<void> {
    this.#puzzles = 0;
    if (batch.entries.length > 1) return this.#session.state.dissolve(batch, true);
    const { rejections, changed } = await this.#session.state.reject(batch, error);
    this.#session.waitingChanged();
    this.#session.changed(changed);
    for (const rejection of rejections) await deliver(this.#session, rejection);
  }
}

async function deliver(session: Session, rejection: Rejection): Promise<void> {
  if ((await tell(session.callbacks, 'rejected', rejection)).ok) await session.state.forget(rejection);
}

// Each entry's result, by position: the node answers the items of each kind in the order in which they were sent.
function resultsOf(batch: Batch, response: SyncResponse | SyncBatchResponse): { results: SyncItemResult[]; conflicts: Conflict[] } | null {
  const results: SyncItemResult[] = [], conflicts: Conflict[] = [];
  for (const part of parts) {
    const positions = batch.entries.flatMap(({ item }, at) => (item.kind === part.kind ? [at] : []));
    if (positions.length === 0) continue;
    const answer = 'items' in response ? response : response[part.result];
    if (answer?.items.length !== positions.length) return null;
    positions.forEach((position, at) => {
      results[position] = answer.items[at]!;
    });
    conflicts.push(...answer.conflicts);
  }
  return { results, conflicts };
}
