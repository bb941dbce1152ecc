// How long to wait before the next attempt: exponential back-off with full jitter
// (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
//
//   delay = random() × min(maximum, base × 2^failures)         without a word from the node
//   delay = retryAfterMs + random() × min(maximum, base × 2^failures)   when it said when to come back
//
// The first failure has 2^0. Jitter over the whole range spreads a fleet of phones that lost the same node; after
// `retryAfterMs` it is added, never subtracted, because the node meant its word.
import type { Random } from './runtime.js';

export interface BackoffOptions {
  baseMs?: number; // 500
  maximumMs?: number; // 60,000
}

export class Backoff {
  #failures = 0;
  readonly #base: number;
  readonly #maximum: number;
  readonly #random: Random;

  constructor(options: BackoffOptions, random: Random) {
    this.#base = options.baseMs ?? 500;
    this.#maximum = options.maximumMs ?? 60_000;
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  // Counts a failure; how many milliseconds to wait for the next attempt.
  next(retryAfterMs?: number): number {
    const range = Math.min(this.#maximum, this.#base * 2 ** Math.min(this.#failures, 40));
    this.#failures += 1;
    return Math.max(0, retryAfterMs ?? 0) + this.#random() * range;
  }

  reset(): void {
    this.#failures = 0;
  }
}
