// The command as operators and their scripts meet it: help, exit codes, files and their modes, backup, check, the end.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { binary, check, connect, documents, edit, freshFolder, killAll, mooring, phone, post, readAll, sleep, startNode, token, unique, until, voiceItem } from './harness.mjs';
import { dialWebSocket, http, socketOf } from './wire.mjs';

after(killAll);

const mode = path => (statSync(path).mode & 0o777).toString(8);
const files = folder => readdirSync(folder, { withFileTypes: true, recursive: true }).filter(one => one.isFile()).map(one => join(one.path, one.name));

test('help helps, on standard output', () => {
  for (const args of [['--help'], ['-h'], ...['serve', 'token', 'check', 'backup', 'restore'].map(name => [name, '--help'])]) {
    const { code, out, err } = mooring(args);
    assert.deepEqual([code, err], [0, ''], args.join(' '));
    assert.match(out, /Usage: mooring/);
  }
  const { out } = mooring(['--help']);
  for (const name of ['serve', 'token', 'check', 'backup', 'restore', 'version']) assert.ok(out.includes(name));
  assert.match(mooring(['version']).out, /^mooring \d+\.\d+\.\d+\S*\n$/);
});

test('a wrong command line is exit code 2 and says what is wrong, on standard error', () => {
  const data = join(freshFolder(), 'data');
  for (const [args, says] of [
    [[], /subcommand/], [['sail'], /'sail' is no command; did you mean \w+\?/], [['chekc'], /'chekc' .* mean check\?/], [['Serve', '--data', data], /'Serve' .* mean serve\?/], [[''], /'' is no command/], [['serve', '--sail'], /--sail/], [['token'], /--data/], [['token', '--data', data, '--tenant', 'a'], /--user/],
    [['token', '--data', data, '--tenant', 'a', '--user', 'b', '--role', 'king'], /role/],
    [['serve', '--data', data, '--set', 'nothing'], /NAME=VALUE/], [['serve', '--data', data, '--set', 'sync.nothing=1'], /sync\.nothing/],
    [['serve', '--data', data, '--set', 'network.threads=many'], /network\.threads/], [['serve', '--data', data, '--set', 'network.threads=0'], /network\.threads/],
    [['serve', '--data', data, '--listen', 'here'], /network\.listen/], [['serve', '--data', data, '--listen', '127.0.0.1:99999'], /listen/],
    [['serve', '--data', data, '--config', '/no/such.toml'], /no\/such\.toml/],
  ]) {
    const { code, out, err } = mooring(args);
    assert.equal(code, 2, `${args.join(' ')}: ${out}${err}`);
    assert.match(err, says, args.join(' '));
  }
  assert.ok(!existsSync(data), 'nothing was made');
  const unknown = mooring(['sail']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /sail.*serve.*check/);
  const named = mooring(['serve', '--data', data], { env: { MOORING_NETWORK_THREADS: 'many' } });
  assert.equal(named.code, 2);
  assert.match(named.err, /network\.threads/);
});

test('the warning of a variable names neither its value nor what other commands read', async () => {
  const node = await startNode({ env: { MOORING_NETWORK_LISTN: 'private-value', MOORING_TOKEN: 'private-token', MOORING_LOG_JSON: 'false' } });
  assert.match(node.log, /warning +.*MOORING_NETWORK_LISTN is no setting/);
  assert.ok(!node.log.includes('private') && !node.log.includes('MOORING_TOKEN') && !node.log.includes('MOORING_LOG_JSON'));
  await node.stop();
});

test('a variable that is no setting is warned of, with the nearest one; the clean stop leaves nothing for the next start', async () => {
  const data = join(freshFolder(), 'data');
  const node = await startNode({ data, env: { MOORING_NETWORK_LISTN: 'x' } });
  await node.logged(/MOORING_NETWORK_LISTN is no setting; the nearest is MOORING_NETWORK_LISTEN/);
  const ann = await node.client();
  await phone(ann, 'p').voice(Array.from({ length: 50 }, (_, n) => voiceItem(`v${n}`)));
  assert.equal((await node.stop()).code, 0);
  assert.match(check(data).out, /50 entities/);
});

test('check survives a data file full of garbage and says that it is damaged', async () => {
  const data = join(freshFolder(), 'data');
  const node = await startNode({ data });
  const ann = await node.client();
  for (let n = 0; n < 20; ++n)
    await phone(ann, `p${n}`).voice(Array.from({ length: 50 }, (_, i) => voiceItem(`v${n}-${i}`, { metadata: { text: 'x'.repeat(100) } })));
  await node.stop();
  const file = readdirSync(data, { recursive: true }).map(name => join(data, String(name))).find(name => name.endsWith('data.mdb'));
  const whole = readFileSync(file);
  let found = 0;
  for (let seed = 1; seed <= 12; ++seed) {
    const broken = Buffer.from(whole);
    let state = seed * 2654435761;
    const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31);
    for (let n = 0; n < 6; ++n) {
      const page = 2 + random() % (whole.length / 4096 - 2 | 0);
      for (let at = 0; at < 4096; ++at) broken[page * 4096 + at] = random() >> 16;
    }
    writeFileSync(file, broken);
    const done = check(data);
    assert.equal(done.signal, null);
    assert.ok([0, 1, 3].includes(done.code), `${done.code}: ${done.out}${done.err}`);
    if (done.code !== 0) found += 1;
  }
  assert.ok(found >= 6, `${found} of 12 were found`);
  writeFileSync(file, whole);
  assert.equal(check(data).code, 0);
});

test('settings come from a file, the environment and the command line, the later over the earlier', async () => {
  const folder = freshFolder(), config = join(folder, 'mooring.toml');
  writeFileSync(config, `[data]\nfolder = "${folder}/from-file"\n[network]\nmetrics = false\n[sync]\nbatch_items_max = 7\n`);
  const node = await startNode({ data: join(folder, 'data'), args: ['--config', config], set: { 'sync.batch_items_max': 9 } });
  const { json } = await post(node, node.token(), { query: '{ serverInfo { limits { maxBatchItems } } }' });
  assert.equal(json.data.serverInfo.limits.maxBatchItems, 9);
  assert.equal((await http(node, { path: '/metrics' })).status, 404);
  assert.ok(!existsSync(join(folder, 'from-file')));
  await node.stop();
  writeFileSync(config, '[network]\nmetrics = "perhaps"\n[sink]\n');
  const wrong = mooring(['serve', '--config', config, '--data', join(folder, 'x')]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /mooring\.toml/);
});

test('the first start makes a folder for nobody else, with a secret for nobody else', async () => {
  const data = join(freshFolder(), 'deep', 'data');
  mkdirSync(join(data, '..'));
  const node = await startNode({ data });
  assert.equal(mode(data), '700');
  assert.equal(mode(join(data, 'jwt.secret')), '600');
  assert.equal(statSync(join(data, 'jwt.secret')).size, 32);
  for (const file of files(data)) assert.equal(mode(file), '600', file);
  const secret = readFileSync(join(data, 'jwt.secret'));
  await node.stop();
  await node.start();
  assert.deepEqual(readFileSync(join(data, 'jwt.secret')), secret, 'made once');
  await node.stop();
  chmodSync(join(data, 'jwt.secret'), 0o644);
  const open = mooring(['serve', '--data', data, '--listen', '127.0.0.1:0'], { timeout: 5000 });
  assert.equal(open.code, 1, 'a secret that others can read is refused');
  assert.match(open.err, /jwt\.secret/);
});

test('a token is one line, and needs a folder with a secret', async () => {
  const missing = mooring(['token', '--data', freshFolder(), '--tenant', 'a', '--user', 'b']);
  assert.equal(missing.code, 1);
  assert.match(missing.err, /jwt\.secret.*mooring serve/s);
  const node = await startNode();
  const { code, out, err } = mooring(['token', '--data', node.data, '--tenant', 'a', '--user', 'b', '--device', 'd', '--role', 'admin', '--role', 'operator', '--ttl', '15m', '--audience', 'x', '--issuer', 'y']);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const { iat, exp, ...claims } = JSON.parse(Buffer.from(out.split('.')[1], 'base64url'));
  assert.deepEqual(claims, { sub: 'b', tenant: 'a', device: 'd', roles: ['admin', 'operator'], aud: 'x', iss: 'y' });
  assert.equal(exp - iat, 900);
  assert.equal(mooring(['token', '--data', node.data, '--tenant', 'a', '--user', 'b', '--ttl', 'soon']).code, 2);
  assert.equal(mooring(['token', '--data', node.data, '--tenant', '', '--user', 'b']).code, 2);
  await node.stop();
});

test('audience and issuer are checked when they are set', async () => {
  const node = await startNode({ set: { 'auth.audience': 'mooring', 'auth.issuer': 'us' } });
  const ask = async more => (await post(node, token(node.data, { more }), { query: '{ serverInfo { version } }' })).status;
  assert.equal(await ask([]), 401);
  assert.equal(await ask(['--audience', 'mooring']), 401);
  assert.equal(await ask(['--audience', 'other', '--issuer', 'us']), 401);
  assert.equal(await ask(['--audience', 'mooring', '--issuer', 'us']), 200);
  await node.stop();
});

test('one folder, one node: a second start is refused and harms nothing', async () => {
  const node = await startNode();
  const second = mooring(['serve', '--data', node.data, '--listen', '127.0.0.1:0'], { timeout: 10_000 });
  assert.equal(second.code, 1);
  assert.match(second.err, new RegExp(`${node.pid}|in use|already`));
  const checking = check(node.data);
  assert.equal(checking.code, 1, 'check wants a stopped node');
  assert.equal((await post(node, node.token(), { query: '{ serverInfo { version } }' })).status, 200);
  const port = mooring(['serve', '--data', join(freshFolder(), 'other'), '--listen', `127.0.0.1:${node.port}`], { timeout: 10_000 });
  assert.equal(port.code, 1);
  assert.match(port.err, new RegExp(`${node.port}`), 'a taken port is named');
  await node.stop();
});

test('a folder of a newer format, of another number of shards or of something else is refused', async () => {
  const node = await startNode({ set: { 'data.shards': 2 } });
  await node.stop();
  const format = join(node.data, 'format'), text = readFileSync(format, 'utf8');
  const serve = (...more) => mooring(['serve', '--data', node.data, '--listen', '127.0.0.1:0', ...more], { timeout: 10_000 });
  writeFileSync(format, text.replace('format 1', 'format 2'));
  const newer = serve();
  assert.equal(newer.code, 1);
  assert.match(newer.err, /format|newer/);
  assert.equal(check(node.data).code, 1);
  assert.equal(readFileSync(format, 'utf8'), text.replace('format 1', 'format 2'), 'left as it was');
  writeFileSync(format, 'something');
  assert.equal(serve().code, 1);
  writeFileSync(format, text);
  const other = freshFolder();
  writeFileSync(join(other, 'letter.txt'), 'dear');
  const foreign = mooring(['serve', '--data', other, '--listen', '127.0.0.1:0'], { timeout: 10_000 });
  assert.equal(foreign.code, 1, 'a folder with something else in it');
  assert.deepEqual(readdirSync(other), ['letter.txt']);
  assert.equal(mooring(['serve', '--data', join(other, 'letter.txt')], { timeout: 10_000 }).code, 1);
  await node.start();
  await node.stop();
  assert.equal(check(node.data).code, 0);
});

test('beyond loopback only with TLS or --insecure', async () => {
  const data = join(freshFolder(), 'data');
  for (const listen of ['0.0.0.0:0', '[::]:0']) {
    const refused = mooring(['serve', '--data', data, '--listen', listen], { timeout: 10_000 });
    assert.equal(refused.code, 2);
    assert.match(refused.err, /--insecure/);
  }
  assert.ok(!existsSync(data));
  const node = await startNode({ data, listen: '0.0.0.0:0', args: ['--insecure'] });
  assert.equal((await http(node, { path: '/healthz' })).status, 200);
  await node.stop();
});

test('SIGTERM: what is in flight is answered and kept, sockets close with 1001, exit 0 within 10 s', async () => {
  const node = await startNode({ set: { 'network.threads': 2 } });
  const bearer = node.token();
  const idle = await Promise.all(Array.from({ length: 20 }, () => socketOf(node, { init: bearer })));
  const early = await socketOf(node); // not yet acknowledged
  const deaf = await dialWebSocket(node, { bearer }); // never answers a close
  const busy = await connect(node, bearer);
  const requests = Array.from({ length: 300 }, () => ({ key: unique(), id: unique('v'), at: '2025-09-28T12:00:00Z' }));
  const upload = (client, { key, id, at }) => client.run(documents.voice, { key, device: 'p', data: [{ verificationId: id, timestamp: at, verified: true }] });
  const pending = requests.map(request => upload(busy, request).then(answer => answer.data?.syncVoiceData, () => null));
  await Promise.race(pending); // it has begun
  const how = await node.stop();
  assert.deepEqual([how.code, how.signal], [0, null], node.log);
  assert.ok(how.took_ms < 10_000, `${how.took_ms} ms`);
  for (const one of [...idle, early]) assert.equal((await one.closed).code, 1001);
  assert.equal((await busy.closed).code, 1001);
  deaf.close();
  const answers = await Promise.all(pending);
  assert.ok(answers.filter(Boolean).length >= 1);
  assert.equal(check(node.data).code, 0);

  await node.start();
  const back = await connect(node, bearer);
  for (const [i, request] of requests.entries()) {
    const { syncVoiceData } = (await upload(back, request)).data;
    if (answers[i]) assert.equal(syncVoiceData.replayed, true, 'what was acknowledged is known');
    assert.equal(syncVoiceData.items[0].duplicate, false);
  }
  assert.equal((await readAll(back, { domains: ['VOICE'] })).entities.length, requests.length);
  back.close();
  await node.stop();
});

test('a node whose standard error nobody reads stops within 10 s all the same', async () => {
  const data = join(freshFolder(), 'data');
  // bash fills the pipe to the last byte before the node is there
  const shell = spawn('bash', ['-c', `exec {log}> >(exec sleep 60); head -c 65536 /dev/zero >&$log; exec "$0" serve --data "$1" --listen 127.0.0.1:0 2>&$log`, binary, data], { detached: true });
  const ended = new Promise(done => shell.on('exit', (code, signal) => done({ code, signal })));
  try {
    await until(() => existsSync(join(data, 'shards/0/data.mdb')), 'the shard');
    const began = performance.now();
    process.kill(shell.pid, 'SIGTERM');
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.ok(performance.now() - began < 10_000, `${performance.now() - began} ms`);
  } finally {
    process.kill(-shell.pid, 'SIGKILL'); // the sleeper
  }
});

test('a node that cannot load a shard says what to do, and hears SIGTERM while it tries', async () => {
  const node = await startNode();
  await node.stop();
  const file = join(node.data, 'shards/0/data.mdb');
  const bytes = readFileSync(file);
  for (let page = 8192; page < bytes.length; page += 4096) // contents, not the pages' heads: LMDB trusts those
    bytes.subarray(page + 64, page + 4096).forEach((byte, i, of) => { of[i] = byte ^ 0x5a; });
  writeFileSync(file, bytes);
  const given_up = mooring(['serve', '--data', node.data, '--listen', '127.0.0.1:0'], { timeout: 40_000 });
  const impatient = spawn(binary, ['serve', '--data', node.data, '--listen', '127.0.0.1:0']);
  assert.equal(given_up.code, 1, given_up.err);
  assert.match(given_up.err, /mooring: .*cannot|mooring: .*failed too often/);
  assert.match(given_up.err, /`mooring check --data/);
  await new Promise(done => setTimeout(done, 1000));
  const began = performance.now();
  const ended = new Promise(done => impatient.on('exit', (code, signal) => done({ code, signal })));
  impatient.kill('SIGTERM');
  assert.deepEqual(await ended, { code: 0, signal: null });
  assert.ok(performance.now() - began < 9_000);
});

test('while it stops, a node takes no new connections and is not ready', async () => {
  const node = await startNode();
  const bearer = node.token();
  const kept = await socketOf(node, { init: bearer });
  node.signal('SIGINT');
  assert.equal((await kept.closed).code, 1001);
  assert.deepEqual(await node.ended, { code: 0, signal: null });
  await assert.rejects(http(node, { path: '/readyz' }));
});

test('a backup of a running node is whole, and restores to what was acknowledged before it began', async () => {
  const node = await startNode({ set: { 'data.shards': 2, 'network.threads': 2 } });
  const tenants = ['acme', 'umbrella', 'initech'], clients = [];
  for (const tenant of tenants) clients.push(await node.client({ tenant, user: 'ann' }));
  const uploaded = tenants.map(() => []);
  let stop = false;
  const load = Promise.all(clients.map(async (client, i) => {
    while (!stop) {
      const id = unique('v');
      await phone(client, 'p').voice([voiceItem(id)]);
      uploaded[i].push(id);
    }
  }));
  await until(() => uploaded.every(list => list.length > 20), 'some load');
  const before = uploaded.map(list => [...list]);
  const out = join(freshFolder(), 'backup');
  // The command in the background: the load goes on beside it.
  const { spawn } = await import('node:child_process');
  const { binary } = await import('./harness.mjs');
  const child = spawn(binary, ['backup', '--data', node.data, out], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } });
  const code = await new Promise(resolve => child.once('exit', resolve));
  assert.equal(code, 0);
  await sleep(50);
  stop = true;
  await load;
  assert.equal(mooring(['backup', '--data', node.data, out]).code, 1, 'a backup is not overwritten');
  for (const file of files(out)) assert.equal(mode(file), '600', file);

  const restored = join(freshFolder(), 'restored');
  const done = mooring(['restore', '--data', restored, out]);
  assert.equal(done.code, 0, done.err);
  assert.equal(check(restored).code, 0);
  assert.equal(mooring(['restore', '--data', restored, out]).code, 1, 'nor is a data folder');
  const copy = await startNode({ data: restored });
  for (const [i, tenant] of tenants.entries()) {
    const client = await connect(copy, node.token({ tenant, user: 'ann' })); // the secret came along
    const ids = (await readAll(client)).entities.map(one => one.entityId);
    assert.deepEqual(ids, uploaded[i].slice(0, ids.length), 'as of one moment: a beginning of what was acknowledged');
    assert.ok(ids.length >= before[i].length, `${ids.length} of at least ${before[i].length}`);
    assert.equal((await phone(client, 'p').voice([voiceItem(unique())])).success, true);
    client.close();
  }
  await copy.stop();
  await node.stop();

  const file = files(out).find(one => one.endsWith('data.mdb'));
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] ^= 1;
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
  const damaged = mooring(['restore', '--data', join(freshFolder(), 'x'), out]);
  assert.equal(damaged.code, 1, 'a backup with one bit turned is not restored');
  assert.match(damaged.err, /damaged|checksum/);
  rmSync(join(out, 'manifest'));
  assert.equal(mooring(['restore', '--data', join(freshFolder(), 'x'), out]).code, 1, 'nor one without its manifest');
});

for (const where of ['log', 'tables']) test(`check: 0 for a sound folder, 3 for each damage planted in the ${where}, 1 for no folder`, async () => {
  const node = await startNode({ set: { 'data.apply_age_ms': '1m' } });
  const client = await node.client();
  const marks = ['first', 'second', 'third'].map(name => `planted-${name}-${unique()}`);
  for (const mark of marks) await phone(client, 'p').edits([edit(unique('e'), { mark })]);
  await phone(client, 'p').voice(Array.from({ length: 100 }, () => voiceItem(unique('v'))));
  client.close();
  // A clean stop brings the tables up to date; a node that was killed leaves what it had in the log.
  if (where === 'tables') await node.stop();
  else await node.kill();
  const sound = check(node.data);
  assert.equal(sound.code, 0);
  assert.match(sound.out, where === 'tables' ? / 103 entities.* tables up to 6/ : / 103 entities.* log 2 to 6, tables up to 1/, 'what the log holds is seen as written');
  assert.match(sound.out, /all is well/);
  assert.equal(check(node.data).code, 0, 'checking changes nothing');

  const file = files(node.data).find(one => one.endsWith('data.mdb'));
  const clean = readFileSync(file);
  for (const mark of marks) {
    const bytes = Buffer.from(clean);
    let places = 0;
    for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) {
      bytes[at + 3] ^= 0x20;
      places += 1;
    }
    assert.ok(places > 0);
    writeFileSync(file, bytes);
    const found = check(node.data);
    assert.equal(found.code, 3, found.out + found.err);
    assert.match(found.out, /shard 0: .+/);
    assert.match(found.out, /\d+ findings?: restore a backup/);
    assert.ok(!found.out.includes('planted'), 'no entity\'s data in what is printed');
  }
  writeFileSync(file, clean);
  truncateSync(file, clean.length >> 1);
  assert.ok([1, 3].includes(check(node.data).code), 'a file cut in half');
  for (const junk of [Buffer.alloc(0), Buffer.alloc(1 << 16, 0x5a)]) {
    writeFileSync(file, junk);
    const how = check(node.data);
    assert.ok([1, 3].includes(how.code), `${how.code} ${how.signal} ${how.err}`);
  }
  writeFileSync(file, clean);
  assert.equal(check(node.data).code, 0);
  assert.equal(check(join(freshFolder(), 'nothing')).code, 1);
});

test('a page of the file turned to noise is found, or unused, and never a crash', async () => {
  const node = await startNode();
  const client = await node.client();
  for (let i = 0; i < 5; ++i) await phone(client, 'p').voice(Array.from({ length: 40 }, () => voiceItem(unique('v'))));
  client.close();
  await node.stop();
  const file = files(node.data).find(one => one.endsWith('data.mdb'));
  const clean = readFileSync(file), page = 4096;
  let found = 0;
  for (let at = 2 * page; at < clean.length; at += page) { // pages 0 and 1 are two copies of one thing
    const bytes = Buffer.from(clean);
    for (let i = 0; i < page; ++i) bytes[at + i] ^= (i * 31 + at) & 0xff;
    writeFileSync(file, bytes);
    const how = check(node.data);
    assert.ok([0, 1, 3].includes(how.code), `page ${at / page}: ${how.code ?? how.signal}\n${how.err}`);
    if (how.code !== 0) found += 1;
  }
  assert.ok(found >= 5, `${found} pages`);
});

test('the log: a file, lines of JSON, and nothing that is secret', async () => {
  const file = join(freshFolder(), 'mooring.log');
  const node = await startNode({ set: { 'log.json': true, 'log.level': 'debug' } });
  const bearer = node.token();
  const client = await connect(node, bearer);
  const mark = `private-${unique()}`;
  await phone(client, 'p').edit(edit(unique('e'), { mark }));
  await client.run('{ nothing }');
  client.close();
  await node.stop();
  const lines = node.log.trim().split('\n').filter(line => !line.startsWith('***'));
  for (const line of lines) {
    const entry = JSON.parse(line);
    assert.ok(!Number.isNaN(Date.parse(entry.time ?? entry.timestamp ?? entry.ts)), line);
  }
  assert.ok(lines.length >= 2);
  for (const secret of [bearer, bearer.split('.')[2], mark]) assert.ok(!node.log.includes(secret));
  writeFileSync(file, '');
  appendFileSync(file, 'kept\n');
  const quiet = mooring(['serve', '--data', '/proc/none', '--set', `log.file=${file}`], { timeout: 10_000 });
  assert.equal(quiet.code, 1);
  assert.match(quiet.err, /proc\/none/, 'why it did not start is told on standard error as well');
  assert.match(readFileSync(file, 'utf8'), /^kept/);
});
