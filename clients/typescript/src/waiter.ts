// What a loop waits on: somebody's call, a time, or the end. One loop waits; anybody may call. A call that comes while
// nobody waits is kept, once.
import type { Clock } from './runtime.js';

export class Waiter {
  readonly #clock: Clock;
  #isCalled = false;
  #isEnded = false;
  #wake: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  call(): void {
    this.#isCalled = true;
    this.#wake?.();
  }

  // From now on nothing waits any more.
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  // Until a call, or `ms` at most.
  async wait(ms?: number): Promise<void> {
    if (!this.#isCalled) await this.#sleep(ms);
    this.#isCalled = false;
  }

  // `ms` whole, calls or not: a pause that the node asked for.
  async pause(ms: number): Promise<void> {
    for (const until = this.#clock.now() + ms; !this.#isEnded;) {
      const left = until - this.#clock.now();
      if (left <= 0) return;
      await this.#sleep(Math.min(left, ms));
    }
  }

  #sleep(ms?: number): Promise<void> {
    if (this.#isEnded) return Promise.resolve();
    return new Promise(resolve => {
      const timer = ms === undefined ? undefined : this.#clock.setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        this.#wake = null;
        if (timer !== undefined) this.#clock.clearTimeout(timer);
        resolve();
      };
    });
  }
}
