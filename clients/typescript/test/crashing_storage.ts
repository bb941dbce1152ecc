// A storage that crashes: from a chosen commit on, everything fails, as in a process that is no more. What the next
// process finds is up to the crash: the commit that it hit may be there or not, and the newest commits before it may be
// lost (a disk that had not written them yet) — whole commits, and always the newest ones, as the contract says.
import { MemoryStorage, type ScanOptions, type Storage, type Write } from '@mooring/client';

export class CrashingStorage implements Storage {
  readonly #inner: MemoryStorage;
  readonly #history: (readonly [string, string])[][] = []; // contents before each of the newest commits
  readonly #historyMax: number;
  #commitsLeft = Infinity;
  #landsLast = false;
  #isDead = false;
  commits = 0;
  onCrash: () => void = () => {};

  constructor(content: Iterable<readonly [string, string]> = [], { historyMax = 0 } = {}) {
    this.#inner = new MemoryStorage(content);
    this.#historyMax = historyMax;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  // The commit after `commits` more is the crash; `lands`: it is there all the same.
  crashAfter(commits: number, lands: boolean): void {
    this.#commitsLeft = commits;
    this.#landsLast = lands;
  }

  crashNow(): void {
    this.#isDead = true;
  }

  // What the next process finds; `lost` of the newest commits are missing.
  survivors(lost = 0): (readonly [string, string])[] {
    const all = [...this.#history, this.#inner.content()];
    return all[Math.max(0, all.length - 1 - lost)]!;
  }

  async get(key: string): Promise<string | undefined> {
    this.#alive();
    return this.#inner.get(key);
  }

  async scan(prefix: string, options?: ScanOptions): Promise<[string, string][]> {
    this.#alive();
    return this.#inner.scan(prefix, options);
  }

  async commit(writes: readonly Write[]): Promise<void> {
    this.#alive();
    const crashes = this.#commitsLeft-- <= 0;
    if (!crashes || this.#landsLast) {
      if (this.#historyMax > 0) {
        this.#history.push(this.#inner.content());
        if (this.#history.length > this.#historyMax) this.#history.shift();
      }
      await this.#inner.commit(writes);
      this.commits += 1;
    }
    if (!crashes) return;
    this.#isDead = true;
    this.onCrash();
    this.#alive();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #alive(): void {
    if (this.#isDead) throw new Error('the process is dead');
  }
}
