// One connection that speaks graphql-transport-ws (PROTOCOL.md of the npm package graphql-ws), from its opening to its end.
// It does not reconnect: sync_client.ts makes the next one.
//
// It notices a dead peer by pings that stay unanswered, and it keeps its token fresh: before the token expires it asks
// `getToken` for a new one and sends it in a ping's payload, which the node verifies and takes over.
import { ConnectionError, RequestError, type GraphqlErrorJson } from './errors.js';
import { isObject } from './json.js';
import type { Clock, SocketConstructor, SocketLike } from './runtime.js';

// `initial`: for a new connection. `expiring`: the one in use ends soon. `refused`: the node did not take the last one.
export type TokenReason = 'initial' | 'expiring' | 'refused';
export type TokenSource = (why: { reason: TokenReason }) => Promise<string | { token: string; expiresAtMs?: number }>;

export interface ConnectionOptions {
  url: string;
  webSocket: SocketConstructor;
  clock: Clock;
  getToken: TokenSource;
  tokenReason: TokenReason;
  connectTimeoutMs: number;
  pingIntervalMs: number;
  pongTimeoutMs: number;
  requestTimeoutMs: number;
  onRoundTrip(ms: number): void;
  onTokenProblem(problem: unknown): void;
}

export interface Closed {
  code: number; // 1006: without a word
  reason: string;
}

export interface Sink {
  next(result: { data?: unknown; errors?: GraphqlErrorJson[] }): void;
  error(problem: RequestError): void;
  complete(): void;
}

interface Running {
  sink: Sink;
  lost(problem: ConnectionError): void;
}

const timerMax = 0x7fffffff;

export class Connection {
  readonly closed: Promise<Closed>;
  readonly #options: ConnectionOptions;
  readonly #socket: SocketLike;
  readonly #running = new Map<string, Running>();
  readonly #timers = new Set<unknown>();
  readonly #pings: { sentAt: number; answered: () => void; lost: (problem: ConnectionError) => void; timer: unknown }[] = []; // answered in order
  #end!: (how: Closed) => void;
  #how: Closed | null = null;
  #lastId = 0;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.closed = new Promise(resolve => {
      this.#end = resolve;
    });
    this.#socket = new options.webSocket(options.url, 'graphql-transport-ws');
  }

  // Acknowledged by the node, or a ConnectionError with its close code. `begun` gets it before, to be able to close it.
  static async open(options: ConnectionOptions, begun: (connection: Connection) => void): Promise<Connection> {
    const token = await tokenOf(options.getToken, options.tokenReason);
    const connection = new Connection(options);
    begun(connection);
    await connection.#initialise(token.token);
    connection.#beat();
    connection.#renewBefore(token.expiresAtMs);
    return connection;
  }

  get isOpen(): boolean {
    return this.#how === null;
  }

  // One query or mutation: its data, or RequestError, or ConnectionError when there will be no answer. An operation that
  // takes longer than `timeoutMs` ends the connection: who does not answer is not there.
  run<T>(text: string, { id, timeoutMs = this.#options.requestTimeoutMs }: { id?: string; timeoutMs?: number } = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      let answer: { data?: unknown; errors?: GraphqlErrorJson[] } | undefined;
      const timer = this.#after(timeoutMs, () => this.#fail(1006, `no answer within ${timeoutMs} ms`));
      const began = this.#options.clock.now();
      this.#start(text, id, {
        sink: {
          next: result => {
            answer = result;
          },
          error: problem => {
            this.#cancel(timer);
            reject(problem);
          },
          complete: () => {
            this.#cancel(timer);
            if (id === undefined) this.#options.onRoundTrip(this.#options.clock.now() - began);
            if (!answer) reject(new ConnectionError('the node completed a request without an answer'));
            else if (answer.errors && answer.errors.length > 0) reject(new RequestError(answer.errors));
            else resolve(answer.data as T);
          },
        },
        lost: problem => {
          this.#cancel(timer);
          reject(problem);
        },
      });
    });
  }

  ask<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    return this.run<T>(JSON.stringify({ query, variables }));
  }

  // A subscription. The function that it answers ends it; nothing is told after that.
  subscribe(query: string, variables: Record<string, unknown>, sink: Sink, lost: (problem: ConnectionError) => void): () => void {
    const id = this.#start(JSON.stringify({ query, variables }), undefined, { sink, lost });
    return () => {
      if (!this.#running.delete(id) || this.#how) return;
      this.#send(JSON.stringify({ id, type: 'complete' }));
    };
  }

  // A fresh token, told to the node. Resolves when the node has taken it.
  async renewToken(token: string): Promise<void> {
    await this.#ping({ authorization: `Bearer ${token}` });
  }

  close(code = 1000, reason = 'done'): void {
    this.#fail(code, reason);
  }

  // ──

  #initialise(token: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#after(this.#options.connectTimeoutMs, () => this.#fail(1006, `no connection within ${this.#options.connectTimeoutMs} ms`));
      void this.closed.then(({ code, reason }) => reject(new ConnectionError(`no connection: ${code} ${reason}`, code)));
      this.#socket.onopen = () => this.#send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
      this.#socket.onerror = () => {}; // onclose follows
      this.#socket.onclose = event => this.#closedWith({ code: event.code, reason: event.reason });
      this.#socket.onmessage = event => this.#received(event.data, () => {
        this.#cancel(timer);
        resolve();
      });
    });
  }

  #received(data: unknown, acknowledged: () => void): void {
    if (this.#how) return;
    let message: { type?: unknown; id?: unknown; payload?: unknown };
    try {
      message = JSON.parse(String(data)) as typeof message;
    } catch {
      return this.#fail(4400, 'not JSON');
    }
    const running = typeof message.id === 'string' ? this.#running.get(message.id) : undefined;
    switch (message.type) {
      case 'connection_ack': return acknowledged();
      case 'ping': return this.#send(JSON.stringify({ type: 'pong', ...(message.payload === undefined ? {} : { payload: message.payload }) }));
      case 'pong': {
        const ping = this.#pings.shift();
        if (!ping) return;
        this.#cancel(ping.timer);
        this.#options.onRoundTrip(this.#options.clock.now() - ping.sentAt);
        return ping.answered();
      }
      case 'next':
        return running?.sink.next(isObject(message.payload) ? message.payload as { data?: unknown; errors?: GraphqlErrorJson[] } : {});
      case 'error':
        this.#running.delete(message.id as string);
        return running?.sink.error(new RequestError(Array.isArray(message.payload) ? message.payload as GraphqlErrorJson[] : []));
      case 'complete':
        this.#running.delete(message.id as string);
        return running?.sink.complete();
      default: return this.#fail(4400, 'a message of unknown type');
    }
  }

  #start(text: string, id: string | undefined, running: Running): string {
    const name = id ?? String(++this.#lastId);
    if (this.#how) {
      running.lost(this.#lost(this.#how));
      return name;
    }
    this.#running.set(name, running);
    this.#send(`{"id":${JSON.stringify(name)},"type":"subscribe","payload":${text}}`);
    return name;
  }

  #send(text: string): void {
    try {
      this.#socket.send(text);
    } catch (problem) {
      this.#fail(1006, String(problem));
    }
  }

  // ── liveness and tokens ──

  #beat(): void {
    this.#after(this.#options.pingIntervalMs, () => {
      this.#ping().then(() => this.#beat(), () => {}); // the end is told by `closed`
    });
  }

  #ping(payload?: Record<string, string>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#how) return reject(this.#lost(this.#how));
      const timer = this.#after(this.#options.pongTimeoutMs, () => this.#fail(1006, `a ping was not answered within ${this.#options.pongTimeoutMs} ms`));
      this.#pings.push({ sentAt: this.#options.clock.now(), answered: resolve, lost: reject, timer });
      this.#send(JSON.stringify(payload ? { type: 'ping', payload } : { type: 'ping' }));
    });
  }

  // A minute, or a fifth of what is left if that is less, before the end.
  #renewBefore(expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined || this.#how) return;
    const left = expiresAtMs - this.#options.clock.now();
    const wait = Math.max(250, left - Math.min(60_000, left / 5));
    this.#after(wait, () => (wait > timerMax ? this.#renewBefore(expiresAtMs) : void this.#renew(expiresAtMs)));
  }

  async #renew(expiresAtMs: number): Promise<void> {
    try {
      const fresh = await tokenOf(this.#options.getToken, 'expiring');
      await this.renewToken(fresh.token);
      this.#renewBefore(fresh.expiresAtMs);
    } catch (problem) {
      if (this.#how) return;
      this.#options.onTokenProblem(problem);
      // Again until it is too late; then the node closes with 4403, and the next connection asks.
      if (expiresAtMs > this.#options.clock.now()) this.#renewBefore(expiresAtMs);
    }
  }

  // ── timers, and the end ──

  #after(ms: number, run: () => void): unknown {
    const timer = this.#options.clock.setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, Math.min(ms, timerMax));
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer: unknown): void {
    this.#options.clock.clearTimeout(timer);
    this.#timers.delete(timer);
  }

  // We end it: at once, whatever the socket's closing handshake takes.
  #fail(code: number, reason: string): void {
    if (this.#how) return;
    this.#closedWith({ code, reason });
    try {
      this.#socket.close(code === 1000 || code >= 3000 ? code : 1000, reason.slice(0, 100));
    } catch {
      // it never opened
    }
  }

  #closedWith(how: Closed): void {
    if (this.#how) return;
    this.#how = how;
    for (const timer of this.#timers) this.#options.clock.clearTimeout(timer);
    this.#timers.clear();
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const one of [...running, ...this.#pings.splice(0)]) one.lost(this.#lost(how));
    this.#end(how);
  }

  #lost({ code, reason }: Closed): ConnectionError {
    return new ConnectionError(`the connection closed: ${code} ${reason}`, code);
  }
}

async function tokenOf(getToken: TokenSource, reason: TokenReason): Promise<{ token: string; expiresAtMs: number | undefined }> {
  const given = await getToken({ reason });
  const token = typeof given === 'string' ? given : given.token;
  return { token, expiresAtMs: (typeof given === 'string' ? undefined : given.expiresAtMs) ?? expiryOf(token) };
}

// The `exp` of a JWT in milliseconds; undefined when there is none, or the token is something else.
export function expiryOf(token: string): number | undefined {
  const part = token.split('.')[1];
  if (part === undefined) return undefined;
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let bits = 0, held = 0, text = '';
  for (const letter of part) {
    const value = alphabet.indexOf(letter);
    if (value < 0) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    text += String.fromCharCode((held >> bits) & 0xff); // the claim that is looked for is ASCII
  }
  try {
    const claims: unknown = JSON.parse(text);
    return isObject(claims) && typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : undefined;
  } catch {
    return undefined;
  }
}
