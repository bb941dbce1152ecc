// The durable store: LMDB with one transaction per event turn, which is lmdb-js' own group commit.
//
// Decisions are made synchronously on this one thread, from what is committed or still pending, and all writes of one
// request are put in the same turn, so they are one transaction. An answer is given after `durable()`.
import { open } from 'lmdb';

const encoder = { encoding: 'msgpack', sharedStructuresKey: Symbol.for('structures') };

export class Store {
  constructor(path, options = {}) {
    this.root = open({ path, maxDbs: 8, mapSize: 1 << 30, noMemInit: true, ...options });
    // Everything that belongs to one identity: records, entities, devices, answers by idempotency key.
    this.rows = this.root.openDB({ name: 'rows', ...encoder });
    this.feed = this.root.openDB({ name: 'feed', ...encoder });
    this.pending = new Map(); // key -> value of rows that are put and not yet flushed
    this.positions = new Map(); // tenant -> last position given
    this.overlapping = options.overlappingSync !== false;
    this.written = null;
    this.turnKeys = [];
  }

  get(key) {
    const waiting = this.pending.get(key);
    return waiting !== undefined ? waiting : this.rows.get(key);
  }

  put(key, value) {
    this.pending.set(key, value);
    this.turnKeys.push(key, value);
    this.written = this.rows.put(key, value);
  }

  nextPosition(tenant) {
    let last = this.positions.get(tenant);
    if (last === undefined) {
      last = 0;
      for (const key of this.feed.getKeys({ start: [tenant, Infinity], end: [tenant, 0], reverse: true, limit: 1 }))
        last = key[1];
    }
    this.positions.set(tenant, ++last);
    return last;
  }

  appendFeed(tenant, position, rowKey, previous) {
    if (previous !== undefined) this.feed.remove([tenant, previous]);
    this.written = this.feed.put([tenant, position], rowKey);
  }

  // Resolves when everything put in this turn is on the disk.
  async durable() {
    const keys = this.turnKeys;
    this.turnKeys = [];
    await this.written;
    if (this.overlapping) await this.root.flushed;
    for (let i = 0; i < keys.length; i += 2)
      if (this.pending.get(keys[i]) === keys[i + 1]) this.pending.delete(keys[i]);
  }

  // Up to `limit` rows after a position: [{ position, row }].
  after(tenant, position, limit) {
    const found = [];
    for (const { key, value } of this.feed.getRange({ start: [tenant, position + 1], end: [tenant, Infinity], limit })) {
      const row = this.rows.get(value);
      if (row !== undefined) found.push({ position: key[1], row });
    }
    return found;
  }

  close() {
    return this.root.close();
  }
}
