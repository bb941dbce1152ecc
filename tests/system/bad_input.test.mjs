// Bad input of every kind gets its typed error or its close code, and the node goes on: during all of these tests a
// bystander uploads and reads, and each of its answers must come, soon and right.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { check, codes, connect, documents, edit, forge, killAll, now, phone, post, readAll, secretOf, sleep, startNode, unique, until, voiceItem } from './harness.mjs';
import { closeCodeOf, dial, dialWebSocket, exchange, frame, http, socketOf } from './wire.mjs';

let node, bearer, bystander;
before(async () => {
  node = await startNode({ set: {
    'network.header_timeout_ms': '700ms', 'network.message_timeout_ms': '700ms', 'network.write_timeout_ms': '1500ms', 'network.init_timeout_ms': '1s',
    'network.message_bytes_max': '4MiB', 'sync.payload_bytes_max': '3MiB', 'log.level': 'debug',
  } });
  bearer = node.token();
  bystander = watch();
});
after(async () => {
  const { made, slowest } = await bystander.end();
  assert.ok(made > 50, `the bystander made ${made} uploads`);
  assert.ok(slowest < 5000, `its slowest answer took ${slowest} ms`);
  const how = await node.stop();
  assert.deepEqual([how.code, how.signal], [0, null], node.log);
  assert.doesNotMatch(node.log, /expected|assert/i);
  const checked = check(node.data);
  assert.equal(checked.code, 0, checked.out + checked.err);
});
after(killAll); // those of tests that failed

// One who does nothing wrong, all the time.
function watch() {
  let stop = false;
  const done = (async () => {
    const client = await connect(node, node.token({ user: 'bystander' }));
    const own = phone(client, 'calm');
    let slowest = 0;
    const ids = [];
    while (!stop) {
      const began = performance.now(), id = unique('calm');
      const answer = await own.voice([voiceItem(id)]);
      assert.equal(answer.success, true);
      ids.push(id);
      slowest = Math.max(slowest, performance.now() - began);
      await sleep(10);
    }
    const { entities } = await readAll(client, { domains: ['VOICE'], first: 1000 });
    assert.deepEqual(entities.map(one => one.entityId).filter(id => id.startsWith('calm')), ids, 'everything that was acknowledged is there, in its order');
    client.close();
    return { made: ids.length, slowest };
  })();
  done.catch(() => {});
  return { end: () => ((stop = true), done) };
}

const info = '{ serverInfo { version } }';
const headers = () => ({ 'content-type': 'application/json', authorization: `Bearer ${bearer}` });
const ask = body => http(node, { method: 'POST', path: '/graphql', headers: headers(), body });
const modern = body => http(node, { method: 'POST', path: '/graphql', headers: { ...headers(), accept: 'application/graphql-response+json' }, body });

// ── frames ──

const ping = '{"type":"ping"}';
for (const [name, bytes, code] of [
  ['a frame without a mask', frame(ping, { masked: false }), 1002],
  ['reserved bits', frame(ping, { head: 0xf1 }), 1002],
  ['a compressed frame that nobody agreed on', frame(ping, { head: 0xc1 }), 1002],
  ['an unknown opcode', frame(ping, { head: 0x83 }), 1002],
  ['an unknown control opcode', frame('', { head: 0x8b }), 1002],
  ['a continuation of nothing', frame(ping, { head: 0x80 }), 1002],
  ['a ping in pieces', frame('', { head: 0x09 }), 1002],
  ['a ping of 126 bytes', frame('x'.repeat(126), { head: 0x89 }), 1002],
  ['a message inside a message', Buffer.concat([frame('{"ty', { head: 0x01 }), frame(ping)]), 1002],
  ['a length of 2^63', frame('', { length: 1n << 63n }), [1002, 1009]],
  ['a length of 8 GiB', frame('', { length: 8n << 30n }), 1009],
  ['a length in more bytes than it needs', Buffer.concat([Buffer.from([0x81, 0xfe, 0, 5, 0, 0, 0, 0]), Buffer.from('hello')]), [1002, 4400]],
  ['a close of one byte', frame('x', { head: 0x88 }), 1002],
  ['a close code that is none', frame(Buffer.from([0x03, 0xe7]), { head: 0x88 }), 1002],
  ['a close reason that is no UTF-8', frame(Buffer.from([0x03, 0xe8, 0xff]), { head: 0x88 }), [1002, 1007]],
  ['a message that is no UTF-8', frame(Buffer.from([0x22, 0xc3, 0x28, 0x22])), [1007, 4400]],
  ['an overlong UTF-8 form', frame(Buffer.from([0x22, 0xc0, 0xaf, 0x22])), [1007, 4400]],
  ['a surrogate in UTF-8', frame(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), [1007, 4400]],
])
  test(`a malformed frame ends its own connection: ${name}`, async () => {
    const wire = await dialWebSocket(node, { bearer });
    wire.send(bytes);
    await until(() => wire.socket.destroyed || closeCodeOf(wire.bytes) !== null, 'the end', 5000);
    const found = closeCodeOf(wire.bytes);
    // A reset without a close frame is as good where the stream can no longer be understood.
    assert.ok(found === null || [code].flat().includes(found), `${found}`);
    wire.close();
  });

test('a message may come in many pieces, with pings between', async () => {
  const wire = await dialWebSocket(node, { bearer });
  const text = JSON.stringify({ id: '1', type: 'subscribe', payload: { query: info } });
  wire.send(frame(text.slice(0, 10), { head: 0x01 }));
  for (const letter of text.slice(10)) wire.send(Buffer.concat([frame('p', { head: 0x89 }), frame(letter, { head: 0x00 })]));
  wire.send(frame('', { head: 0x80 }));
  await until(() => wire.text.includes('"serverInfo"'), 'the answer');
  wire.close();
});

// ── HTTP that is none ──

for (const [name, bytes, status] of [
  ['noise', Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37) & 0xff)), 400],
  ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex'), 400],
  ['no version', 'GET /graphql\r\n\r\n', 400],
  ['a version from the future', 'GET /graphql HTTP/9.9\r\nHost: x\r\n\r\n', 400],
  ['no host', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
  ['two hosts', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ['a header without a colon', 'GET /healthz HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n', 400],
  ['a NUL in a header', 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n', 400],
  ['headers of 20 KiB', `GET /healthz HTTP/1.1\r\nHost: x\r\nA: ${'b'.repeat(20 << 10)}\r\n\r\n`, 431],
  ['a target of 20 KiB', `GET /${'b'.repeat(20 << 10)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ['10,000 headers', `GET /healthz HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(10_000)}\r\n`, 431],
  ['a length that is no number', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n', 400],
  ['a negative length', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
  ['a length of 2^64', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n', [400, 413]],
  ['a length of 1 TiB', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n', 413],
  ['two lengths', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}', 400],
  ['a length and chunks', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', [400, 411]],
  ['chunks', 'POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 411],
  ['a WebSocket of another version', 'GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n', [400, 426]],
  ['a WebSocket without a key', 'GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n', 400],
  ['an expectation that nobody knows', 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: miracles\r\n\r\n{}', 417],
])
  test(`malformed HTTP is refused: ${name}`, async () => {
    const text = await exchange(node, bytes, { enough: so => /^HTTP\/1\.1 \d+ [^\n]*\r\n[^]*\r\n\r\n/.test(so) });
    const found = /^HTTP\/1\.[01] (\d+)/.exec(text)?.[1];
    assert.ok([status].flat().includes(Number(found)) || (name === 'noise' && text === ''), text.slice(0, 200) || 'no answer');
  });

test('a body over the limit is 413, also when it is small until unpacked', async () => {
  const large = await ask(JSON.stringify({ query: info, variables: { x: 'x'.repeat(5 << 20) } })).catch(problem => problem);
  if (!(large instanceof Error)) assert.deepEqual([large.status, codes(large.json)], [413, ['PAYLOAD_TOO_LARGE']]);
  else assert.match(large.code, /EPIPE|ECONNRESET/); // refused before all of it was sent
  const bomb = await http(node, { method: 'POST', path: '/graphql', headers: { ...headers(), 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(200 << 20)) });
  assert.deepEqual([bomb.status, codes(bomb.json)], [413, ['PAYLOAD_TOO_LARGE']]);
});

// ── JSON ──

const deep = n => '['.repeat(n) + ']'.repeat(n);
for (const [name, text] of [
  ['nested 10,000 deep', deep(10_000)], ['nested 1,000,000 deep', deep(1_000_000)], ['opened 100,000 times', '{"a":'.repeat(100_000)],
  ['with a comma too many', '{"query":"{ a }",}'], ['twice', '{}{}'], ['cut', '{"query":"{ a'], ['with a bare word', '{"query":undefined}'],
  ['with a control character', '{"query":"\n"}'], ['with half a surrogate', '{"query":"\\ud800"}'], ['in UTF-16', Buffer.from('{"query":"{ a }"}', 'utf16le')],
  ['no UTF-8', Buffer.from([0x7b, 0x22, 0x71, 0x75, 0x65, 0x72, 0x79, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d])], ['empty', ''], ['a number', '7'], ['a list', '[]'],
  ['a number of 400 digits', `{"query":"{ serverInfo { version } }","variables":{"a":${'9'.repeat(400)}}}`],
])
  test(`JSON ${name} is a BAD_USER_INPUT by HTTP and a 4400 by WebSocket`, async () => {
    const refused = await modern(text);
    assert.equal(refused.status, 400, refused.text.slice(0, 300));
    assert.deepEqual(codes(refused.json), ['BAD_USER_INPUT'], refused.text.slice(0, 300));
    if (typeof text !== 'string') return; // a frame of it has its own test
    const ws = await socketOf(node, { init: bearer });
    ws.send(text);
    assert.equal((await ws.closed).code, 4400);
  });

test('variables nested 10,000 deep are refused', async () => {
  const body = `{"query":"query($a: JSON) { serverInfo { version } }","variables":{"a":${deep(10_000)}}}`;
  assert.deepEqual(codes((await modern(body)).json), ['BAD_USER_INPUT']);
});

test('numbers of 37 bytes are an error where a number is wanted and never a crash', async () => {
  const digits = '1234567890123456789012345678901234567';
  for (const number of [digits, `-${digits.slice(1)}`, `0.${digits.slice(2)}`, `1e${digits.slice(2)}`, '1e308', '-1e-400', `${digits.slice(0, 18)}.${digits.slice(0, 18)}`]) {
    for (const [document, variables] of [
      ['query($n: Int) { changes(first: $n) { hasMore } }', `{"n":${number}}`],
      [documents.batch, `{"batch":{"idempotencyKey":"${unique()}","deviceId":"p","clientTimestamp":"${now()}","metricsData":[{"metricType":"m","timestamp":"${now()}","value":${number}}]}}`],
      [documents.operations, `{"key":"${unique()}","device":"p","operations":[{"domain":"TASK","operation":"SYNC","entityId":"${unique()}","modifiedAt":"${now()}","data":{"n":${number}}}]}`],
    ]) {
      const answer = await modern(`{"query":${JSON.stringify(document)},"variables":${variables}}`);
      const fault = codes(answer.json);
      assert.ok((fault.length === 0 && answer.status === 200) || fault[0] === 'BAD_USER_INPUT', `${number}: ${answer.text.slice(0, 300)}`);
    }
    const literal = await modern(JSON.stringify({ query: `{ changes(first: ${number}) { hasMore } }` }));
    assert.equal(literal.status, 400, `${number}: ${literal.text.slice(0, 200)}`);
  }
});

test('a name twice in an object does not confuse', async () => {
  const answer = await modern(`{"query":"{ serverInfo { version } }","query":"{ nothing }"}`);
  assert.equal(answer.status, 200);
  assert.ok(answer.json.data.serverInfo.version);
});

// ── GraphQL ──

const fragments = n => `{ ...f0 } ${Array.from({ length: n }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`).join(' ')} fragment f${n} on Query { serverInfo { version } }`;
for (const [name, query, code] of [
  ['31 aliases', `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: serverInfo { version }`).join(' ')} }`, 'QUERY_TOO_COMPLEX'],
  ['2,000 aliases', `{ ${Array.from({ length: 2000 }, (_, i) => `a${i}: serverInfo { version }`).join(' ')} }`, 'QUERY_TOO_COMPLEX'],
  ['aliases far down', `{ changes { entities { ${Array.from({ length: 40 }, (_, i) => `a${i}: data`).join(' ')} } } }`, 'QUERY_TOO_COMPLEX'],
  ['fragments that double 30 times', fragments(30), 'QUERY_TOO_COMPLEX'],
  ['fragments that double 200 times', fragments(200), 'QUERY_TOO_COMPLEX'],
  ['a query 40 deep', `{ __schema { types { ${'fields { type { '.repeat(20)} name ${'} } '.repeat(20)} } } }`, 'QUERY_TOO_COMPLEX'],
  ['a fragment that spreads itself', '{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }', 'BAD_USER_INPUT'],
  ['10,000 braces', '{'.repeat(10_000), 'BAD_USER_INPUT'],
  ['a list literal 10,000 deep', `{ entity(domain: TASK, entityId: ${'['.repeat(10_000)}${']'.repeat(10_000)}) { version } }`, 'QUERY_TOO_COMPLEX'],
  ['a list type 5,000 deep', `query($a: ${'['.repeat(5000)}Int${']'.repeat(5000)}) { serverInfo { version } }`, 'QUERY_TOO_COMPLEX'],
  ['1,000 directives', `{ serverInfo ${'@include(if: true) '.repeat(1000)} { version } }`, 'QUERY_TOO_COMPLEX'],
  ['1,000 variables that nobody uses', `query(${Array.from({ length: 1000 }, (_, i) => `$v${i}: Int`).join(' ')}) { serverInfo { version } }`, 'QUERY_TOO_COMPLEX'],
  ['a document over 64 KiB', `{ serverInfo { version } } # ${'x'.repeat(70 << 10)}`, 'QUERY_TOO_COMPLEX'],
  ['70 KiB of one name', `{ ${'a'.repeat(70 << 10)} }`, 'QUERY_TOO_COMPLEX'],
  ['fields that contradict each other', `{ ${'serverInfo { version } '.repeat(20)} serverInfo: devices { deviceId } }`, 'BAD_USER_INPUT|QUERY_TOO_COMPLEX'],
  ['2,000 fields of one name', `{ serverInfo { ${'version '.repeat(2000)} } }`, 'QUERY_TOO_COMPLEX'],
  ['an empty document', ' ', 'BAD_USER_INPUT'],
  ['an unfinished string', '{ device(deviceId: "x) { deviceId } }', 'BAD_USER_INPUT'],
  ['a NUL', '{ serverInfo \u0000 { version } }', 'BAD_USER_INPUT'],
  ['a subscription', 'subscription { a }', 'BAD_USER_INPUT'],
])
  test(`a hostile document is refused before it runs: ${name}`, async () => {
    const began = performance.now();
    const refused = await modern(JSON.stringify({ query }));
    const took = performance.now() - began;
    assert.match(String(codes(refused.json)[0]), new RegExp(`^(${code})$`), refused.text.slice(0, 300));
    assert.equal(refused.status, 400);
    assert.equal(refused.json.data, undefined);
    assert.ok(refused.text.length < 100_000, `an answer of ${refused.text.length} bytes`);
    assert.ok(took < 3000, `${took} ms`);
  });

test('what a person wrote wrong says where', async () => {
  const refused = await modern(JSON.stringify({ query: '{\n  serverInfo {\n    verzion\n  }\n}' }));
  assert.match(refused.json.errors[0].message, /Cannot query field "verzion" on type "ServerInfoType". Did you mean "version"\?/);
  assert.deepEqual(refused.json.errors[0].locations, [{ line: 3, column: 5 }]);
});

// ── tokens ──

test('a token that does not hold is refused by HTTP with 401 and by WebSocket with 4403', async () => {
  const secret = secretOf(node.data), seconds = Math.floor(Date.now() / 1000);
  const header = { alg: 'HS256', typ: 'JWT' }, claims = { sub: 'ann', tenant: 'acme', iat: seconds, exp: seconds + 3600 };
  const signed = forge(secret, header, claims);
  assert.equal((await post(node, signed, { query: info })).status, 200, 'the forge can forge');
  const [head, body, signature] = signed.split('.');
  const bad = {
    'no exp': forge(secret, header, { ...claims, exp: undefined }),
    'exp in the past': forge(secret, header, { ...claims, exp: seconds - 3600 }),
    'exp as text': forge(secret, header, { ...claims, exp: `${seconds + 3600}` }),
    'exp as null': forge(secret, header, { ...claims, exp: null }),
    'exp beyond all numbers': forge(secret, header, `{"sub":"ann","tenant":"acme","exp":${'9'.repeat(40)}}`),
    'not yet valid': forge(secret, header, { ...claims, nbf: seconds + 3000 }),
    'a numeric alg': forge(secret, { alg: 256 }, claims),
    'alg none': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
    'alg none, signed': forge(secret, { alg: 'none' }, claims),
    'alg nOnE': `${Buffer.from('{"alg":"nOnE"}').toString('base64url')}.${body}.`,
    'another alg': forge(secret, { alg: 'HS512' }, claims),
    'RS256 by the secret': forge(secret, { alg: 'RS256' }, claims),
    'a key id of nobody': forge(secret, { ...header, kid: 'no-such' }, claims),
    'a numeric typ': forge(secret, { alg: 'HS256', typ: 5, alg2: 1 }, [claims]),
    'a list of claims': forge(secret, header, [claims]),
    'no tenant': forge(secret, header, { ...claims, tenant: undefined }),
    'an empty tenant': forge(secret, header, { ...claims, tenant: '' }),
    'a numeric tenant': forge(secret, header, { ...claims, tenant: 7 }),
    'no user': forge(secret, header, { ...claims, sub: undefined }),
    'another secret': forge('x'.repeat(32), header, claims),
    'another tenant put in': `${head}.${Buffer.from(JSON.stringify({ ...claims, tenant: 'other' })).toString('base64url')}.${signature}`,
    'no signature': `${head}.${body}.`,
    'half a signature': signed.slice(0, -20),
    'a fourth part': `${signed}.x`,
    'two parts': `${head}.${body}`,
    'padding': `${signed}=`,
    'no base64': `${head}.${body}.!!!!`,
    'claims that are no JSON': forge(secret, header, 'hello'),
    'claims nested 10,000 deep': forge(secret, header, `{"a":${'['.repeat(1500)}`),
    'over 4 KiB': forge(secret, header, { ...claims, x: 'x'.repeat(5000) }),
    'nothing': 'Bearer',
  };
  for (const [name, token] of Object.entries(bad)) {
    const refused = await http(node, { method: 'POST', path: '/graphql', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify({ query: info }) });
    assert.deepEqual([name, refused.status, codes(refused.json)], [name, 401, ['UNAUTHENTICATED']]);
    const ws = await socketOf(node);
    ws.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    assert.deepEqual([name, (await ws.closed).code], [name, 4403]);
  }
  assert.ok(!node.log.includes(body), 'no token in the log');
});

test('the tenant is the token\'s, whatever the request says', async () => {
  const id = unique('e');
  const ann = await connect(node, bearer);
  await phone(ann, 'p').edit(edit(id, { secret: 1 }));
  const other = node.token({ tenant: 'other' });
  const asked = await http(node, { method: 'POST', path: '/graphql', headers: { ...headers(), authorization: `Bearer ${other}`, 'x-tenant': 'acme' },
    body: JSON.stringify({ query: documents.entity, variables: { domain: 'TASK', id }, extensions: { tenant: 'acme' } }) });
  assert.deepEqual(asked.json, { data: { entity: null } });
  ann.close();
});

// ── the slow ──

test('slow-loris: headers that never end are cut off, and cost the others nothing', async () => {
  const wires = await Promise.all(Array.from({ length: 200 }, () => dial(node)));
  for (const wire of wires) wire.send('GET /graphql HTTP/1.1\r\nHost: x\r\n');
  const drip = setInterval(() => wires.forEach(wire => wire.socket.destroyed || wire.send('A: b\r\n')), 100);
  const lived = await Promise.all(wires.map(wire => wire.closed));
  clearInterval(drip);
  assert.ok(Math.max(...lived) < 6000, `${Math.max(...lived)} ms`);
});

test('who connects and says nothing is cut off', async () => {
  const wires = await Promise.all(Array.from({ length: 50 }, () => dial(node)));
  assert.ok(Math.max(...await Promise.all(wires.map(wire => wire.closed))) < 6000);
});

test('a body and a message that drip are cut off', async () => {
  const body = await dial(node), message = await dialWebSocket(node, { bearer });
  body.send(`POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${bearer}\r\nContent-Length: 10000\r\n\r\n`);
  message.send(frame('{', { length: 10_000 }));
  const drip = setInterval(() => [body, message].forEach(wire => wire.socket.destroyed || wire.send('x')), 100);
  const [first, second] = await Promise.all([body.closed, message.closed]);
  clearInterval(drip);
  assert.ok(first < 6000 && second < 8000, `${first} ${second}`);
  assert.match(body.text, /^HTTP\/1\.1 408/);
  assert.equal(closeCodeOf(message.bytes), 1013);
});

test('a message in a thousand empty pieces is cut off too', async () => {
  const wire = await dialWebSocket(node, { bearer });
  wire.send(frame('{', { head: 0x01 }));
  const drip = setInterval(() => wire.socket.destroyed || wire.send(frame('', { head: 0x00 })), 5);
  const lived = await wire.closed;
  clearInterval(drip);
  assert.ok(lived < 8000, `${lived}`);
});

const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]) / 1024;

test('who asks and never reads is closed, with a bound on what waits for them', async () => {
  const ann = await connect(node, bearer);
  const filler = 'x'.repeat(200 << 10);
  for (let i = 0; i < 10; ++i) await phone(ann, 'p').edit(edit(unique('large'), { filler }, { domain: 'TICKET' }));
  const before = resident();
  const wires = await Promise.all(Array.from({ length: 10 }, () => dialWebSocket(node, { bearer })));
  for (const wire of wires) {
    wire.socket.pause();
    for (let i = 0; i < 200; ++i)
      wire.send(frame(JSON.stringify({ id: `${i}`, type: 'subscribe', payload: { query: documents.changes, variables: { domains: ['TICKET'], first: 100 } } })));
  }
  let peak = before;
  const watching = setInterval(() => { peak = Math.max(peak, resident()); }, 50);
  // A socket that nobody reads does not tell its end: the node's own count does.
  const open = async () => Number(/^mooring_connections\{kind="websocket"\} (\d+)/m.exec((await http(node, { path: '/metrics' })).text)?.[1]);
  const idle = 2; // the bystander and ann
  await until(async () => (await open()) <= idle, 'the never-readers to be closed', 20_000);
  clearInterval(watching);
  // 2,000 answers were asked for, each ending early at about 1 MiB. What may exist at once is what is in flight: at most 64 answers of a connection, most of
  // them dropped the moment its queue is full.
  assert.ok(peak - before < 400, `grew by ${Math.round(peak - before)} MiB`);
  for (const wire of wires) wire.close();
  ann.close();
});

test('a flood of connections that come and go leaves nothing behind', async () => {
  for (let round = 0; round < 10; ++round) {
    const wires = await Promise.all(Array.from({ length: 50 }, () => dial(node)));
    wires.forEach((wire, i) => {
      if (i % 3 === 0) wire.send('GET /gra');
      if (i % 3 === 1) wire.send(`GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`);
      wire.close();
    });
  }
  const page = async () => (await http(node, { path: '/healthz' })).text;
  assert.equal(await page(), 'ok\n');
});
