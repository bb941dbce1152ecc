// The clients that apps are really built with: Apollo over HTTP (with automatic persisted queries) and over WebSocket, also
// for subscriptions, graphql-ws, and a plain socket.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { buildClientSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema, buildSchema } from 'graphql';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codes, connect, documents, edit, killAll, now, phone, post, source, startNode, unique, until, voiceItem } from './harness.mjs';
import { http, socketOf } from './wire.mjs';

let node, bearer;
before(async () => {
  node = await startNode();
  bearer = node.token();
});
after(async () => {
  const how = await node.stop();
  assert.deepEqual([how.code, how.signal], [0, null], node.log);
});
after(killAll); // those of tests that failed

const upload = gql`mutation Upload($data: [VoiceDataInput!]!, $key: String!, $device: String!) {
  syncVoiceData(data: $data, idempotencyKey: $key, deviceId: $device) { success replayed items { itemId duplicate } }
}`;
const task = gql`query Task($id: ID!) { entity(domain: TASK, entityId: $id) { entityId version data modifiedAt } }`;
const variables = () => ({ data: [voiceItem(unique())], key: unique(), device: 'apollo' });

const apollo = link => new ApolloClient({ link, cache: new InMemoryCache(), defaultOptions: { query: { fetchPolicy: 'network-only' } } });

// An Apollo client over HTTP that keeps what it sent.
function overHttp(...before) {
  const sent = [];
  const link = new HttpLink({
    uri: node.http,
    headers: { authorization: `Bearer ${bearer}` },
    fetch: async (url, init) => {
      sent.push({ url: String(url), method: init.method, body: init.body && JSON.parse(init.body) });
      return fetch(url, init);
    },
  });
  return { sent, client: apollo(ApolloLink.from([...before, link])) };
}

for (const [name, make] of [
  ['HTTP', () => ({ ...overHttp(), end: () => {} })],
  ['WebSocket', () => {
    const ws = createClient({ url: node.ws, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${bearer}` } });
    return { client: apollo(new GraphQLWsLink(ws)), end: () => ws.dispose() };
  }]])
  test(`Apollo over ${name}: mutations, retries, queries, typed errors`, async () => {
    const { client, end } = make();
    const what = variables();
    const first = (await client.mutate({ mutation: upload, variables: what })).data.syncVoiceData;
    assert.deepEqual([first.success, first.replayed, first.items[0].duplicate], [true, false, false]);
    assert.equal(first.__typename, 'SyncResponseType', 'Apollo asks for the names of types everywhere');
    assert.equal((await client.mutate({ mutation: upload, variables: what })).data.syncVoiceData.replayed, true);

    const id = unique('e');
    await post(node, bearer, { query: documents.operations, variables: { operations: [edit(id, { title: 'by hand' })], key: unique(), device: 'other' } });
    const { data } = await client.query({ query: task, variables: { id } });
    assert.deepEqual([data.entity.version, data.entity.data], [1, { title: 'by hand' }]);

    await assert.rejects(client.mutate({ mutation: upload, variables: { ...what, data: [voiceItem(unique())] } }), problem => {
      assert.ok(CombinedGraphQLErrors.is(problem), `${problem}`);
      assert.equal(problem.errors[0].extensions.code, 'IDEMPOTENCY_KEY_REUSED');
      assert.deepEqual(problem.errors[0].path, ['syncVoiceData']);
      return true;
    });
    await assert.rejects(client.query({ query: gql`{ nothing }` }));
    client.stop();
    end();
  });

const sha256 = text => createHash('sha256').update(text).digest('hex');

test('Apollo with persisted queries sends the text once, and then only its hash', async () => {
  const { client, sent } = overHttp(new PersistedQueryLink({ sha256 }));
  const id = unique('e'); // the document's text is new to the node as well
  const query = gql(`query Once_${id.replaceAll('-', '_')} { entity(domain: TASK, entityId: "${id}") { version } }`);
  for (let i = 0; i < 3; ++i) assert.equal((await client.query({ query })).data.entity, null);
  assert.deepEqual(sent.map(one => 'query' in one.body), [false, true, false, false], JSON.stringify(sent));
  client.stop();
});

test('Apollo with persisted queries may ask by GET', async () => {
  const { client, sent } = overHttp(new PersistedQueryLink({ sha256, useGETForHashedQueries: true }));
  for (let i = 0; i < 2; ++i) await client.query({ query: task, variables: { id: 'none' } });
  assert.equal(sent[0].method, 'GET');
  assert.equal(sent.at(-1).method, 'GET');
  assert.match(sent.at(-1).url, /extensions=/);
  client.stop();
});

test('persisted queries: an unknown hash, a wrong one and another version are told apart', async () => {
  const query = `{ serverInfo { version nodeId } } # ${unique()}`;
  const ask = (sha, more = {}) => post(node, bearer, { extensions: { persistedQuery: { version: 1, sha256Hash: sha } }, ...more });
  const unknown = await ask(sha256(query));
  assert.equal(unknown.json.errors[0].message, 'PersistedQueryNotFound');
  assert.deepEqual(codes(unknown.json), ['PERSISTED_QUERY_NOT_FOUND']);
  const wrong = await ask(sha256('another'), { query });
  assert.deepEqual(codes(wrong.json), ['BAD_USER_INPUT']);
  assert.equal((await ask(sha256(query))).json.errors[0].message, 'PersistedQueryNotFound', 'the wrong pair was not kept');
  assert.ok((await ask(sha256(query), { query })).json.data.serverInfo.nodeId);
  assert.ok((await ask(sha256(query))).json.data.serverInfo.nodeId);
  const other = await post(node, bearer, { query, extensions: { persistedQuery: { version: 2, sha256Hash: sha256(query) } } });
  assert.ok(codes(other.json).length === 1, other.text);
  const client = await connect(node, bearer); // by WebSocket as well
  const answer = await new Promise((resolve, reject) => client.client.subscribe({ query: '', extensions: { persistedQuery: { version: 1, sha256Hash: sha256(query) } } }, {
    next: resolve, error: reject, complete: () => {} }));
  assert.ok(answer.data.serverInfo.nodeId);
  client.close();
});

test('graphql-ws finds its way back after a kill, and its retry is answered once', async () => {
  const own = await startNode();
  const port = own.port, what = variables();
  const client = createClient({
    url: own.ws, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${own.token()}` },
    retryAttempts: 50, retryWait: () => new Promise(resolve => setTimeout(resolve, 50)), shouldRetry: () => true });
  const ask = () => new Promise((resolve, reject) => {
    let answer;
    client.subscribe({ query: documents.voice, variables: what }, { next: value => (answer = value), error: reject, complete: () => resolve(answer) });
  });
  assert.equal((await ask()).data.syncVoiceData.replayed, false);
  await own.kill();
  const pending = ask(); // while nobody is there
  own.args[own.args.indexOf('127.0.0.1:0')] = `127.0.0.1:${port}`;
  await own.start();
  assert.equal((await pending).data.syncVoiceData.replayed, true);
  client.dispose();
  await own.stop();
});
// ── subscriptions ──

const events = gql`subscription Events($device: ID!) { syncEvents(deviceId: $device) {
  ... on DataUpdateEvent { cursor domain operation priority entity { entityId version deleted data updatedAt } }
  ... on SyncTriggerEvent { cursor domains reason }
  ... on ConflictAlertEvent { cursor actionRequired conflict { conflictId fields status } }
  ... on SystemNotificationEvent { cursor message data }
  ... on ResyncRequiredEvent { cursor reason }
  ... on CaughtUpEvent { cursor } } }`;
const acknowledge = gql`mutation Acknowledge($device: ID!, $cursor: Cursor!) { acknowledge(deviceId: $device, cursor: $cursor) }`;

test('Apollo subscribes: events by their type, errors as errors, and after a restart of the node it goes on where it was', { timeout: 60_000 }, async () => {
  globalThis.WebSocket ??= WebSocket; // Apollo's link looks at it; Node.js has one from 22 on
  const own = await startNode();
  const port = own.port;
  const ws = createClient({
    url: own.ws, connectionParams: { authorization: `Bearer ${own.token({ user: 'reader' })}` },
    retryAttempts: 50, retryWait: () => new Promise(resolve => setTimeout(resolve, 50)), shouldRetry: () => true });
  const client = apollo(new GraphQLWsLink(ws));
  // A device that nobody knows yet: Apollo hands the refusal to the observer.
  const refusal = await new Promise(resolve => client.subscribe({ query: events, variables: { device: 'r' } }).subscribe({ next: ({ error }) => resolve(error), error: resolve }));
  assert.ok(CombinedGraphQLErrors.is(refusal), `${refusal}`);
  assert.equal(refusal.errors[0].extensions.code, 'NOT_FOUND');
  await client.mutate({ mutation: gql`mutation { registerDevice(device: { deviceId: "r", deviceType: TABLET }) { deviceId } }` });

  const heard = [], problems = [];
  const following = client.subscribe({ query: events, variables: { device: 'r' } }).subscribe({
    next: ({ data, error }) => (error ? problems.push(error) : heard.push(data.syncEvents)), error: problem => problems.push(problem) });
  const names = () => heard.map(one => `${one.__typename} ${one.entity?.entityId ?? one.message ?? one.reason ?? one.conflict?.status ?? ''}`.trim());
  const hears = async (expected, what) => {
    await until(() => heard.length >= expected.length || problems.length > 0, what).catch(() => {});
    assert.deepEqual([names(), problems], [expected, []]);
  };
  await hears(['CaughtUpEvent'], 'the subscription');

  let writer = await connect(own, own.token({ user: 'writer' })), boss = await connect(own, own.token({ user: 'boss', roles: ['admin'] }));
  await boss.ask(documents.policy, { policy: { domain: 'TICKET', resolutionPolicy: 'MANUAL' } });
  await phone(writer, 'w').edits([edit('t1', { title: 'one' }), edit('k1', { title: 'one' }, { domain: 'TICKET' })]);
  await phone(writer, 'v').edit(edit('k1', { title: 'two' }, { domain: 'TICKET' }));
  await boss.ask('mutation { triggerSync(domains: [TASK, TICKET], reason: "please") }');
  await boss.ask('mutation { broadcast(message: "tea", data: { room: 7 }, priority: HIGH) }');
  await hears(['CaughtUpEvent', 'SystemNotificationEvent conflict policy of TICKET changed', 'DataUpdateEvent t1', 'DataUpdateEvent k1', 'ConflictAlertEvent OPEN',
    'SyncTriggerEvent please', 'SystemNotificationEvent tea'], 'one of each');
  const [, , task, , alert, trigger, tea] = heard;
  assert.deepEqual([task.domain, task.operation, task.priority, task.entity.version, task.entity.deleted, task.entity.data], ['TASK', 'SYNC', 'NORMAL', 1, false, { title: 'one' }]);
  assert.equal(task.entity.__typename, 'EntityType', 'Apollo asks for the names of types everywhere');
  assert.deepEqual([alert.actionRequired, alert.conflict.fields, trigger.domains, tea.data], [true, ['title'], ['TASK', 'TICKET'], { room: 7 }]);

  // What is acknowledged does not come again; what happens while nobody is connected does.
  await client.mutate({ mutation: acknowledge, variables: { device: 'r', cursor: tea.cursor } });
  heard.length = 0;
  await own.stop();
  await own.start(); // on another port, where only the writer finds it
  writer = await connect(own, own.token({ user: 'writer' }));
  await phone(writer, 'w').edits([edit('t2', { title: 'while away' }), edit('t1', undefined, { operation: 'DELETE', baseVersion: 1 })]);
  await own.kill();
  own.args[own.args.indexOf('127.0.0.1:0')] = `127.0.0.1:${port}`;
  await own.start();
  await hears(['DataUpdateEvent t2', 'DataUpdateEvent t1', 'CaughtUpEvent'], 'what was missed');
  assert.deepEqual([heard[1].operation, heard[1].entity.version, heard[1].entity.deleted, heard[1].entity.data], ['DELETE', 2, true, null]);
  writer = await connect(own, own.token({ user: 'writer' }));
  await phone(writer, 'w').edit(edit('t3', { title: 'live' }, { priority: 'HIGH' }));
  await hears(['DataUpdateEvent t2', 'DataUpdateEvent t1', 'CaughtUpEvent', 'DataUpdateEvent t3'], 'what is new');

  // The end of the subscription is the node's as well.
  following.unsubscribe();
  await until(async () => /^mooring_subscriptions 0$/m.test((await http(own, { path: '/metrics' })).text), 'the end of the subscription');
  client.stop();
  ws.dispose();
  writer.close();
  await own.stop();
});

test('a plain socket needs nothing but JSON', async () => {
  const ws = await socketOf(node, { init: bearer });
  const id = unique('e');
  ws.send({ id: 'any id: "\u00e4\\', type: 'subscribe', payload: { operationName: 'B', variables: { id, at: now() }, query: `
    query A { devices { deviceId } }
    mutation B($id: ID!, $at: DateTime!) {
      done: syncOperations(idempotencyKey: "${unique()}", deviceId: "plain", operations: {
        domain: TASK, operation: SYNC, entityId: $id, modifiedAt: $at, data: { nested: { list: [1, 2.5, true, null, "\\u00e4"] } } }) { success items { version } } }` } });
  assert.deepEqual(await ws.next(), { id: 'any id: "\u00e4\\', type: 'next', payload: { data: { done: { success: true, items: [{ version: 1 }] } } } });
  assert.deepEqual(await ws.next(), { id: 'any id: "\u00e4\\', type: 'complete' });
  ws.send({ id: '2', type: 'subscribe', payload: { query: documents.entity, variables: { domain: 'TASK', id } } });
  assert.deepEqual((await ws.next()).payload.data.entity.data, { nested: { list: [1, 2.5, true, null, '\u00e4'] } });
  ws.socket.close();
});

test('a cancelled operation is not answered, and what it did stays done', async () => {
  const ws = await socketOf(node, { init: bearer });
  const what = variables();
  ws.send({ id: '1', type: 'subscribe', payload: { query: documents.voice, variables: what } });
  ws.send({ id: '1', type: 'complete' });
  const client = await connect(node, bearer);
  await until(async () => (await client.ask(documents.voice, what)).syncVoiceData.replayed, 'the first to have run');
  assert.deepEqual(ws.messages.filter(one => one.type === 'error'), []);
  ws.socket.close();
  client.close();
});

test('the schema that is served is the schema that is published', async () => {
  const { json } = await post(node, bearer, { query: getIntrospectionQuery({ inputValueDeprecation: true }) });
  const served = printSchema(lexicographicSortSchema(buildClientSchema(json.data)));
  const published = printSchema(lexicographicSortSchema(buildSchema(readFileSync(join(source, 'api/schema.graphql'), 'utf8'))));
  assert.equal(served, published);
});

test('texts in every script come back as they were sent', async () => {
  const client = await connect(node, bearer);
  const texts = ['\u{1f6a2}\u{1f468}\u200d\u{1f469}\u200d\u{1f467}', 'עברית', '中文', '\u0000\u0001\u001f\u007f\u2028\u2029', '"\\/\b\f\n\r\t', '\ufeff\uffff', '𝕬'];
  const id = unique('\u{1f6a2}');
  const item = await phone(client, 'ümläut').edit(edit(id, { texts, '\u{1f600} key "': 1, '': 'empty' }));
  assert.equal(item.itemId, id);
  assert.deepEqual((await phone(client, 'ümläut').entity('TASK', id)).data, { texts, '\u{1f600} key "': 1, '': 'empty' });
  client.close();
});

test('numbers keep their value', async () => {
  const client = await connect(node, bearer);
  const numbers = [0, -0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53), 0.1, 1 / 3, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 123456.789];
  const id = unique('n');
  await phone(client, 'n').edit(edit(id, { numbers }));
  assert.deepEqual((await phone(client, 'n').entity('TASK', id)).data.numbers.map(Number), numbers.map(one => (Object.is(one, -0) ? 0 : one)));
  client.close();
});
