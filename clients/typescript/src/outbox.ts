// What the device did and the node has not answered yet, in the order in which it was done.
//
//   item ──enqueue──► waiting ──form──► in the batch ──settle──► done            (gone)
//                        ▲                  │   │               └► rejected       (kept until the app has taken it)
//                        └────dissolve──────┘   └─ sent again as it is, for as long as it takes
//
// There is at most one batch. Its key, its content and its exact text are written before it is sent for the first time and
// stay until it is answered: a retry is byte for byte the same upload, also after a restart. Items leave the outbox in the
// commit that stores their outcome.
//
// Memory mirrors the storage: it changes after the commit has succeeded, so a commit that failed changes nothing and may be
// repeated. Every write here overwrites or removes, so that a commit whose fate is unknown may be repeated, too.
// Not for concurrent use: local_state.ts calls it under its lock.
import { OutboxFullError } from './errors.js';
import { uploadText } from './documents.js';
import { utf8Length } from './json.js';
import type { Storage, Write } from './storage.js';
import type { OutboxItem, SyncError } from './types.js';

export interface Entry {
  readonly sequence: number;
  readonly item: OutboxItem;
  readonly queuedAt: number;
  readonly bytes: number; // of its input as JSON
}

export interface Batch {
  readonly key: string; // idempotency key
  readonly text: string; // of the request: what is sent, to the byte
  readonly entries: readonly Entry[];
}

export interface Rejection {
  readonly sequence: number;
  readonly item: OutboxItem;
  readonly error: SyncError;
}

// What became of one entry of an answered batch. `keep`: it waits for the next batch.
export type Outcome = 'done' | 'keep' | SyncError;

export interface OutboxLimits {
  itemsMax: number;
  bytesMax: number;
}

const entryKey = (sequence: number) => `o/${sequence.toString().padStart(15, '0')}`;
const rejectionKey = (sequence: number) => `r/${sequence.toString().padStart(15, '0')}`;
const batchKey = 'batch';
const envelopeBytes = 2048; // of a request around its items

interface StoredEntry { item: OutboxItem; queuedAt: number }
interface StoredBatch { key: string; text: string; sequences: number[] }

const isUrgent = ({ item }: Entry) => item.kind === 'edit' && item.input.priority !== 'NORMAL';

export async function scanAll(storage: Storage, prefix: string, each: (key: string, value: string) => void): Promise<void> {
  for (let after: string | undefined; ;) {
    const page: [string, string][] = await storage.scan(prefix, after === undefined ? { limit: 500 } : { after, limit: 500 });
    for (const [key, value] of page) each(key, value);
    if (page.length < 500) return;
    after = page[page.length - 1]![0];
  }
}

export class Outbox {
  readonly #storage: Storage;
  readonly #limits: OutboxLimits;
  readonly #entries = new Map<number, Entry>(); // in order
  readonly #rejections = new Map<number, Rejection>();
  #bytes = 0;
  #urgent = 0;
  #next = 1; // sequence
  #batch: Batch | null = null;
  // After a batch was dissolved: its items travel in smaller ones.
  #suspectsUntil = 0;
  #suspectsMax = Infinity;

  private constructor(storage: Storage, limits: OutboxLimits) {
    this.#storage = storage;
    this.#limits = limits;
  }

  static async open(storage: Storage, limits: OutboxLimits): Promise<Outbox> {
    const outbox = new Outbox(storage, limits);
    await scanAll(storage, 'o/', (key, value) => {
      const { item, queuedAt } = JSON.parse(value) as StoredEntry;
      outbox.#add({ sequence: Number(key.slice(2)), item, queuedAt, bytes: utf8Length(JSON.stringify(item.input)) });
    });
    await scanAll(storage, 'r/', (key, value) => {
      const sequence = Number(key.slice(2));
      outbox.#rejections.set(sequence, { sequence, ...(JSON.parse(value) as { item: OutboxItem; error: SyncError }) });
      outbox.#next = Math.max(outbox.#next, sequence + 1);
    });
    const stored = await storage.get(batchKey);
    if (stored !== undefined) {
      const { key, text, sequences } = JSON.parse(stored) as StoredBatch;
      outbox.#batch = { key, text, entries: sequences.map(one => outbox.#entries.get(one)!) };
    }
    return outbox;
  }

  get size(): number {
    return this.#entries.size;
  }

  get batch(): Batch | null {
    return this.#batch;
  }

  get rejections(): Rejection[] {
    return [...this.#rejections.values()];
  }

  // Edits of high priority that wait.
  get urgent(): number {
    return this.#urgent;
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  async enqueue(items: readonly OutboxItem[], queuedAt: number): Promise<Entry[]> {
    const entries = items.map((item, at) => ({ sequence: this.#next + at, item, queuedAt, bytes: utf8Length(JSON.stringify(item.input)) }));
    const bytes = entries.reduce((sum, one) => sum + one.bytes, this.#bytes);
    if (this.#entries.size + entries.length > this.#limits.itemsMax || bytes > this.#limits.bytesMax)
      throw new OutboxFullError(`the outbox holds ${this.#entries.size} items of ${this.#bytes} bytes; no more fit until some are uploaded`);
    await this.#storage.commit(entries.map(({ sequence, item, queuedAt: at }) => (
      { key: entryKey(sequence), value: JSON.stringify({ item, queuedAt: at } satisfies StoredEntry) })));
    for (const entry of entries) this.#add(entry);
    return entries;
  }

  // The batch: the one that there is, else a new one of the oldest items. Null when nothing waits.
  async form(limits: { items: number; bytes: number }, from: { deviceId: string; nowMs: number; makeId: () => string }): Promise<Batch | null> {
    if (this.#batch || this.#entries.size === 0) return this.#batch;
    const entries: Entry[] = [];
    let bytes = envelopeBytes;
    for (const entry of this.#entries.values()) {
      const most = entry.sequence <= this.#suspectsUntil ? Math.min(limits.items, this.#suspectsMax) : limits.items;
      if (entries.length > 0 && (entries.length >= most || bytes + entry.bytes + 1 > limits.bytes)) break;
      entries.push(entry);
      bytes += entry.bytes + 1;
    }
    const key = from.makeId();
    const text = uploadText(key, from.deviceId, new Date(from.nowMs).toISOString(), entries.map(one => one.item));
    const batch: Batch = { key, text, entries };
    await this.#storage.commit([{ key: batchKey, value: JSON.stringify({ key, text, sequences: entries.map(one => one.sequence) } satisfies StoredBatch) }]);
    this.#batch = batch;
    return batch;
  }

  // The batch was answered: its items' outcomes, by position, and whatever is to be stored in the same commit.
  async settle(batch: Batch, outcomes: readonly Outcome[], also: readonly Write[] = []): Promise<Rejection[]> {
    if (this.#batch !== batch) throw new Error('this batch is not the one on its way');
    const writes: Write[] = [{ key: batchKey, value: null }, ...also];
    const rejections: Rejection[] = [], gone: Entry[] = [];
    batch.entries.forEach((entry, at) => {
      const outcome = outcomes[at] ?? 'keep';
      if (outcome === 'keep') return;
      gone.push(entry);
      writes.push({ key: entryKey(entry.sequence), value: null });
      if (outcome === 'done') return;
      const { sequence, item } = entry;
      rejections.push({ sequence, item, error: outcome });
      writes.push({ key: rejectionKey(sequence), value: JSON.stringify({ item, error: outcome }) });
    });
    await this.#storage.commit(writes);
    this.#batch = null;
    for (const entry of gone) {
      this.#entries.delete(entry.sequence);
      this.#bytes -= entry.bytes;
      if (isUrgent(entry)) this.#urgent -= 1;
    }
    for (const one of rejections) this.#rejections.set(one.sequence, one);
    return rejections;
  }

  // The node refused the batch as a whole and would do so again: its items go back. `smaller`: its items travel in batches
  // of half the size from now on, which finds the one that is to blame. Only after an answer: what may have been executed
  // is never regrouped.
  async dissolve(batch: Batch, smaller: boolean): Promise<void> {
    if (this.#batch !== batch) throw new Error('this batch is not the one on its way');
    await this.#storage.commit([{ key: batchKey, value: null }]);
    this.#batch = null;
    if (!smaller) return;
    this.#suspectsUntil = Math.max(this.#suspectsUntil, ...batch.entries.map(one => one.sequence));
    this.#suspectsMax = Math.max(1, Math.ceil(batch.entries.length / 2));
  }

  // The app has taken the rejection.
  async forget(rejection: Rejection): Promise<void> {
    await this.#storage.commit([{ key: rejectionKey(rejection.sequence), value: null }]);
    this.#rejections.delete(rejection.sequence);
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.sequence, entry);
    this.#bytes += entry.bytes;
    if (isUrgent(entry)) this.#urgent += 1;
    this.#next = Math.max(this.#next, entry.sequence + 1);
  }
}
