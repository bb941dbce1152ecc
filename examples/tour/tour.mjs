// The main job of a Mooring node, played by two phones of one user, step by step, with a check behind every claim.
//
//   node tour.mjs --url ws://127.0.0.1:8440/graphql --token-a TOKEN --token-b TOKEN --token-admin TOKEN
//
//   --url URL            the node's WebSocket address                     or TOUR_URL
//   --token-a TOKEN      phone A's token                                  or TOUR_TOKEN_A
//   --token-b TOKEN      phone B's: of the same user, may be the same     or TOUR_TOKEN_B
//   --token-admin TOKEN  of a user of the same tenant with role admin     or TOUR_TOKEN_ADMIN
//
// `mooring token --data DIR --tenant acme --user ann` prints such a token. Exit codes: 0 all was as said, 1 something was
// not, 2 wrong arguments. It may be played again on the same node: every run makes its own ids.
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const names = ['url', 'token-a', 'token-b', 'token-admin'];
const given = arguments_();
const run = `${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`; // part of each id of this run
const deviceA = `ann-phone-${run}`, deviceB = `ann-tablet-${run}`;

function arguments_() {
  try {
    const { values } = parseArgs({ options: Object.fromEntries(names.map(name => [name, { type: 'string' }])) });
    for (const name of names) values[name] ??= process.env[`TOUR_${name.replace('-', '_').toUpperCase()}`];
    const missing = names.filter(name => !values[name]);
    if (missing.length > 0) throw new Error(`missing: ${missing.map(name => `--${name}`).join(', ')}`);
    return values;
  } catch (problem) {
    console.error(`tour: ${problem.message}\nusage: node tour.mjs ${names.map(name => `--${name} …`).join(' ')}`);
    process.exit(2);
  }
}

// ── telling ──

const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = code => text => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = paint(1), dim = paint(2), green = paint(32), red = paint(31), cyan = paint(36);
let checks = 0;

const chapter = title => console.log(`\n${bold(title)}`);
const say = text => console.log(`  ${text}`);
const show = graphql => console.log(graphql.split('\n').map(line => `    ${cyan(line)}`).join('\n'));
const got = value => console.log(dim(`    → ${JSON.stringify(value)}`));

class NotAsSaid extends Error {}

function check(claim, holds, found) {
  if (!holds) throw new NotAsSaid(`${claim}\n    but the node said: ${JSON.stringify(found)}`);
  checks += 1;
  console.log(`  ${green('✓')} ${claim}`);
}

// ── talking ──

function online(token) {
  const client = createClient({ url: given.url, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` }, retryAttempts: 2 });
  const ask = (query, variables) => new Promise((resolve, reject) => {
    let answer;
    client.subscribe({ query, variables }, {
      next: value => {
        answer = value;
      },
      error: problem => reject(Array.isArray(problem) ? new Error(problem.map(one => one.message).join('; '))
        : problem instanceof Error ? problem : new Error(`the connection closed: ${problem.code} ${problem.reason}`)),
      complete: () => (answer?.errors ? reject(new Error(answer.errors.map(one => `${one.extensions?.code}: ${one.message}`).join('; ')))
        : resolve(answer.data)),
    });
  });
  return { ask, close: () => client.dispose() };
}

// Sends one request and breaks the connection before the app has seen the answer, as a tunnel does.
function sendAndLoseTheAnswer(token, query, variables) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(given.url, 'graphql-transport-ws');
    const send = message => socket.send(JSON.stringify(message));
    socket.on('open', () => send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
    socket.on('message', text => {
      const message = JSON.parse(text);
      if (message.type === 'connection_ack') return send({ id: '1', type: 'subscribe', payload: { query, variables } });
      if (message.type !== 'next') return reject(new Error(JSON.stringify(message.payload ?? message)));
      socket.terminate(); // the answer is on its way, and nobody takes it
      resolve();
    });
    socket.on('error', reject);
    socket.on('close', code => reject(new Error(`the connection closed: ${code}`))); // no effect after resolve
  });
}

const minutesAgo = minutes => new Date(Date.now() - minutes * 60_000).toISOString();

const syncBatch = `mutation ($batch: SyncBatchInput!) {
  syncBatch(batch: $batch) {
    success
    replayed
    overallMetrics { totalItems syncedItems durationMs }
    operationsSyncResult { items { itemId version } }
  }
}`;
const syncOperations = `mutation ($operations: [SyncOperationInput!]!, $key: String!, $device: String!) {
  syncOperations(operations: $operations, idempotencyKey: $key, deviceId: $device) {
    items { itemId success version duplicate conflictDetected conflictId error { code message } }
  }
}`;
const changes = `query ($since: Cursor) {
  changes(since: $since, first: 1000) {
    entities { domain entityId version data }
    cursor
    hasMore
  }
}`;

// Everything after the cursor, page by page.
async function readChanges(phone, since) {
  const entities = [];
  for (;;) {
    const page = (await phone.ask(changes, { since })).changes;
    entities.push(...page.entities);
    since = page.cursor;
    if (!page.hasMore) return { entities, cursor: since };
  }
}

let uploads = 0;
async function upload(phone, device, operation) {
  const key = `${device}-upload-${++uploads}`;
  const { syncOperations: { items: [item] } } = await phone.ask(syncOperations, { operations: [operation], key, device });
  if (!item.success) throw new NotAsSaid(`the edit is accepted\n    but the node said: ${JSON.stringify(item)}`);
  return item;
}

// ── the story ──

async function story() {
  const boss = online(given['token-admin']);
  const a = online(given['token-a']);
  const b = online(given['token-b']);
  const pump = `pump-${run}`, gate = `gate-${run}`;

  chapter('1. Ann works without a network');
  say('Her phone cannot reach anybody, so it keeps what she does in an outbox: a voice check, a work');
  say('session, the battery level and two tasks, one of them edited again. One key names the whole batch.');
  const batch = {
    idempotencyKey: `${deviceA}-outbox-1`, deviceId: deviceA, clientTimestamp: minutesAgo(0),
    voiceData: [{ verificationId: `voice-${run}`, timestamp: minutesAgo(50), verified: true, confidenceScore: 0.97 }],
    sessionData: [{ sessionId: `session-${run}`, startTime: minutesAgo(55), endTime: minutesAgo(5), durationMs: 3_000_000 }],
    metricsData: [{ metricType: `battery-${run}`, value: 0.61, unit: 'ratio', timestamp: minutesAgo(6) }],
    operations: [
      { domain: 'TASK', operation: 'CREATE', entityId: pump, data: { title: 'Check the pump', status: 'open' }, modifiedAt: minutesAgo(45) },
      { domain: 'TASK', operation: 'CREATE', entityId: gate, data: { title: 'Paint the gate', status: 'open' }, modifiedAt: minutesAgo(40) },
      { domain: 'TASK', operation: 'UPDATE', entityId: gate, baseVersion: 1, data: { status: 'done' }, modifiedAt: minutesAgo(10) },
    ],
  };

  chapter('2. The network is back for a moment, and the answer gets lost');
  say('The phone sends its outbox and drives into a tunnel. Did the node get it? The phone cannot know.');
  show(`mutation { syncBatch(batch: { idempotencyKey: "${batch.idempotencyKey}",
  voiceData: […], sessionData: […], metricsData: […], operations: […] }) { success replayed … } }`);
  await sendAndLoseTheAnswer(given['token-a'], syncBatch, { batch });
  say(dim('    → … nothing: the connection is gone'));

  chapter('3. So it asks again, with the same key');
  const retry = (await a.ask(syncBatch, { batch })).syncBatch;
  got({ success: retry.success, replayed: retry.replayed, ...retry.overallMetrics, durationMs: undefined });
  check('the retry is answered, and is not applied again: replayed is true', retry.success && retry.replayed, retry);
  check('all six items had been stored', retry.overallMetrics.syncedItems === 6, retry.overallMetrics);
  const after = await readChanges(a, null);
  const mine = after.entities.filter(one => one.entityId.includes(run));
  check('each thing is there exactly once: 3 records and 2 tasks', mine.length === 5, mine.map(one => one.entityId));
  const versions = Object.fromEntries(mine.filter(one => one.domain === 'TASK').map(one => [one.entityId, one.version]));
  check('the pump is at version 1; the gate, edited twice, at version 2', versions[pump] === 1 && versions[gate] === 2, versions);

  chapter('4. Ann\'s second device catches up');
  show('query { changes(since: null) { entities { domain entityId version data } cursor hasMore } }');
  const caught = await readChanges(b, null);
  const seen = caught.entities.find(one => one.entityId === pump);
  got(seen);
  check('the tablet has the pump as the phone left it', seen?.version === 1 && seen.data.title === 'Check the pump', seen);
  say('It keeps the cursor: next time it asks only for what is new.');

  chapter('5. Two edits of one task meet: different fields');
  say('Both devices go offline with version 1 of the pump. The phone sets its status, the tablet adds a note.');
  show(`phone:  { operation: UPDATE, entityId: "${pump}", baseVersion: 1, data: { status: "running" } }
tablet: { operation: UPDATE, entityId: "${pump}", baseVersion: 1, data: { note: "valve 3 drips" } }`);
  const update = (baseVersion, data, minutes) => ({ domain: 'TASK', operation: 'UPDATE', entityId: pump, baseVersion, data, modifiedAt: minutesAgo(minutes) });
  const first = await upload(a, deviceA, update(1, { status: 'running' }, 4));
  const second = await upload(b, deviceB, update(1, { note: 'valve 3 drips' }, 3));
  got({ phone: `version ${first.version}`, tablet: `version ${second.version}`, conflictDetected: second.conflictDetected });
  const entity = phone => phone.ask('query ($id: ID!) { entity(domain: TASK, entityId: $id) { version data } }', { id: pump }).then(found => found.entity);
  const joined = await entity(a);
  check('no conflict: both edits stand', !second.conflictDetected && joined.version === 3 && joined.data.status === 'running' && joined.data.note === 'valve 3 drips', joined);

  chapter('6. Two edits of one task meet: the same field');
  say('A rule can decide by itself (the later edit, the more trusted device, …). Ann\'s boss wants a person to:');
  show('mutation { setConflictPolicy(policy: { domain: TASK, resolutionPolicy: MANUAL }) { resolutionPolicy } }');
  const before = (await boss.ask('{ conflictPolicies { domain resolutionPolicy autoResolve notifyOnConflict } }')).conflictPolicies.find(one => one.domain === 'TASK');
  const setPolicy = policy => boss.ask('mutation ($policy: ConflictPolicyInput!) { setConflictPolicy(policy: $policy) { resolutionPolicy } }', { policy });
  await setPolicy({ domain: 'TASK', resolutionPolicy: 'MANUAL' });
  try {
    say('Now both devices rename version 3 of the pump, each without knowing of the other.');
    await upload(a, deviceA, update(3, { title: 'Repair the pump' }, 2));
    const clash = await upload(b, deviceB, update(3, { title: 'Replace the pump' }, 1));
    got({ success: clash.success, conflictDetected: clash.conflictDetected, conflictId: clash.conflictId });
    check('the second edit is a conflict, and it is kept, not refused', clash.success && clash.conflictDetected && clash.conflictId, clash);
    const standing = await entity(b);
    check('until somebody decides, the task stays as it was: "Repair the pump"', standing.data.title === 'Repair the pump' && standing.version === 4, standing);

    chapter('7. A person decides');
    show('query { conflicts(status: OPEN) { conflicts { conflictId fields serverData clientData } } }');
    const open = (await a.ask('{ conflicts(status: OPEN, first: 100) { conflicts { conflictId fields serverData clientData } } }')).conflicts.conflicts
      .find(one => one.conflictId === clash.conflictId);
    got({ fields: open?.fields, server: open?.serverData?.title, client: open?.clientData?.title });
    check('the conflict holds both sides whole', open?.serverData.title === 'Repair the pump' && open.clientData.title === 'Replace the pump', open);
    const mergeData = { ...open.serverData, title: 'Repair the pump, replace if it leaks' };
    show(`mutation { resolveConflict(resolution: { conflictId: "${clash.conflictId}", resolutionStrategy: MANUAL,
  chosenVersion: "merged", mergeData: { title: "${mergeData.title}", … } }) { resolutionResult version } }`);
    const resolve = `mutation ($resolution: ConflictResolutionInput!) {
      resolveConflict(resolution: $resolution) { success resolutionResult winningVersion version } }`;
    const resolution = { conflictId: clash.conflictId, resolutionStrategy: 'MANUAL', chosenVersion: 'merged', mergeData, notes: 'both are right' };
    const resolved = (await a.ask(resolve, { resolution })).resolveConflict;
    got(resolved);
    check('the decision is version 5', resolved.resolutionResult === 'resolved' && resolved.version === 5, resolved);
    const again = (await b.ask(resolve, { resolution: { ...resolution, chosenVersion: 'server' } })).resolveConflict;
    check('whoever decides after that learns the first outcome: already_resolved', again.resolutionResult === 'already_resolved' && again.version === 5, again);
  } finally {
    await setPolicy(before);
  }

  chapter('8. Both devices agree');
  const [fromA, fromB] = await Promise.all([readChanges(a, after.cursor), readChanges(b, caught.cursor)]);
  const [pumpA, pumpB] = [fromA, fromB].map(read => read.entities.filter(one => one.entityId === pump));
  got(pumpA[0]);
  check('since their cursors, each sees the pump once, at version 5, with everybody\'s work in it',
    pumpA.length === 1 && JSON.stringify(pumpA) === JSON.stringify(pumpB) && pumpA[0].version === 5 && pumpA[0].data.note === 'valve 3 drips'
      && pumpA[0].data.title === 'Repair the pump, replace if it leaks', { pumpA, pumpB });
  for (const client of [a, b, boss]) client.close();
}

try {
  await story();
  console.log(`\n${green(bold('All was as said'))}: ${checks} checks.`);
  process.exit(0);
} catch (problem) {
  console.error(`\n${red('✗')} ${problem instanceof NotAsSaid ? problem.message : `the tour could not go on: ${problem.message}`}`);
  process.exit(1);
}
