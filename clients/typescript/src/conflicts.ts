// Conflicts: tells the app of each, once, and sends what it decides. Lives as long as the client; what could not be sent
// goes out with the next connection. Nothing is kept over a restart, because the node has it all: open conflicts are read
// again then.
import { documents } from './documents.js';
import { ConnectionError, MooringError, RequestError } from './errors.js';
import type { EntityKey } from './local_state.js';
import { Refused, askPatiently, tell, waiterOf, type Callbacks, type Session } from './session.js';
import type { Conflict, ConflictResolutionResponse, Resolution } from './types.js';
import type { Waiter } from './waiter.js';

const strategies = { client: 'CLIENT_WINS', server: 'SERVER_WINS', merged: 'MERGE' } as const;
const knownMax = 10_000;

interface Decision {
  resolution: Resolution;
  done: ((response: ConflictResolutionResponse) => void)[];
  failed: ((problem: unknown) => void)[];
}

export class Conflicts {
  readonly #callbacks: Partial<Callbacks>;
  readonly #deviceId: string;
  readonly #known = new Set<string>(); // id and status, told to the app
  readonly #decisions = new Map<string, Decision>();
  #after: string | null = null; // open ones read so far
  #session: Session | null = null;
  #waiter: Waiter | null = null;
  #expected: () => void = () => {};

  constructor(callbacks: Partial<Callbacks>, deviceId: string) {
    this.#callbacks = callbacks;
    this.#deviceId = deviceId;
  }

  // Sends decisions, until the connection ends. `expected`: entities have to be read.
  async run(session: Session, expected: () => void): Promise<void> {
    this.#session = session;
    this.#expected = expected;
    const waiter = this.#waiter = waiterOf(session);
    await this.readOpen(session);
    while (session.connection.isOpen) {
      for (const [conflictId, decision] of this.#decisions) await this.#send(session, conflictId, decision);
      await waiter.wait();
    }
  }

  // Open conflicts that came since the last time.
  async readOpen(session: Session): Promise<void> {
    for (;;) {
      const { conflicts: page }: { conflicts: { conflicts: Conflict[]; cursor: string | null; hasMore: boolean } }
        = await askPatiently(session, documents.conflicts, { first: 100, after: this.#after });
      this.#after = page.cursor ?? this.#after;
      await this.tell(page.conflicts);
      if (!page.hasMore) return;
    }
  }

  async tell(conflicts: readonly Conflict[]): Promise<void> {
    const decided: EntityKey[] = [];
    for (const conflict of conflicts) {
      const name = `${conflict.conflictId} ${conflict.status}`;
      if (this.#known.has(name)) continue;
      if (this.#known.size >= knownMax) this.#known.clear(); // then some may be told twice
      this.#known.add(name);
      if (conflict.status === 'OPEN') void this.#askApp(conflict);
      else {
        void tell(this.#callbacks, 'resolved', conflict);
        // A version that was made of this device's edit is not pushed to it.
        if (conflict.deviceId === this.#deviceId && conflict.winningVersion !== 'server') decided.push({ domain: conflict.domain, entityId: conflict.mobileId });
      }
    }
    await this.#expect(decided);
  }

  // What the node answers. Waits for a connection if there is none.
  resolve(conflictId: string, resolution: Resolution): Promise<ConflictResolutionResponse> {
    return new Promise((done, failed) => {
      const there = this.#decisions.get(conflictId);
      if (there) {
        there.resolution = resolution;
        there.done.push(done);
        there.failed.push(failed);
      } else this.#decisions.set(conflictId, { resolution, done: [done], failed: [failed] });
      this.#waiter?.call();
    });
  }

  async #askApp(conflict: Conflict): Promise<void> {
    const { answer } = await tell(this.#callbacks, 'conflict', conflict);
    if (!answer) return;
    try {
      await this.resolve(conflict.conflictId, answer);
    } catch (problem) {
      void tell(this.#callbacks, 'error', problem);
    }
  }

  async #send(session: Session, conflictId: string, decision: Decision): Promise<void> {
    const { resolution, done, failed } = decision;
    try {
      const { resolveConflict: response } = await askPatiently<{ resolveConflict: ConflictResolutionResponse }>(session, documents.resolve, {
        resolution: {
          conflictId, resolutionStrategy: strategies[resolution.choose], chosenVersion: resolution.choose, notes: resolution.notes ?? null,
          mergeData: resolution.choose === 'merged' ? resolution.data : null,
        },
      });
      if (response.error) throw new MooringError(`${response.error.code}: ${response.error.message}`);
      const { conflict } = await askPatiently<{ conflict: Conflict | null }>(session,
        'query($id: ID!) { conflict(conflictId: $id) { domain mobileId } }', { id: conflictId });
      if (conflict) await this.#expect([{ domain: conflict.domain, entityId: conflict.mobileId }]);
      this.#decisions.delete(conflictId);
      for (const one of done) one(response);
    } catch (problem) {
      if (problem instanceof ConnectionError || problem instanceof Refused) throw problem; // it goes out with the next connection
      this.#decisions.delete(conflictId);
      for (const one of failed) one(problem);
      if (problem instanceof RequestError && problem.code === 'UNAUTHENTICATED') throw problem;
    }
  }

  async #expect(keys: readonly EntityKey[]): Promise<void> {
    if (keys.length === 0 || !this.#session) return;
    await this.#session.state.expect(keys);
    this.#expected();
  }
}
