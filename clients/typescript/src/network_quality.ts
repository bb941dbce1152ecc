// How good the network is, from what really happened, and what that means for the next batch.
//
// Measured: the round trip of pings and small requests (exponentially weighted mean, weight 0.3), the share of attempts
// that failed (weight 0.25; an attempt is an upload or a connection), and the upload speed (bytes of an upload over its
// time beyond the round trip, weight 0.3; only uploads of 4 KiB and more say something).
//
//   grade       round trip   failures   items at most   wait for more
//   excellent   < 100 ms     < 5 %      500             10 ms
//   good        < 300 ms     < 15 %     200             50 ms
//   fair        < 1,000 ms   < 35 %     50              250 ms
//   poor        else                    10              1,000 ms
//
// The grade is the worse of its two columns; before the first measurement it is `good`. Bytes at most: what the measured
// speed carries in 2 s, between 4 KiB and 256 KiB. Failures in a row halve both (a batch is at least one item), so that
// something gets through a network that is only there for moments. An item of high priority does not wait for more.
//
// Only batches that are yet to be formed are concerned: one that was formed keeps its content until it is answered.

export type Grade = 'excellent' | 'good' | 'fair' | 'poor';

export interface BatchLimits {
  items: number;
  bytes: number;
  lingerMs: number; // from the oldest waiting item, for others to come along
}

const grades: readonly { grade: Grade; rttMs: number; failures: number; items: number; lingerMs: number }[] = [
  { grade: 'excellent', rttMs: 100, failures: 0.05, items: 500, lingerMs: 10 },
  { grade: 'good', rttMs: 300, failures: 0.15, items: 200, lingerMs: 50 },
  { grade: 'fair', rttMs: 1000, failures: 0.35, items: 50, lingerMs: 250 },
  { grade: 'poor', rttMs: Infinity, failures: Infinity, items: 10, lingerMs: 1000 },
];
const uploadGoalMs = 2000, bytesMin = 4 << 10, bytesMax = 256 << 10, tellingBytes = 4 << 10;

export class NetworkQuality {
  #rttMs: number | undefined;
  #failureShare = 0;
  #failuresInARow = 0;
  #bytesPerMs: number | undefined;

  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  get failureShare(): number {
    return this.#failureShare;
  }

  get bytesPerMs(): number | undefined {
    return this.#bytesPerMs;
  }

  get grade(): Grade {
    return this.#row().grade;
  }

  roundTrip(ms: number): void {
    this.#rttMs = this.#rttMs === undefined ? ms : this.#rttMs + 0.3 * (ms - this.#rttMs);
  }

  uploaded(bytes: number, tookMs: number): void {
    this.attempt(true);
    if (bytes < tellingBytes) return this.roundTrip(tookMs);
    const speed = bytes / Math.max(1, tookMs - (this.#rttMs ?? 0));
    this.#bytesPerMs = this.#bytesPerMs === undefined ? speed : this.#bytesPerMs + 0.3 * (speed - this.#bytesPerMs);
  }

  // An upload or a connection came about, or the network failed it. What the node refuses is no failure of the network.
  attempt(succeeded: boolean): void {
    this.#failureShare += 0.25 * ((succeeded ? 0 : 1) - this.#failureShare);
    this.#failuresInARow = succeeded ? 0 : this.#failuresInARow + 1;
  }

  limits(): BatchLimits {
    const { items, lingerMs } = this.#row();
    const halved = 2 ** Math.min(this.#failuresInARow, 10);
    const bytes = this.#bytesPerMs === undefined ? bytesMax : Math.min(bytesMax, this.#bytesPerMs * uploadGoalMs);
    return { items: Math.max(1, Math.floor(items / halved)), bytes: Math.max(bytesMin, Math.floor(bytes / halved)), lingerMs };
  }

  #row(): (typeof grades)[number] {
    const rttMs = this.#rttMs ?? 299;
    return grades.find(row => rttMs < row.rttMs && this.#failureShare < row.failures)!;
  }
}
