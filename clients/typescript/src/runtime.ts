// What the client takes from its surroundings: time, chance and sockets. Tests bring their own.

export interface Clock {
  now(): number; // milliseconds since 1970
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: timer => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

// From 0 up to, never including, 1.
export type Random = () => number;

// What of the WebSocket of browsers and React Native is used.
export interface SocketLike {
  readonly readyState: number;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
}
export type SocketConstructor = new (url: string, protocol: string) => SocketLike;

// A pause that can be cut short.
export class Pause {
  readonly done: Promise<void>;
  #timer: unknown;
  #clock: Clock;
  #end!: () => void;

  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.done = new Promise(resolve => {
      this.#end = resolve;
    });
    this.#timer = clock.setTimeout(this.#end, ms);
  }

  end(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#end();
  }
}

let counter = 0;

// Unique for this device. Ids are scoped to tenant, user and device, so a device only has to differ from itself: where
// there is no cryptographic source (old React Native), time, a counter and Math.random are enough.
export function makeId(): string {
  const source = (globalThis as { crypto?: { getRandomValues?: (bytes: Uint8Array) => Uint8Array } }).crypto;
  const bytes = new Uint8Array(16);
  if (source?.getRandomValues) source.getRandomValues(bytes);
  else for (let at = 0; at < bytes.length; ++at) bytes[at] = Math.floor(Math.random() * 256);
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  counter = (counter + 1) % 0x1000;
  return `${Date.now().toString(36)}-${counter.toString(16)}-${text}`;
}
