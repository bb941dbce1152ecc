// What only a real node with a real configuration shows: keys of other issuers, a log file, IPv6, a proxy in front.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { binary, connect, freshFolder, killAll, mooring, phone, post, readAll, startNode, unique, until, voiceItem } from './harness.mjs';

after(killAll);

const info = { query: '{ serverInfo { version } }' };
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MOORING_')));

// ── tokens of other issuers ──

const pem = key => key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' });
const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = (more = {}) => ({ sub: 'ann', tenant: 'acme', iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 600, ...more });

// `signer`: what turns the signed part into a signature.
function tokenOf(header, payload, signer) {
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${signer(signed).toString('base64url')}`;
}
const rsa = key => text => sign('sha256', Buffer.from(text), key);
const ecdsa = key => text => sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
const hmac = secret => text => createHmac('sha256', secret).update(text).digest();

test('tokens of two issuers are verified by their public keys, beside the node\'s own', async () => {
  const folder = freshFolder(), config = join(folder, 'mooring.toml');
  const one = generateKeyPairSync('rsa', { modulusLength: 2048 }), other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(folder, 'rsa.pem'), pem(one.publicKey));
  writeFileSync(join(folder, 'ec.pem'), pem(other.publicKey));
  writeFileSync(config, `[auth]
issuer = "https://issuer.example"
[[auth.keys]]
kid = "2026-rsa"
algorithm = "RS256"
file = "${folder}/rsa.pem"
[[auth.keys]]
kid = "2026-ec"
algorithm = "ES256"
file = "${folder}/ec.pem"
`);
  const node = await startNode({ args: ['--config', config] });
  const iss = 'https://issuer.example', rs = { alg: 'RS256', kid: '2026-rsa', typ: 'JWT' }, es = { alg: 'ES256', kid: '2026-ec', typ: 'JWT' };
  const good = [
    tokenOf(rs, claims({ iss }), rsa(one.privateKey)),
    tokenOf(es, claims({ iss, roles: ['admin'] }), ecdsa(other.privateKey)),
    node.token({ more: ['--issuer', iss] }),
  ];
  for (const bearer of good) assert.equal((await post(node, bearer, info)).status, 200);
  const secret = readFileSync(join(node.data, 'jwt.secret'));
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }), strangerEc = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const [why, bearer] of Object.entries({
    'another RSA key': tokenOf(rs, claims({ iss }), rsa(stranger.privateKey)),
    'another EC key': tokenOf(es, claims({ iss }), ecdsa(strangerEc.privateKey)),
    'the public key as a secret': tokenOf({ ...rs, alg: 'HS256' }, claims({ iss }), hmac(pem(one.publicKey))),
    'the secret under the issuer\'s kid': tokenOf({ ...rs, alg: 'HS256' }, claims({ iss }), hmac(secret)),
    'RS256 under the EC key\'s kid': tokenOf({ ...rs, kid: '2026-ec' }, claims({ iss }), rsa(one.privateKey)),
    'no signature': `${part({ alg: 'none', kid: '2026-rsa' })}.${part(claims({ iss }))}.`,
    'an unknown kid': tokenOf({ ...rs, kid: '2025' }, claims({ iss }), rsa(one.privateKey)),
    'no kid': tokenOf({ alg: 'RS256' }, claims({ iss }), rsa(one.privateKey)),
    'expired': tokenOf(rs, claims({ iss, exp: Math.floor(Date.now() / 1000) - 120 }), rsa(one.privateKey)),
    'another issuer': tokenOf(rs, claims({ iss: 'https://evil.example' }), rsa(one.privateKey)),
    'a signature in DER': tokenOf(es, claims({ iss }), text => sign('sha256', Buffer.from(text), other.privateKey)),
    'claims that were changed': good[0].replace(/\.[^.]+\./, `.${part(claims({ iss, sub: 'eve' }))}.`),
  })) assert.equal((await post(node, bearer, info)).status, 401, why);

  // The whole way, over a WebSocket too: both issuers' users are of one tenant.
  const ann = await connect(node, good[0]), bob = await connect(node, tokenOf(es, claims({ iss, sub: 'bob' }), ecdsa(other.privateKey)));
  assert.equal((await phone(ann, 'a').voice([voiceItem(unique('v'))])).success, true);
  assert.equal((await readAll(ann)).entities.length, 1);
  assert.equal((await readAll(bob)).entities.length, 0);
  ann.close();
  bob.close();
  await node.stop();
});

test('a key that cannot be used is named, and the node does not start', async () => {
  const folder = freshFolder(), config = join(folder, 'mooring.toml');
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }), curve = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  writeFileSync(join(folder, 'small.pem'), pem(small.publicKey));
  writeFileSync(join(folder, 'curve.pem'), pem(curve.publicKey));
  writeFileSync(join(folder, 'text.pem'), 'not a key');
  for (const [algorithm, file, code, says] of [
    ['RS256', 'missing.pem', 1, /missing\.pem/], ['RS256', 'text.pem', 1, /2026/], ['RS256', 'small.pem', 1, /2048/], ['ES256', 'curve.pem', 1, /P-256/],
    ['ES256', 'small.pem', 1, /2026|P-256/], ['HS256', 'text.pem', 2, /RS256/], ['none', 'text.pem', 2, /RS256/],
  ]) {
    writeFileSync(config, `[[auth.keys]]\nkid = "2026"\nalgorithm = "${algorithm}"\nfile = "${folder}/${file}"\n`);
    const how = mooring(['serve', '--config', config, '--data', join(folder, 'data'), '--listen', '127.0.0.1:0'], { timeout: 10_000 });
    assert.equal(how.code, code, `${algorithm} ${file}: ${how.err}`);
    assert.match(how.err, says, `${algorithm} ${file}`);
  }
});

// ── the log ──

test('log.file takes the log, and is continued by the next start', async () => {
  const folder = freshFolder(), file = join(folder, 'mooring.log'), data = join(folder, 'data');
  writeFileSync(file, 'what was there before\n');
  for (let start = 1; start <= 2; ++start) {
    const child = spawn(binary, ['serve', '--data', data, '--listen', '127.0.0.1:0', '--set', `log.file=${file}`, '--set', 'log.json=true', '--set', 'log.level=debug'],
      { stdio: ['ignore', 'pipe', 'pipe'], env: clean });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (said += text));
    const ended = new Promise(resolve => child.once('close', resolve));
    await until(() => readFileSync(file, 'utf8').split('serving ws://').length === start + 1 || child.exitCode !== null, 'the node');
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
    assert.equal(said, '', 'nothing beside the file');
  }
  const [before, ...lines] = readFileSync(file, 'utf8').trim().split('\n');
  assert.equal(before, 'what was there before');
  const entries = lines.map(line => JSON.parse(line));
  assert.equal(entries.filter(one => one.message === 'stopped').length, 2, 'the last line is not lost');
  for (const one of entries) {
    assert.ok(Math.abs(Date.now() - Date.parse(one.time)) < 120_000);
    assert.ok(['debug', 'info', 'warning', 'error'].includes(one.level));
  }
});

test('a log file that cannot be opened is said, and the log goes to standard error', async () => {
  const file = join(freshFolder(), 'file');
  writeFileSync(file, 'no folder');
  const node = await startNode({ set: { 'log.file': join(file, 'mooring.log') } });
  assert.match(node.log, /log cannot be opened.*mooring\.log/);
  assert.match(node.log, /serving ws:/);
  await node.stop();
});

// ── addresses ──

const hasIPv6 = Object.values(networkInterfaces()).flat().some(one => one.address === '::1');

test('a node on IPv6: HTTP, WebSockets, and the tools that reach it', { skip: !hasIPv6 && 'this machine has no ::1' }, async () => {
  const node = await startNode({ listen: '[::1]:0' });
  assert.match(node.log, /serving ws:\/\/\[::1\]:\d+\/graphql/);
  assert.equal((await post(node, node.token(), info)).status, 200);
  const client = await node.client();
  assert.equal((await phone(client, 'p').voice([voiceItem(unique('v'))])).success, true);
  assert.equal((await readAll(client)).entities.length, 1);
  client.close();
  const out = join(freshFolder(), 'backup');
  const done = mooring(['backup', '--url', node.origin, out], { env: { MOORING_TOKEN: node.token({ roles: ['operator'] }) } });
  assert.equal(done.code, 0, done.err);
  assert.ok(statSync(join(out, 'manifest')).size > 0);
  const taken = mooring(['serve', '--data', join(freshFolder(), 'x'), '--listen', `[::1]:${node.port}`], { timeout: 10_000 });
  assert.equal(taken.code, 1);
  assert.match(taken.err, new RegExp(`${node.port}`));
  await node.stop();
});

test('behind a trusted proxy the limit per address is the client\'s, and nobody else\'s header is believed', async () => {
  const limits = { 'limits.enabled': true, 'limits.address_per_second': 0.01, 'limits.address_burst': 5, 'limits.user_burst': 1000, 'limits.user_per_second': 1000 };
  const trusting = await startNode({ set: { ...limits, 'network.trusted_proxies': '127.0.0.1,10.0.0.0/8,::1' } });
  const ask = async (node, forwarded) => (await post(node, node.token(), info, forwarded ? { 'x-forwarded-for': forwarded } : {})).status;
  for (const client of ['203.0.113.7', '2001:db8::7', '198.51.100.9, 203.0.113.8, 10.4.4.4']) {
    for (let i = 0; i < 5; ++i) assert.equal(await ask(trusting, client), 200, `${client} ${i}`);
    assert.equal(await ask(trusting, client), 429, client);
  }
  assert.equal(await ask(trusting, '203.0.113.8'), 429, 'it was 203.0.113.8 before, whatever stood left of it');
  assert.equal(await ask(trusting, '198.51.100.9'), 200, 'and not the one that it claimed to be');
  for (let i = 0; i < 5; ++i) assert.equal(await ask(trusting, i % 2 ? undefined : 'not an address'), 200);
  assert.equal(await ask(trusting, 'unknown'), 429, 'who cannot be read counts as the proxy');
  await trusting.stop();

  const wary = await startNode({ set: limits });
  for (let i = 0; i < 5; ++i) assert.equal(await ask(wary, `203.0.113.${i}`), 200);
  assert.equal(await ask(wary, '203.0.113.99'), 429);
  await wary.stop();

  const wrong = mooring(['serve', '--data', join(freshFolder(), 'x'), '--set', 'network.trusted_proxies=10.0.0.1/8']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /network\.trusted_proxies.*10\.0\.0\.1\/8/);
});
