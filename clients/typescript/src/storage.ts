// Where the client keeps what must survive: the outbox, the batch on its way, the entities, the cursor. Anything that can
// keep ordered keys and commit several writes as one will do: IndexedDB (indexeddb_storage.ts), SQLite, memory.

export type Write = { key: string; value: string } | { key: string; value: null }; // null removes

export interface ScanOptions {
  after?: string; // keys greater than this one
  limit?: number; // at most so many
}

// What the client counts on:
//  - commit is atomic: after a crash at any moment either all of its writes are there or none;
//  - commit is durable when its promise resolves. A storage that loses the newest commits in a crash (never an older one
//    without the newer) makes the client lose those edits and nothing else: nothing is applied twice;
//  - a commit whose promise rejected may or may not be there; the client repeats or overwrites it;
//  - scan is in one total order of keys, the same each time; for ASCII keys the order of their bytes. All keys that the
//    client scans in order are ASCII;
//  - one client has a storage open at a time. Commits of one client are never concurrent; reads may run beside one and see
//    the state before or after it.
// Keys are at most 600 characters; a value holds at most one batch (about 1 MiB).
export interface Storage {
  get(key: string): Promise<string | undefined>;
  scan(prefix: string, options?: ScanOptions): Promise<[key: string, value: string][]>;
  commit(writes: readonly Write[]): Promise<void>;
  close(): Promise<void>;
}

// Everything is gone with the process: for tests, and for apps that only read.
export class MemoryStorage implements Storage {
  #values: Map<string, string>;
  #order: string[] | null = null; // sorted keys; null: to be made

  constructor(content: Iterable<readonly [string, string]> = []) {
    this.#values = new Map(content);
  }

  get(key: string): Promise<string | undefined> {
    return Promise.resolve(this.#values.get(key));
  }

  scan(prefix: string, { after, limit = Infinity }: ScanOptions = {}): Promise<[string, string][]> {
    this.#order ??= [...this.#values.keys()].sort((left, right) => (left < right ? -1 : 1));
    const found: [string, string][] = [];
    const from = after !== undefined && after >= prefix ? after : prefix;
    for (let at = this.#firstNotBelow(from); at < this.#order.length && found.length < limit; ++at) {
      const key = this.#order[at]!;
      if (key === after) continue;
      if (!key.startsWith(prefix)) break;
      found.push([key, this.#values.get(key)!]);
    }
    return Promise.resolve(found);
  }

  commit(writes: readonly Write[]): Promise<void> {
    for (const { key, value } of writes) {
      if (value === null) {
        if (this.#values.delete(key)) this.#order = null;
      } else {
        if (!this.#values.has(key)) this.#order = null;
        this.#values.set(key, value);
      }
    }
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  // All of it, to make another one of.
  content(): [string, string][] {
    return [...this.#values];
  }

  #firstNotBelow(key: string): number {
    const order = this.#order!;
    let low = 0, high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
