// Bytes on a socket, for what no library would send.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import WebSocket from 'ws';

// One connection. `text`: all that came so far; `closed` resolves when the other side ends it.
export async function dial(node, { reads = true } = {}) {
  const socket = createConnection(node.port, '127.0.0.1');
  await once(socket, 'connect');
  const wire = { socket, bytes: Buffer.alloc(0), get text() { return this.bytes.toString('latin1'); } };
  if (reads) socket.on('data', chunk => {
    wire.bytes = Buffer.concat([wire.bytes, chunk]);
    socket.emit('grew');
  });
  socket.on('error', () => {}); // a reset is an end
  const began = performance.now();
  wire.closed = new Promise(resolve => socket.once('close', () => resolve(performance.now() - began)));
  wire.send = bytes => socket.write(bytes);
  wire.close = () => socket.destroy();
  return wire;
}

// Sends all of it and waits for the end of the connection, or for `enough` of an answer.
export async function exchange(node, bytes, { timeout = 10_000, enough } = {}) {
  const wire = await dial(node);
  wire.send(bytes);
  const signal = AbortSignal.timeout(timeout);
  try {
    while (!wire.socket.destroyed && !enough?.(wire.text))
      await Promise.race([once(wire.socket, 'grew', { signal }), wire.closed]);
  } catch {
    throw new Error(`no end of the connection after ${timeout} ms; so far: ${wire.text.slice(0, 500)}`);
  } finally {
    wire.close();
  }
  return wire.text;
}

// A WebSocket by hand: after the handshake `send` takes raw bytes.
export async function dialWebSocket(node, options) {
  const wire = await dial(node);
  wire.send(`GET /graphql HTTP/1.1\r\nHost: mooring\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n`
    + `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`);
  while (!wire.text.includes('\r\n\r\n')) {
    await Promise.race([once(wire.socket, 'grew'), wire.closed]);
    if (wire.socket.destroyed) throw new Error(`no WebSocket: ${wire.text}`);
  }
  wire.bytes = wire.bytes.subarray(wire.text.indexOf('\r\n\r\n') + 4);
  if (options?.bearer) {
    wire.send(frame(JSON.stringify({ type: 'connection_init', payload: { authorization: options.bearer } })));
    while (!wire.text.includes('connection_ack')) await once(wire.socket, 'grew');
    wire.bytes = Buffer.alloc(0);
  }
  return wire;
}

// A frame as a client sends it. `head`: the first byte; `length`: what the header claims.
export function frame(payload, { head = 0x81, masked = true, length } = {}) {
  const body = Buffer.from(payload);
  const claimed = BigInt(length ?? body.length), mask = masked ? 0x80 : 0;
  let header;
  if (claimed < 126n) header = Buffer.from([head, mask | Number(claimed)]);
  else if (claimed < 65536n) {
    header = Buffer.from([head, mask | 126, 0, 0]);
    header.writeUInt16BE(Number(claimed), 2);
  } else {
    header = Buffer.alloc(10);
    header.set([head, mask | 127]);
    header.writeBigUInt64BE(claimed, 2);
  }
  return Buffer.concat([header, masked ? Buffer.alloc(4) : Buffer.alloc(0), body]); // a mask of zeros
}

// The code of the last close frame in what a server sent; null when there is none.
export function closeCodeOf(bytes) {
  let code = null;
  for (let at = 0; at + 2 <= bytes.length;) {
    const opcode = bytes[at] & 0x0f;
    let length = bytes[at + 1] & 0x7f, head = 2;
    if (length === 126) (length = bytes.readUInt16BE(at + 2)), (head = 4);
    else if (length === 127) (length = Number(bytes.readBigUInt64BE(at + 2))), (head = 10);
    if (opcode === 8 && length >= 2) code = bytes.readUInt16BE(at + head);
    at += head + length;
  }
  return code;
}

// A WebSocket of the ws library, its messages as a list to wait on.
export async function socketOf(node, { protocol = 'graphql-transport-ws', init, ...options } = {}) {
  const socket = new WebSocket(node.ws, protocol, options);
  const messages = [], waiting = [];
  socket.on('message', (data, binary) => {
    const message = binary ? data : JSON.parse(data);
    const taker = waiting.shift();
    if (taker) taker(message);
    else messages.push(message);
  });
  const closed = new Promise(resolve => socket.once('close', (code, reason) => resolve({ code, reason: String(reason) })));
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (_, response) => reject(Object.assign(new Error(`HTTP ${response.statusCode}`), { status: response.statusCode })));
  });
  socket.on('error', () => {});
  const send = message => socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  const next = () => (messages.length > 0 ? Promise.resolve(messages.shift())
    : Promise.race([new Promise(resolve => waiting.push(resolve)), closed.then(how => { throw new Error(`closed ${how.code} ${how.reason}`); })]));
  if (init) {
    send({ type: 'connection_init', payload: { authorization: init } });
    const first = await next();
    if (first.type !== 'connection_ack') throw new Error(`no ack: ${JSON.stringify(first)}`);
  }
  return { socket, send, next, closed, messages };
}

// HTTP with nothing done behind our back (fetch unpacks, follows and adds headers).
export function http(node, { method = 'GET', path = '/', headers = {}, body, ...more } = {}) {
  return new Promise((resolve, reject) => {
    const send = node.origin.startsWith('https') ? httpsRequest : httpRequest;
    const request = send({ host: '127.0.0.1', port: node.port, method, path, headers, agent: false, ...more }, response => {
      const parts = [];
      response.on('data', part => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        resolve({ status: response.statusCode, headers: response.headers, bytes, text: bytes.toString(),
          get json() { return JSON.parse(this.text); } });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
