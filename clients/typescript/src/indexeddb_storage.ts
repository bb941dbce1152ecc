// Storage in IndexedDB, for browsers. One database with one object store of strings by string. Each commit is one
// transaction with durability `strict`: it is done when the operating system says that it is on the disk.
//
// One client at a time: where there are Web Locks (every current browser), a second tab that opens the same name gets a
// StorageInUseError; the lock goes with the tab. Without them the app has to see to it.
import { StorageInUseError } from './errors.js';
import type { ScanOptions, Storage, Write } from './storage.js';

const store = 'values';

interface Locks {
  request(name: string, options: { ifAvailable: boolean }, run: (lock: unknown) => Promise<void>): Promise<void>;
}

export class IndexedDbStorage implements Storage {
  readonly #database: IDBDatabase;
  readonly #release: () => void;

  private constructor(database: IDBDatabase, release: () => void) {
    this.#database = database;
    this.#release = release;
    // Another version of the app wants the database, or the user clears it: let go, the client's next commit says so.
    database.onversionchange = () => database.close();
  }

  // `factory`: where there is no global indexedDB.
  static async open(name: string, factory: IDBFactory = indexedDB): Promise<IndexedDbStorage> {
    const release = await lock(`mooring:${name}`);
    try {
      const opening = factory.open(name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(store);
      return new IndexedDbStorage(await result(opening), release);
    } catch (problem) {
      release();
      throw problem;
    }
  }

  async get(key: string): Promise<string | undefined> {
    const found: unknown = await result(this.#values('readonly').get(key));
    return typeof found === 'string' ? found : undefined;
  }

  async scan(prefix: string, { after, limit }: ScanOptions = {}): Promise<[string, string][]> {
    // No key holds U+FFFF: it is no character.
    const range = after !== undefined && after >= prefix
      ? IDBKeyRange.bound(after, `${prefix}\uffff`, true, true)
      : IDBKeyRange.bound(prefix, `${prefix}\uffff`, false, true);
    const values = this.#values('readonly');
    const keys = result(values.getAllKeys(range, limit)), all = result(values.getAll(range, limit)); // of one transaction
    const found = await all;
    return (await keys).map((key, at) => [key as string, found[at] as string]);
  }

  commit(writes: readonly Write[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(store, 'readwrite', { durability: 'strict' });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
      const values = transaction.objectStore(store);
      for (const { key, value } of writes) {
        if (value === null) values.delete(key);
        else values.put(value, key);
      }
    });
  }

  close(): Promise<void> {
    this.#database.close(); // waits for running transactions by itself
    this.#release();
    return Promise.resolve();
  }

  #values(mode: 'readonly'): IDBObjectStore {
    return this.#database.transaction(store, mode).objectStore(store);
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
  });
}

async function lock(name: string): Promise<() => void> {
  const locks = (globalThis as { navigator?: { locks?: Locks } }).navigator?.locks;
  if (!locks) return () => {};
  return new Promise((resolve, reject) => {
    locks.request(name, { ifAvailable: true }, async held => {
      if (!held) throw new StorageInUseError(`${name} is open in another tab or worker`);
      await new Promise<void>(release => resolve(release));
    }).catch(reject);
  });
}
