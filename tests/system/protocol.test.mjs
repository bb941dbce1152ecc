// The protocols a node speaks: graphql-transport-ws with its close codes, HTTP with its headers, TLS, the operator's pages.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { gunzipSync, gzipSync } from 'node:zlib';
import { codes, connect, documents, edit, freshFolder, killAll, phone, post, sleep, startNode, unique, until, voiceItem } from './harness.mjs';
import { dial, http, socketOf } from './wire.mjs';

let node, bearer;
before(async () => {
  node = await startNode({ set: {
    'network.init_timeout_ms': '700ms', 'network.ping_interval_ms': '1s', 'auth.clock_skew_ms': '0s',
    'network.message_bytes_max': '256KiB', 'sync.payload_bytes_max': '200KiB', 'network.allowed_origins': 'https://app.example.org',
  } });
  bearer = node.token();
});
after(async () => {
  const how = await node.stop();
  assert.deepEqual([how.code, how.signal], [0, null], node.log);
});
after(killAll); // those of tests that failed

const subscribe = (id, query, variables) => ({ id, type: 'subscribe', payload: { query, variables } });
const info = '{ serverInfo { version } }';

// ── close codes ──

for (const [name, message] of [
  ['no JSON', 'hello'], ['half JSON', '{"type":"ping"'], ['no object', '[1]'], ['no type', '{}'], ['a type that is none', '{"type":"shout"}'],
  ['a type that is a number', '{"type":1}'], ['a message of the server\'s', '{"type":"connection_ack"}'],
  ['subscribe without an id', '{"type":"subscribe","payload":{"query":"{ serverInfo { version } }"}}'],
  ['subscribe without a payload', '{"id":"1","type":"subscribe"}'], ['subscribe without a query', '{"id":"1","type":"subscribe","payload":{}}'],
  ['variables that are a list', '{"id":"1","type":"subscribe","payload":{"query":"{ a }","variables":[]}}'],
  ['complete without an id', '{"type":"complete"}'], ['a ping\'s payload that is text', '{"type":"ping","payload":"x"}']])
  test(`4400: ${name}`, async () => {
    const ws = await socketOf(node, { init: bearer });
    ws.send(message);
    assert.equal((await ws.closed).code, 4400);
  });

test('4401: an operation before the connection is acknowledged, and an init without a token', async () => {
  const early = await socketOf(node);
  early.send(subscribe('1', info));
  assert.equal((await early.closed).code, 4401);
  const anonymous = await socketOf(node);
  anonymous.send({ type: 'connection_init' });
  assert.equal((await anonymous.closed).code, 4401);
});

test('4403: a token that does not verify', async () => {
  for (const authorization of ['Bearer x.y.z', `Bearer ${bearer.slice(0, -4)}AAAA`, 'x'.repeat(5000)]) {
    const ws = await socketOf(node);
    ws.send({ type: 'connection_init', payload: { authorization } });
    assert.equal((await ws.closed).code, 4403);
  }
});

test('4406: another subprotocol, or none', async () => {
  for (const protocol of ['graphql-ws', []]) {
    const ws = await socketOf(node, { protocol }).catch(problem => problem);
    if (ws instanceof Error) assert.match(ws.message, /subprotocol/i); // the client noticed first
    else assert.equal((await ws.closed).code, 4406);
  }
});

test('4408: no init in time', async () => {
  const began = performance.now();
  const ws = await socketOf(node);
  assert.equal((await ws.closed).code, 4408);
  assert.ok(performance.now() - began > 500);
});

test('4409: the id of an operation that still runs', async () => {
  const ws = await socketOf(node, { init: bearer });
  const upload = () => subscribe('same', documents.voice, { data: [voiceItem(unique())], key: unique(), device: 'p' });
  for (let i = 0; i < 3; ++i) ws.send(upload()); // one of them meets one that waits for its commit
  const how = await ws.closed;
  assert.deepEqual([how.code, how.reason], [4409, 'Subscriber for same already exists']);
});

test('an id is free again when its operation is complete', async () => {
  const ws = await socketOf(node, { init: bearer });
  for (let i = 0; i < 3; ++i) {
    ws.send(subscribe('same', info));
    assert.deepEqual((({ id, type }) => ({ id, type }))(await ws.next()), { id: 'same', type: 'next' });
    assert.deepEqual(await ws.next(), { id: 'same', type: 'complete' });
  }
  ws.socket.close(1000);
  assert.equal((await ws.closed).code, 1000);
});

test('4429: a second init', async () => {
  const ws = await socketOf(node, { init: bearer });
  ws.send({ type: 'connection_init', payload: { authorization: bearer } });
  assert.equal((await ws.closed).code, 4429);
});

test('1003: a binary message; 1009: one over the limit', async () => {
  const binary = await socketOf(node, { init: bearer });
  binary.socket.send(Buffer.from('{"type":"ping"}'), { binary: true });
  assert.equal((await binary.closed).code, 1003);
  const large = await socketOf(node, { init: bearer });
  large.send(subscribe('1', info, { x: 'x'.repeat(300 << 10) }));
  assert.equal((await large.closed).code, 1009);
  const unknown = await socketOf(node);
  unknown.send({ type: 'connection_init', payload: { authorization: bearer, x: 'x'.repeat(20 << 10) } });
  assert.equal((await unknown.closed).code, 1009, 'before the acknowledgement the limit is small');
});

// ── pings and tokens ──

test('a ping is answered with its payload, before and after the acknowledgement', async () => {
  const ws = await socketOf(node);
  ws.send({ type: 'ping' });
  assert.deepEqual(await ws.next(), { type: 'pong' });
  ws.send({ type: 'connection_init', payload: { authorization: `Bearer ${bearer}` } });
  assert.deepEqual(await ws.next(), { type: 'connection_ack' });
  ws.send({ type: 'ping', payload: { any: ['thing', 1.5, null] } });
  assert.deepEqual(await ws.next(), { type: 'pong', payload: { any: ['thing', 1.5, null] } });
  ws.send({ type: 'pong', payload: {} });
  ws.socket.ping('beat');
  assert.equal(String(await new Promise(resolve => ws.socket.once('pong', resolve))), 'beat');
  ws.socket.terminate();
});

test('a silent connection is pinged, and dropped when nobody answers', async () => {
  const alive = await socketOf(node, { init: bearer });
  let pings = 0;
  alive.socket.on('ping', () => { pings += 1; });
  const dead = await socketOf(node, { init: bearer, autoPong: false });
  const how = await dead.closed;
  assert.equal(how.code, 1006);
  await sleep(500);
  assert.ok(pings >= 1, 'the library answered its pings');
  assert.equal(alive.socket.readyState, 1);
  alive.socket.terminate();
});

test('the header of the upgrade may carry the token', async () => {
  const ws = await socketOf(node, { headers: { authorization: `Bearer ${bearer}` } });
  ws.send({ type: 'connection_init' });
  assert.deepEqual(await ws.next(), { type: 'connection_ack' });
  ws.send(subscribe('1', info));
  assert.equal((await ws.next()).type, 'next');
  ws.socket.terminate();
  const refused = await socketOf(node, { headers: { authorization: 'Bearer nonsense' } }).catch(problem => problem);
  assert.equal(refused.status, 401);
});

test('4403 when the token expires, unless a ping renewed it', async () => {
  const short = () => node.token({ ttl: '2s' });
  const [left, renewed] = await Promise.all([socketOf(node, { init: short() }), socketOf(node, { init: short() })]);
  renewed.send({ type: 'ping', payload: { authorization: `Bearer ${bearer}` } });
  assert.deepEqual(await renewed.next(), { type: 'pong' }, 'a token is not echoed');
  const how = await left.closed;
  assert.deepEqual([how.code, how.reason], [4403, 'token expired']);
  await sleep(600);
  renewed.send(subscribe('1', info));
  assert.equal((await renewed.next()).type, 'next');
  renewed.socket.terminate();
  assert.equal((await post(node, node.token({ ttl: '5s' }), { query: info })).status, 200);
  const old = node.token({ ttl: '1s' });
  await sleep(2100);
  assert.equal((await post(node, old, { query: info })).status, 401);
});

test('a renewal by another user\'s, another tenant\'s or another device\'s token closes with 4403', async () => {
  for (const claims of [{ user: 'bob' }, { tenant: 'other' }, { device: 'd1' }]) {
    const ws = await socketOf(node, { init: bearer });
    ws.send({ type: 'ping', payload: { authorization: node.token(claims) } });
    assert.equal((await ws.closed).code, 4403);
  }
});

test('a document that does not validate is answered with an error message, and the connection stays', async () => {
  const ws = await socketOf(node, { init: bearer });
  ws.send(subscribe('1', '{ nothing }'));
  const refused = await ws.next();
  assert.deepEqual([refused.type, refused.id], ['error', '1']);
  assert.match(refused.payload[0].message, /Cannot query field "nothing" on type "Query"/);
  ws.send(subscribe('1', info));
  assert.equal((await ws.next()).type, 'next');
  ws.send({ id: 'unknown', type: 'complete' });
  ws.send({ type: 'ping' });
  assert.equal((await ws.next()).type, 'complete');
  assert.equal((await ws.next()).type, 'pong');
  ws.socket.terminate();
});

test('many operations of one connection run side by side and each gets its own answer', async () => {
  const client = await connect(node, bearer);
  const ids = Array.from({ length: 300 }, () => unique('v'));
  const answers = await Promise.all(ids.map(id => phone(client, 'p').voice([voiceItem(id)])));
  assert.deepEqual(answers.map(one => one.items[0].itemId), ids);
  client.close();
});

// ── HTTP ──

const json = { 'content-type': 'application/json' };

test('HTTP: a token is needed, a mutation needs POST, a body its type', async () => {
  const anonymous = await http(node, { method: 'POST', path: '/graphql', headers: json, body: JSON.stringify({ query: info }) });
  assert.equal(anonymous.status, 401);
  assert.match(anonymous.headers['www-authenticate'], /^Bearer/);
  assert.deepEqual(codes(anonymous.json), ['UNAUTHENTICATED']);
  const authorization = `Bearer ${bearer}`;
  const ask = (method, path, headers, body) => http(node, { method, path, headers: { authorization, ...headers }, body });
  assert.equal((await ask('GET', `/graphql?query=${encodeURIComponent(info)}`)).json.data.serverInfo.version.length > 0, true);
  const written = await ask('GET', `/graphql?query=${encodeURIComponent('mutation { deactivateDevice(deviceId: "x") }')}`);
  assert.equal(written.status, 405);
  assert.match(written.headers.allow, /POST/);
  assert.equal((await ask('POST', '/graphql', { 'content-type': 'text/plain' }, JSON.stringify({ query: info }))).status, 415);
  assert.equal((await ask('POST', '/graphql', { ...json, accept: 'text/html' }, JSON.stringify({ query: info }))).status, 406);
  assert.equal((await ask('DELETE', '/graphql')).status, 405);
  assert.equal((await ask('POST', '/graphql', json, '[{"query":"{ a }"}]')).status, 400, 'no array batching');
  assert.equal((await ask('GET', '/elsewhere')).status, 404);
  assert.equal((await ask('GET', '/graphql', { 'sec-fetch-site': 'cross-site' })).status, 403);
});

test('HTTP: the two media types differ in the status of a refused document', async () => {
  const body = JSON.stringify({ query: '{ nothing }' });
  const headers = { ...json, authorization: `Bearer ${bearer}` };
  const modern = await http(node, { method: 'POST', path: '/graphql', headers: { ...headers, accept: 'application/graphql-response+json' }, body });
  assert.deepEqual([modern.status, modern.headers['content-type']], [400, 'application/graphql-response+json; charset=utf-8']);
  const legacy = await http(node, { method: 'POST', path: '/graphql', headers: { ...headers, accept: 'application/json' }, body });
  assert.deepEqual([legacy.status, legacy.headers['content-type']], [200, 'application/json; charset=utf-8']);
});

test('HTTP: bodies may come as gzip, and leave as gzip when they are long', async () => {
  const body = gzipSync(JSON.stringify({ query: '{ __schema { types { name description fields { name description } } } }' }));
  const headers = { ...json, authorization: `Bearer ${bearer}`, 'content-encoding': 'gzip', 'accept-encoding': 'gzip' };
  const packed = await http(node, { method: 'POST', path: '/graphql', headers, body });
  assert.deepEqual([packed.status, packed.headers['content-encoding']], [200, 'gzip'], packed.text.slice(0, 300));
  assert.ok(JSON.parse(gunzipSync(packed.bytes)).data.__schema.types.length > 30);
  const plain = await http(node, { method: 'POST', path: '/graphql', headers: { ...headers, 'accept-encoding': 'gzip;q=0' }, body });
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.deepEqual(JSON.parse(gunzipSync(packed.bytes)), plain.json);
  const broken = await http(node, { method: 'POST', path: '/graphql', headers, body: body.subarray(0, -9) });
  assert.deepEqual([broken.status, codes(broken.json)], [400, ['BAD_USER_INPUT']]);
  const bomb = await http(node, { method: 'POST', path: '/graphql', headers, body: gzipSync(Buffer.alloc(50 << 20, ' ')) });
  assert.deepEqual([bomb.status, codes(bomb.json)], [413, ['PAYLOAD_TOO_LARGE']]);
  assert.equal((await http(node, { method: 'POST', path: '/graphql', headers: { ...headers, 'content-encoding': 'br' }, body })).status, 415);
});

test('HTTP: a connection serves one request after the other, also when they come at once', async () => {
  const wire = await dial(node);
  const body = JSON.stringify({ query: info });
  const one = `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${bearer}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  wire.send(one.repeat(5));
  await until(() => wire.text.split('"serverInfo"').length === 6, 'five answers');
  assert.equal(wire.text.match(/HTTP\/1\.1 200 OK/g).length, 5);
  wire.close();
});

test('Origin: allowed pages get their headers, others are refused, by HTTP and by WebSocket', async () => {
  const origin = 'https://app.example.org', body = JSON.stringify({ query: info });
  const preflight = await http(node, { method: 'OPTIONS', path: '/graphql', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-origin'], origin);
  assert.match(preflight.headers['access-control-allow-headers'], /authorization/);
  assert.match(preflight.headers['access-control-allow-methods'], /POST/);
  const headers = { ...json, authorization: `Bearer ${bearer}` };
  const allowed = await http(node, { method: 'POST', path: '/graphql', headers: { ...headers, origin }, body });
  assert.deepEqual([allowed.status, allowed.headers['access-control-allow-origin']], [200, origin]);
  assert.match(allowed.headers.vary, /Origin/);
  for (const foreign of ['https://evil.example.org', 'null', 'http://app.example.org']) {
    const refused = await http(node, { method: 'POST', path: '/graphql', headers: { ...headers, origin: foreign }, body });
    assert.deepEqual([refused.status, refused.headers['access-control-allow-origin']], [403, undefined]);
    assert.equal((await socketOf(node, { init: bearer, origin: foreign }).catch(problem => problem)).status, 403);
  }
  (await socketOf(node, { init: bearer, origin })).socket.terminate();
});

test('over the rate limit: RATE_LIMITED with a time to wait, which then helps', async () => {
  const limited = await startNode({ set: { 'limits.enabled': true, 'limits.user_burst': 12, 'limits.user_per_second': 5 } });
  const ann = limited.token(), bob = limited.token({ user: 'bob' });
  const client = await connect(limited, ann);
  const upload = () => client.run(documents.batch, { batch: { idempotencyKey: unique(), deviceId: 'p', clientTimestamp: new Date().toISOString(), voiceData: [voiceItem(unique())] } });
  const answers = [await upload(), await upload(), await upload()]; // 5.0 each
  assert.deepEqual(answers.map(one => codes(one)), [[], [], ['RATE_LIMITED']]);
  const { retryAfterMs, retryable } = answers[2].errors[0].extensions;
  assert.ok(retryAfterMs > 100 && retryAfterMs <= 1000, `${retryAfterMs}`);
  assert.equal(retryable, true);
  const refused = await post(limited, ann, { query: '{ a: devices { deviceId } b: devices { deviceId } c: devices { deviceId } d: devices { deviceId } }' }, { accept: 'application/graphql-response+json' });
  assert.equal(refused.status, 429, refused.text);
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  assert.equal((await post(limited, bob, { query: info })).status, 200, 'another user has a budget of their own');
  await sleep(retryAfterMs + 400);
  assert.deepEqual(codes(await upload()), []);
  client.close();
  await limited.stop();
});

// ── the operator's pages ──

test('/healthz and /readyz answer without a token', async () => {
  for (const [path, text] of [['/healthz', 'ok\n'], ['/readyz', 'ready\n']]) {
    const page = await http(node, { path });
    assert.deepEqual([page.status, page.text], [200, text]);
    assert.equal((await http(node, { method: 'HEAD', path })).bytes.length, 0);
    assert.equal((await http(node, { method: 'POST', path })).status, 405);
  }
});

// The text format 0.0.4, strictly: every family once, its TYPE before its samples, every series once, numbers that are
// numbers, histograms that add up.
function parseMetrics(text) {
  assert.ok(text.endsWith('\n'));
  const types = new Map(), series = new Map();
  let family = null;
  for (const line of text.split('\n').slice(0, -1)) {
    const head = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (head) {
      if (head[1] === 'TYPE') {
        assert.ok(!types.has(head[2]), `${head[2]} has one TYPE`);
        assert.ok(['counter', 'gauge', 'histogram', 'summary', 'untyped'].includes(head[3]), line);
        types.set(head[2], head[3]);
        family = head[2];
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/.exec(line);
    assert.ok(sample, `a sample: ${line}`);
    const [, name, labels = '', value] = sample;
    assert.ok(name === family || (types.get(family) === 'histogram' && [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name)), `${line} stands under its TYPE`);
    const number = value === '+Inf' ? Infinity : Number(value);
    assert.ok(!Number.isNaN(number), line);
    assert.ok(!series.has(`${name}{${labels}}`), `${name}{${labels}} comes once`);
    series.set(`${name}{${labels}}`, number);
    if (types.get(family) === 'counter') assert.ok(number >= 0, line);
  }
  for (const [name, type] of types) {
    if (type !== 'histogram') continue;
    const groups = new Map();
    for (const [key, value] of series) {
      const bucket = new RegExp(`^${name}_bucket\\{(.*?),?le="([^"]+)"\\}$`).exec(key);
      if (!bucket) continue;
      const list = groups.get(bucket[1]) ?? groups.set(bucket[1], []).get(bucket[1]);
      list.push([bucket[2] === '+Inf' ? Infinity : Number(bucket[2]), value]);
    }
    assert.ok(groups.size > 0, `${name} has buckets`);
    for (const [labels, list] of groups) {
      for (let i = 1; i < list.length; ++i) assert.ok(list[i][0] > list[i - 1][0] && list[i][1] >= list[i - 1][1], `${name}{${labels}} adds up`);
      assert.equal(list.at(-1)[0], Infinity);
      assert.equal(list.at(-1)[1], series.get(`${name}_count{${labels}}`), `${name}{${labels}}: +Inf is the count`);
    }
  }
  return { types, series };
}

test('/metrics is what Prometheus reads, and moves with what happens', async () => {
  const page = await http(node, { path: '/metrics' });
  assert.match(page.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const first = parseMetrics(page.text);
  assert.ok(first.types.size >= 15, [...first.types.keys()].join(' '));
  assert.ok([...first.types.keys()].every(name => name.startsWith('mooring_') || name.startsWith('process_')));
  const client = await connect(node, bearer);
  const key = unique(), data = [voiceItem(unique())];
  for (let i = 0; i < 3; ++i) await phone(client, 'p').voice(data, key);
  const second = parseMetrics((await http(node, { path: '/metrics' })).text);
  const grown = [...second.series].filter(([name, value]) => value > (first.series.get(name) ?? 0)).map(([name]) => name);
  assert.ok(grown.some(name => /syncVoiceData/.test(name)), grown.join(' '));
  assert.ok(grown.some(name => /replay/.test(name)), grown.join(' '));
  assert.ok(grown.some(name => /commit/.test(name)), grown.join(' '));
  for (const [name, value] of first.series)
    if (/_(total|count|bucket)(\{|$)/.test(name)) assert.ok(second.series.get(name) >= value, `${name} never falls`);
  assert.ok(!page.text.includes(bearer.slice(0, 20)));
  client.close();
});

test('/metrics says how each request ended', async () => {
  const client = await connect(node, bearer);
  await phone(client, 'p').voice([voiceItem(unique())]);
  const series = async () => parseMetrics((await http(node, { path: '/metrics' })).text).series;
  const moved = async (what, ...names) => {
    const before = await series();
    await what();
    const after = await series();
    for (const name of names) assert.equal(after.get(name) - (before.get(name) ?? 0), 1, name);
    for (const [name, value] of after)
      if (/^mooring_(fields|errors)_total/.test(name) && !names.includes(name)) assert.equal(value, before.get(name) ?? 0, name);
  };
  const field = (name, outcome) => `mooring_fields_total{field="${name}",outcome="${outcome}"}`;
  const error = code => `mooring_errors_total{code="${code}"}`;
  await moved(() => client.run('{ serverInfo { version } }'), field('Query.serverInfo', 'success'));
  await moved(() => client.run('{ changes(first: 0) { cursor } }'), field('Query.changes', 'error'), error('BAD_USER_INPUT'));
  await moved(() => client.run('query($n: Int) { changes(first: $n) { cursor } }', { n: 'x' }).catch(() => {}), error('BAD_USER_INPUT'));
  await moved(() => client.run('{ nothing }').catch(() => {}), error('BAD_USER_INPUT'));
  await moved(() => client.run(`{ ${Array.from({ length: 40 }, (_, i) => `a${i}: serverInfo { version }`).join(' ')} }`).catch(() => {}), error('QUERY_TOO_COMPLEX'));
  const ws = await socketOf(node, { init: bearer });
  await moved(async () => {
    ws.send(subscribe('1', 'subscription { away: syncEvents(deviceId: "nobody") { __typename } }'));
    const refused = await ws.next();
    assert.equal(refused.type, 'error');
    assert.equal(refused.payload[0].extensions.code, 'NOT_FOUND');
    assert.deepEqual(refused.payload[0].path, ['away']);
    assert.deepEqual(refused.payload[0].locations, [{ line: 1, column: 16 }]);
  }, field('Subscription.syncEvents', 'error'), error('NOT_FOUND'));
  await moved(async () => {
    ws.send(subscribe('2', 'subscription { syncEvents(deviceId: "p") { __typename } }'));
    assert.equal((await ws.next()).type, 'next');
  }, field('Subscription.syncEvents', 'success'));
  ws.socket.close();
  client.close();
});

test('a request id names one request, also in the next life of the node', async () => {
  const own = await startNode();
  const idOf = async () => (await http(own, { method: 'POST', path: '/graphql', headers: { 'content-type': 'application/json' }, body: '{}' })).json.errors[0].extensions.requestId;
  const first = await idOf();
  await own.stop();
  await new Promise(done => setTimeout(done, 1100)); // ids count from the second of the start
  await own.start();
  assert.ok(BigInt(`0x${await idOf()}`) > BigInt(`0x${first}`));
  await own.stop();
});

test('/metrics can be switched off', async () => {
  const quiet = await startNode({ set: { 'network.metrics': false } });
  assert.equal((await http(quiet, { path: '/metrics' })).status, 404);
  await quiet.stop();
});

// ── TLS ──

function certificate(folder, name) {
  const [cert, key] = [`${name}.crt`, `${name}.key`].map(file => join(folder, file));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}

test('TLS: wss and https, a new certificate on SIGHUP, the old one when the new is none', async () => {
  const folder = freshFolder();
  const [first, second] = [certificate(folder, 'first'), certificate(folder, 'second')];
  const [cert, key] = ['tls.crt', 'tls.key'].map(name => join(folder, name));
  const use = pair => {
    copyFileSync(pair.cert, cert);
    copyFileSync(pair.key, key);
  };
  use(first);
  const ca = [readFileSync(first.cert), readFileSync(second.cert)];
  const secure = await startNode({ set: { 'network.tls_certificate': cert, 'network.tls_key': key } });
  assert.match(secure.ws, /^wss:/);
  const served = () => new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: '127.0.0.1', port: secure.port, ca }, () => {
      resolve({ name: socket.getPeerCertificate().subject.CN, version: socket.getProtocol() });
      socket.end();
    });
    socket.on('error', reject);
  });
  assert.deepEqual(await served(), { name: 'first', version: 'TLSv1.3' });

  const token = secure.token();
  const ws = await socketOf(secure, { init: token, ca });
  ws.send(subscribe('1', info));
  assert.equal((await ws.next()).payload.data.serverInfo.version.length > 0, true);
  const body = JSON.stringify({ query: info });
  const answered = await http(secure, { method: 'POST', path: '/graphql', headers: { ...json, authorization: `Bearer ${token}` }, body, ca });
  assert.equal(answered.status, 200);

  const plain = await dial(secure); // no TLS at all
  plain.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  await plain.closed;
  assert.doesNotMatch(plain.text, /ok\n/);
  await assert.rejects(new Promise((resolve, reject) => tlsConnect({ host: '127.0.0.1', port: secure.port, ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, resolve).on('error', reject)));

  use(second);
  secure.signal('SIGHUP');
  await secure.logged(/certificate read again/);
  assert.equal((await served()).name, 'second');
  await ws.next(); // complete
  ws.send({ type: 'ping' });
  assert.deepEqual(await ws.next(), { type: 'pong' }, 'who is connected stays');

  use({ cert: first.cert, key: second.key }); // a pair that does not fit
  secure.signal('SIGHUP');
  await secure.logged(/the certificate stays as it was/);
  assert.equal((await served()).name, 'second');
  const how = await secure.stop();
  assert.deepEqual([how.code, how.signal], [0, null]);
  assert.equal((await ws.closed).code, 1001);
});

test('an edit that came by HTTP and one that came by WebSocket meet in one store', async () => {
  const id = unique('e');
  const made = await post(node, bearer, { query: documents.operations, variables: { operations: [edit(id, { by: 'http' })], key: unique(), device: 'p' } });
  assert.equal(made.json.data.syncOperations.items[0].version, 1);
  const client = await connect(node, bearer);
  assert.deepEqual((await phone(client, 'p').entity('TASK', id)).data, { by: 'http' });
  client.close();
});
