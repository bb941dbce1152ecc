// A node that answers as the test says: for what a real one does only now and then, or cannot be made to do on time.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

export interface Talk {
  socket: WebSocket;
  token: string;
  number: number; // of the connection
}
export interface Request {
  id: string;
  text: string; // the whole message
  query: string;
  variables: Record<string, unknown>;
}
// An answer: data; errors; nothing at all ('silence'); a close with a code; or a stream of events that goes on.
export type Reply = { data: unknown } | { errors: unknown[] } | { refuse: unknown[] } | 'silence' | { close: number; reason?: string } | { events: (push: (event: unknown) => void) => void };

export class ScriptedNode {
  readonly #server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'graphql-transport-ws' });
  readonly requests: Request[] = [];
  readonly tokens: string[] = []; // of connection_init
  readonly pings: Record<string, unknown>[] = []; // payloads
  readonly completed: string[] = []; // ids that the client ended
  talks: Talk[] = [];
  connections = 0;
  pongs = true;
  onInit: (talk: Talk) => number | void = () => {}; // a close code refuses
  onRequest: (request: Request, talk: Talk) => Reply | void = () => {};

  constructor() {
    this.#server.on('connection', socket => this.#talk(socket));
  }

  async listening(): Promise<this> {
    if (!this.#server.address()) await once(this.#server, 'listening');
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/graphql`;
  }

  of(name: string): Request[] {
    return this.requests.filter(one => one.query.includes(name));
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise(resolve => this.#server.close(resolve));
  }

  #talk(socket: WebSocket): void {
    const talk: Talk = { socket, token: '', number: ++this.connections };
    const send = (message: unknown) => socket.send(JSON.stringify(message));
    socket.on('message', (bytes: Buffer) => {
      const text = bytes.toString();
      const message = JSON.parse(text) as { type: string; id: string; payload?: Record<string, unknown> };
      if (message.type === 'connection_init') {
        talk.token = String(message.payload?.['authorization']).replace('Bearer ', '');
        this.tokens.push(talk.token);
        const code = this.onInit(talk);
        if (code) return socket.close(code, 'as scripted');
        this.talks.push(talk);
        return send({ type: 'connection_ack' });
      }
      if (message.type === 'ping') {
        this.pings.push(message.payload ?? {});
        if (this.pongs) send({ type: 'pong' });
        return;
      }
      if (message.type === 'complete') return void this.completed.push(message.id);
      if (message.type !== 'subscribe') return;
      const request: Request = { id: message.id, text, query: message.payload!['query'] as string, variables: (message.payload!['variables'] ?? {}) as Record<string, unknown> };
      this.requests.push(request);
      const reply = this.onRequest(request, talk) ?? this.#usual(request);
      const { id } = message;
      if (reply === 'silence') return;
      if ('close' in reply) return socket.close(reply.close, reply.reason ?? 'as scripted');
      if ('refuse' in reply) return send({ id, type: 'error', payload: reply.refuse });
      if ('events' in reply) return reply.events(event => send({ id, type: 'next', payload: { data: { syncEvents: event } } }));
      send({ id, type: 'next', payload: reply });
      send({ id, type: 'complete' });
    });
  }

  #usual({ query, variables }: Request): Reply {
    if (query.includes('serverInfo')) return { data: { serverInfo: { version: 'test', limits: { maxBatchItems: 1000, maxPayloadBytes: 10 << 20 } } } };
    if (query.includes('registerDevice')) return { data: { registerDevice: { deviceId: 'd', active: true } } };
    if (query.includes('pendingChanges')) return { data: { device: { pendingChanges: 0 } } };
    if (query.includes('conflicts(')) return { data: { conflicts: { conflicts: [], cursor: null, hasMore: false } } };
    if (query.includes('changes(')) return { data: { changes: { entities: [], cursor: `${(variables['since'] as string | null) ?? 'c'}.`, hasMore: false } } };
    if (query.includes('acknowledge(')) return { data: { acknowledge: true } };
    if (query.includes('__schema')) return { data: { __schema: { subscriptionType: { fields: [{ name: 'syncEvents' }] } } } };
    if (query.startsWith('subscription')) return { events: push => push({ __typename: 'CaughtUpEvent', cursor: String(variables['after']) }) };
    if (query.includes('syncOperations') || query.includes('syncVoiceData')) {
      const name = query.includes('syncOperations') ? 'syncOperations' : 'syncVoiceData';
      return { data: { [name]: uploaded(variables) } };
    }
    throw new Error(`what is ${query}?`);
  }
}

export function uploaded(variables: Record<string, unknown>, version = 1): Record<string, unknown> {
  const items = (variables['operations'] ?? variables['data']) as Record<string, unknown>[];
  return {
    success: true, syncedItems: items.length, failedItems: 0, conflicts: [], errors: [], serverTimestamp: '2026-01-05T08:00:00.000Z',
    idempotencyKey: variables['key'], replayed: false,
    items: items.map(one => ({ itemId: one['entityId'] ?? one['verificationId'], operationId: one['operationId'] ?? null, success: true, version, duplicate: false, conflictDetected: false, conflictId: null, error: null })),
  };
}

export const failure = (code: string, more: object = {}) => ({ message: `scripted ${code}`, extensions: { code, retryable: ['RATE_LIMITED', 'UNAVAILABLE', 'STORAGE_FULL'].includes(code), requestId: '1', ...more } });
