// A clock that moves when the test says so.
import type { Clock } from '@mooring/client';

export class ManualClock implements Clock {
  #now = 1_700_000_000_000;
  #timers = new Map<number, { at: number; run: () => void }>();
  #last = 0;

  now(): number {
    return this.#now;
  }

  setTimeout(run: () => void, ms: number): unknown {
    this.#timers.set(++this.#last, { at: this.#now + Math.max(0, ms), run });
    return this.#last;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  get waiting(): number {
    return this.#timers.size;
  }

  // Runs what is due on the way, in order, and lets promises settle after each.
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, one]) => one.at <= until).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].run();
      await settle();
    }
    this.#now = until;
  }
}

const settle = () => new Promise<void>(resolve => setImmediate(resolve));
