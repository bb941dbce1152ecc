// What the tests against a real node need: nodes on fresh folders, tokens, a TCP proxy that breaks connections, seeded
// chance. Each node is a child of the test and is stopped by its own pid; nothing is left behind.
//
// The binary under test: environment variable MOORING_BIN, else build/release/mooring.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { MemoryStorage, SyncClient, type ClientOptions, type JsonObject, type SocketConstructor, type SyncDomain, type View } from '@mooring/client';

export { sleep };
const source = fileURLToPath(new URL('../../..', import.meta.url));
export const binary = process.env['MOORING_BIN'] ?? join(source, 'build/release/mooring');
if (!existsSync(binary)) throw new Error(`${binary} does not exist: build it, or name it in MOORING_BIN`);
// The command reads MOORING_… as settings; what names this run's own choices must not reach it.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MOORING_')));

const folders = new Set<string>(), children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mooring-client-'));
  folders.add(folder);
  return folder;
}

export class Node {
  readonly data: string;
  port = 0;
  log = '';
  #args: string[];
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(settings: Record<string, string | number | boolean> = {}) {
    this.data = join(freshFolder(), 'data');
    this.#args = Object.entries({ 'limits.enabled': false, ...settings }).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  }

  // Starts, or starts again after stop or kill: on the same folder, on a new port.
  async start(): Promise<this> {
    const child = this.#child = spawn(binary, ['serve', '--data', this.data, '--listen', '127.0.0.1:0', ...this.#args], { stdio: ['ignore', 'ignore', 'pipe'], env: environment });
    children.add(child);
    this.log = '';
    this.#ended = new Promise(resolve => child.once('exit', () => {
      children.delete(child);
      resolve();
    }));
    this.port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the node does not start:\n${this.log}`)), 60_000);
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        this.log += text;
        const port = /serving ws:\/\/\S+?:(\d+)\/graphql/.exec(this.log)?.[1];
        if (!port) return;
        clearTimeout(timer);
        resolve(Number(port));
      });
      void this.#ended.then(() => reject(new Error(`the node ended:\n${this.log}`)));
    });
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/graphql`;
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM');
    await this.#ended;
  }

  token({ tenant = 'acme', user = 'ann', device, roles = [], ttl = '1h' }: { tenant?: string; user?: string; device?: string; roles?: string[]; ttl?: string } = {}): string {
    return execFileSync(binary, ['token', '--data', this.data, '--tenant', tenant, '--user', user, '--ttl', ttl,
      ...(device ? ['--device', device] : []), ...roles.flatMap(role => ['--role', role])], { encoding: 'utf8', env: environment }).trim();
  }

  // GraphQL over HTTP: what is really there.
  async ask<T>(token: string, query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.port}/graphql`, {
      method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json() as { data: T; errors?: unknown };
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }

  // Everything that the token's user may see, as the node has it.
  async all(token: string): Promise<NodeEntity[]> {
    const entities: NodeEntity[] = [];
    for (let since: string | null = null; ;) {
      const { changes }: { changes: { entities: NodeEntity[]; cursor: string; hasMore: boolean } } = await this.ask(token,
        'query($since: Cursor) { changes(since: $since, first: 500) { entities { domain entityId version deleted data } cursor hasMore } }', { since });
      entities.push(...changes.entities);
      since = changes.cursor;
      if (!changes.hasMore) return entities;
    }
  }
}

export interface NodeEntity { domain: SyncDomain; entityId: string; version: number; deleted: boolean; data: JsonObject | null }

// Between a client and the node: a fixed address that leads to wherever the node is now, and breaks connections.
export class Proxy {
  target: number;
  refuses = false;
  // Bytes after which a connection is broken, in either direction; asked once for each connection.
  breakAfter: () => number = () => Infinity;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  connections = 0;
  broken = 0;

  constructor(target: number) {
    this.target = target;
    this.#server = createServer(inner => this.#accept(inner));
  }

  async listen(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/graphql`;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise(resolve => this.#server.close(resolve));
  }

  #accept(inner: Socket): void {
    this.connections += 1;
    if (this.refuses) return void inner.destroy();
    const outer = connect(this.target, '127.0.0.1');
    let left = this.breakAfter();
    for (const [from, to] of [[inner, outer], [outer, inner]] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on('data', bytes => {
        left -= bytes.length;
        if (left > 0) return void to.write(bytes);
        this.broken += 1;
        if (to.writable) to.write(bytes.subarray(0, bytes.length + left)); // broken in the middle of a message
        inner.destroy();
        outer.destroy();
      });
    }
  }
}

// Quick pauses: tests break things on purpose, all the time.
export const hasty = { backoff: { baseMs: 5, maximumMs: 100 }, acknowledgeAfterMs: 50, pollIntervalMs: 100 } as const;

export function openClient(options: Partial<ClientOptions> & Pick<ClientOptions, 'url' | 'deviceId' | 'getToken'>): Promise<SyncClient> {
  return SyncClient.open({ storage: new MemoryStorage(), webSocket: WebSocket as unknown as SocketConstructor, ...hasty, ...options });
}

// The socket library under a name: every message that a client sends or gets, seen.
export function spyingSocket(seen: { sent?: (text: string) => void; got?: (text: string) => void }): SocketConstructor {
  return class extends WebSocket {
    override send(data: unknown, ...rest: unknown[]): void {
      seen.sent?.(String(data));
      (super.send as (...given: unknown[]) => void)(data, ...rest);
    }
    override emit(name: string | symbol, ...values: unknown[]): boolean {
      if (name === 'message') seen.got?.(String(values[0]));
      return super.emit(name, ...values);
    }
  } as unknown as SocketConstructor;
}

export async function until(probe: () => unknown, what: string, timeoutMs = 20_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !await probe();) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

export async function listed(client: SyncClient, domain: SyncDomain): Promise<View[]> {
  const views: View[] = [];
  for await (const view of client.list(domain)) views.push(view);
  return views;
}

export async function hasPush(node: Node): Promise<boolean> {
  const { __schema: { subscriptionType } } = await node.ask<{ __schema: { subscriptionType: { name: string } | null } }>(node.token(), '{ __schema { subscriptionType { name } } }');
  return subscriptionType !== null;
}
