// Backups over the network: `mooring backup --url`, under load, cut, refused, and beside each other.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { binary, check, connect, edit, forge, freshFolder, killAll, mooring, phone, readAll, secretOf, sleep, startNode, token, unique, until, voiceItem } from './harness.mjs';
import { dial, http } from './wire.mjs';

const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MOORING_')));
const files = folder => readdirSync(folder, { withFileTypes: true, recursive: true }).filter(one => one.isFile()).map(one => join(one.path, one.name));
const operator = node => token(node.data, { user: 'op', roles: ['operator'] });

after(killAll);

// The command in the background, so that this process can serve and upload meanwhile.
async function backup(args, env = {}) {
  const child = spawn(binary, ['backup', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...clean, ...env } });
  let out = '', err = '';
  child.stdout.on('data', text => (out += text));
  child.stderr.on('data', text => (err += text));
  const code = await new Promise(resolve => child.once('close', resolve));
  return { code, out, err };
}

// A node with some 12 MB of data that does not compress into nothing.
async function largeNode(set = {}) {
  const node = await startNode({ set });
  const client = await node.client();
  for (let i = 0; i < 60; ++i) await phone(client, 'p').edits([edit(unique('e'), { text: `${i}-`.padEnd(200_000, 'abcdefghij') })]);
  client.close();
  // The log goes when the tables have everything: from then on two copies are of one size.
  await until(async () => /mooring_unapplied_bytes\{shard="0"\} 0$/m.test((await http(node, { path: '/metrics' })).text), 'the tables');
  return node;
}

// Between the command and the node; `through(chunk, sentBefore)` answers what goes on to the command, or null to cut.
async function proxy(node, through) {
  const server = createServer(near => {
    const far = createConnection(node.port, '127.0.0.1');
    let sent = 0;
    near.on('data', chunk => far.write(chunk));
    far.on('data', chunk => {
      const on = through(chunk, sent);
      sent += chunk.length;
      if (on?.length) near.write(on);
      if (on !== null && on.length === chunk.length) return;
      near.end();
      far.destroy();
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => {});
      one.on('close', () => other.end());
    }
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

test('a backup over the network is whole under load, and restores to what was acknowledged before it began', async () => {
  const node = await startNode({ set: { 'data.shards': 2, 'network.threads': 2 } });
  const tenants = ['acme', 'umbrella', 'initech'], clients = [];
  for (const tenant of tenants) clients.push(await node.client({ tenant, user: 'ann' }));
  const uploaded = tenants.map(() => []);
  let stop = false;
  const load = Promise.all(clients.map(async (client, i) => {
    while (!stop) {
      const ids = Array.from({ length: 20 }, () => unique('v'));
      await phone(client, 'p').voice(ids.map(id => voiceItem(id)));
      uploaded[i].push(...ids);
    }
  }));
  await until(() => uploaded.every(list => list.length > 200), 'some load');
  const before = uploaded.map(list => [...list]);
  const out = join(freshFolder(), 'backup');
  const done = await backup(['--url', node.origin, '--token', operator(node), out]);
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /: 3 files, \d+ bytes, as of 20/);
  await sleep(50);
  stop = true;
  await load;
  assert.equal(statSync(out).mode & 0o777, 0o700);
  for (const file of files(out)) assert.equal(statSync(file).mode & 0o777, 0o600, file);
  assert.deepEqual(files(out).map(file => file.slice(out.length + 1)).sort(), ['jwt.secret', 'manifest', 'shards/0/data.mdb', 'shards/1/data.mdb']);
  assert.ok(!existsSync(`${out}.receiving`));
  const again = await backup(['--url', node.origin, '--token', operator(node), out]);
  assert.equal(again.code, 1, 'a backup is not overwritten');
  assert.match(again.err, /exists already/);

  const restored = join(freshFolder(), 'restored');
  const made = mooring(['restore', '--data', restored, out]);
  assert.equal(made.code, 0, made.err);
  const checked = check(restored);
  assert.equal(checked.code, 0, checked.out);
  const copy = await startNode({ data: restored });
  for (const [i, tenant] of tenants.entries()) {
    const client = await connect(copy, node.token({ tenant, user: 'ann' })); // the secret came along
    const ids = (await readAll(client, { first: 500 })).entities.map(one => one.entityId);
    assert.deepEqual(ids, uploaded[i].slice(0, ids.length), 'as of one moment: a beginning of what was acknowledged');
    assert.ok(ids.length >= before[i].length, `${ids.length} of at least ${before[i].length}`);
    assert.equal((await phone(client, 'p').voice([voiceItem(unique())])).success, true);
    client.close();
  }
  await copy.stop();
  const metrics = (await http(node, { path: '/metrics' })).text;
  assert.match(metrics, /mooring_backups_total\{outcome="success"\} 1\n/);
  assert.match(metrics, /mooring_backup_running 0\n/);
  assert.match(node.log, /request [0-9a-f]+: user op of tenant acme takes a backup/);
  await node.stop();
});

test('only an operator gets one; a refusal says why, and makes nothing', async () => {
  const node = await startNode();
  const folder = freshFolder(), out = join(folder, 'backup');
  const refused = async (args, env) => {
    const how = await backup([...args, out], env);
    assert.deepEqual(readdirSync(folder), []);
    return how;
  };
  const url = ['--url', node.origin];
  for (const [bearer, says] of [
    ['nonsense', /401: /], [`${operator(node)}x`, /401: /], [forge(secretOf(node.data), { alg: 'HS256' }, { sub: 'op', tenant: 'acme', roles: ['operator'], iat: 1_700_000_000, exp: 1_700_000_600 }), /401: /],
    [node.token(), /403: .*role operator/], [node.token({ roles: ['admin'] }), /403: .*role operator/],
  ]) {
    const how = await refused([...url, '--token', bearer]);
    assert.equal(how.code, 1);
    assert.match(how.err, says);
    assert.ok(!how.err.includes(bearer));
  }
  for (const [args, says] of [
    [url, /MOORING_TOKEN/], [[...url, '--token', 'a', '--token-file', 'b'], /not both/], [[...url, '--token-file', '/no/such'], /no\/such/],
    [['--url', 'localhost:8440', '--token', 'a'], /http:\/\/HOST:PORT/], [['--url', 'http://192.0.2.1:1', '--token', 'a'], /--insecure/],
    [['--url', node.origin, '--data', node.data], /--data|--url/], [[], /--data|--url/], [[...url, '--token', 'a\nb'], /characters/],
  ]) {
    const how = await refused(args);
    assert.equal(how.code, 2, `${args} ${how.err}`);
    assert.match(how.err + how.out, says);
  }
  const nobody = await refused(['--url', 'http://127.0.0.1:1', '--token', 'a']);
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /127\.0\.0\.1:1: no connection/);

  const page = await http(node, { path: '/backup', headers: { authorization: `Bearer ${operator(node)}`, origin: 'https://evil.example' } });
  assert.equal(page.status, 403, 'no web page gets one');

  // The three places for a token.
  const file = join(freshFolder(), 'token');
  writeFileSync(file, `${operator(node)}\n`);
  for (const [args, env] of [[['--token', operator(node)]], [['--token-file', file]], [[], { MOORING_TOKEN: operator(node) }]]) {
    const to = join(freshFolder(), 'backup');
    const how = await backup([...url, ...args, to], env);
    assert.equal(how.code, 0, how.err);
    assert.ok(existsSync(join(to, 'manifest')));
  }
  await node.stop();
});

test('a stream that is cut or changed on its way leaves nothing that looks like a backup', async () => {
  const node = await largeNode();
  const folder = freshFolder(), bearer = operator(node);
  const whole = await http(node, { path: '/backup', headers: { authorization: `Bearer ${bearer}` } });
  assert.equal(whole.status, 200);
  assert.ok(whole.bytes.length > 10_000_000, `${whole.bytes.length}`);
  const total = whole.bytes.length;
  for (const at of [0, 100, 400, 1_000_000, total >> 1, total - 100, total]) {
    const between = await proxy(node, (chunk, sent) => (sent + chunk.length <= at ? chunk : chunk.subarray(0, Math.max(at - sent, 0))));
    const how = await backup(['--url', between.url, '--token', bearer, join(folder, `cut-${at}`)]);
    between.close();
    assert.equal(how.code, 1, `cut at ${at}`);
    assert.match(how.err, /ended|reading the answer/, `cut at ${at}`);
    assert.deepEqual(readdirSync(folder), [], `cut at ${at}`);
  }
  for (const at of [1_000, 1_000_000, total >> 1, total - 200]) {
    let turned = false;
    const between = await proxy(node, (chunk, sent) => {
      if (sent <= at && at < sent + chunk.length) {
        chunk = Buffer.from(chunk);
        chunk[at - sent] ^= 4;
        turned = true;
      }
      return chunk;
    });
    const how = await backup(['--url', between.url, '--token', bearer, join(folder, `turned-${at}`)]);
    between.close();
    assert.ok(turned);
    assert.equal(how.code, 1, `turned at ${at}: ${how.out}`);
    assert.deepEqual(readdirSync(folder), [], `turned at ${at}`);
  }
  // What an interrupted one left is no backup, and is no hindrance.
  const out = join(folder, 'backup');
  const child = spawn(binary, ['backup', '--url', node.origin, '--token', bearer, out], { stdio: 'ignore', env: clean });
  await until(() => existsSync(`${out}.receiving`) || child.exitCode !== null, 'its beginning');
  child.kill('SIGKILL');
  await new Promise(resolve => (child.exitCode !== null || child.signalCode ? resolve() : child.once('exit', resolve)));
  if (!existsSync(out)) assert.equal(mooring(['restore', '--data', join(folder, 'x'), out]).code, 1);
  await until(async () => (await http(node, { path: '/metrics' })).text.includes('mooring_backup_running 0'), 'the node to notice');
  const after = await backup(['--url', node.origin, '--token', bearer, join(folder, 'after')]);
  assert.equal(after.code, 0, after.err);
  await node.stop();
});

test('one at a time; a slow reader costs no memory and holds nobody up; a stop does not wait for it', async () => {
  const node = await largeNode();
  const bearer = operator(node), folder = freshFolder();
  const resident = () => Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${node.pid}/status`, 'utf8'))[1]);
  const before = resident();
  const slow = async () => {
    const wire = await dial(node, { reads: false });
    wire.socket.pause();
    wire.send(`GET /backup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\n\r\n`);
    await until(async () => (await http(node, { path: '/metrics' })).text.includes('mooring_backup_running 1'), 'the first one');
    return wire;
  };
  const first = await slow();
  const second = await backup(['--url', node.origin, '--token', bearer, join(folder, 'second')]);
  assert.equal(second.code, 1);
  assert.match(second.err, /503: another backup is running/);
  const client = await node.client();
  for (let i = 0; i < 20; ++i) assert.equal((await phone(client, 'q').edits([edit(unique('e'), { text: 'x'.repeat(100_000) })])).success, true);
  client.close();
  assert.ok(resident() - before < 40_000, `${resident() - before} kB more`);
  first.close();
  await until(async () => (await http(node, { path: '/metrics' })).text.includes('mooring_backup_running 0'), 'its end');
  const third = await backup(['--url', node.origin, '--token', bearer, join(folder, 'third')]);
  assert.equal(third.code, 0, third.err);

  const last = await slow();
  const how = await node.stop();
  assert.equal(how.code, 0, node.log);
  assert.ok(how.took_ms < 5_000, `${how.took_ms} ms`);
  last.close();
  assert.match(node.log, /request [0-9a-f]+: the connection ended before the whole answer was sent/);
  assert.equal(check(node.data).code, 0);
});

test('over TLS the node must be the one that its certificate names', async () => {
  const folder = freshFolder(), cert = join(folder, 'cert.pem'), key = join(folder, 'key.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=node',
    '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const node = await startNode({ set: { 'network.tls_certificate': cert, 'network.tls_key': key } });
  const bearer = operator(node);
  const to = join(freshFolder(), 'backup');
  const named = `https://localhost:${node.port}`;
  const untrusted = await backup(['--url', named, '--token', bearer, to]);
  assert.equal(untrusted.code, 1);
  assert.match(untrusted.err, /not trusted: self.signed/);
  const misnamed = await backup(['--url', node.origin, '--ca', cert, '--token', bearer, to]);
  assert.equal(misnamed.code, 1);
  assert.match(misnamed.err, /not trusted: .*mismatch/);
  const plain = await backup(['--url', `http://localhost:${node.port}`, '--token', bearer, to]);
  assert.equal(plain.code, 1);
  assert.ok(!existsSync(to));
  const done = await backup(['--url', named, '--ca', cert, '--token', bearer, to]);
  assert.equal(done.code, 0, done.err);
  assert.equal(mooring(['restore', '--data', join(folder, 'restored'), to]).code, 0);
  assert.equal(check(join(folder, 'restored')).code, 0);
  await node.stop();
});
