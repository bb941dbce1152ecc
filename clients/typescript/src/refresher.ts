// Reads entities by name: those whose newest version came about by more than the device's own edit (LocalState.expected).
import { entityFields } from './documents.js';
import type { EntityKey } from './local_state.js';
import { askPatiently, waiterOf, type Session } from './session.js';
import type { Entity } from './types.js';
import type { Waiter } from './waiter.js';

const together = 10; // the node's limit of root fields

export class Refresher {
  readonly #session: Session;
  readonly #waiter: Waiter;

  constructor(session: Session) {
    this.#session = session;
    this.#waiter = waiterOf(session);
  }

  call(): void {
    this.#waiter.call();
  }

  async run(): Promise<void> {
    const { connection, state } = this.#session;
    while (connection.isOpen) {
      // Each once: one that is still expected after it was read waits for the next call, or the feed.
      const keys = state.expected;
      for (let at = 0; at < keys.length && connection.isOpen; at += together) await this.#read(keys.slice(at, at + together));
      await this.#waiter.wait();
    }
  }

  async #read(keys: readonly EntityKey[]): Promise<void> {
    const names = keys.map((_, at) => `$d${at}: SyncDomainEnum!, $i${at}: ID!`).join(', ');
    const fields = keys.map((_, at) => `e${at}: entity(domain: $d${at}, entityId: $i${at}) ${entityFields}`).join(' ');
    const variables = Object.fromEntries(keys.flatMap(({ domain, entityId }, at) => [[`d${at}`, domain], [`i${at}`, entityId]]));
    const answer = await askPatiently<Record<string, Entity | null>>(this.#session, `query(${names}) { ${fields} }`, variables);
    const found = keys.flatMap((_, at) => answer[`e${at}`] ?? []);
    const { changed } = await this.#session.state.apply(found);
    await this.#session.state.notFound(keys.filter((_, at) => !answer[`e${at}`]));
    this.#session.changed(changed);
  }
}
