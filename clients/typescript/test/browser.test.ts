// The built package as it is in a real browser, with its IndexedDB, Web Locks and WebSocket, against a real node: a page
// works offline, the browser is killed, another one finds everything and uploads it. Runs where Debian's chromium is
// (or CHROMIUM names another one), and is skipped elsewhere.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Node, freshFolder } from './harness.js';

const chromium = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const dist = fileURLToPath(new URL('../dist/', import.meta.url));

const page = (url: string, token: string) => `<!doctype html><meta charset="utf-8"><script type="module">
import { IndexedDbStorage, SyncClient, StorageInUseError } from '/dist/index.js';
const report = value => fetch('/report', { method: 'POST', body: JSON.stringify(value) });
try {
  const storage = await IndexedDbStorage.open('app');
  const client = await SyncClient.open({ url: ${JSON.stringify(url)}, deviceId: 'browser', storage, getToken: async () => ${JSON.stringify(token)} });
  if (location.pathname === '/offline') {
    const second = await IndexedDbStorage.open('app').then(() => 'opened', problem => problem instanceof StorageInUseError ? 'in use' : String(problem));
    for (let n = 0; n < 40; ++n) await client.create('TASK', 'task ' + n, { n, text: 'ä😀'.repeat(n) });
    for (let n = 0; n < 40; n += 2) await client.update('TASK', 'task ' + n, now => ({ ...now, even: true }));
    await report({ second, outbox: client.status.outbox });
    for (let n = 0; ; ++n) await client.update('TASK', 'task 1', now => ({ ...now, n: 1000 + n })); // until the browser is killed
  } else {
    const before = client.status.outbox;
    client.start();
    const synced = await client.synced({ timeoutMs: 20000 });
    const views = [];
    for await (const view of client.list('TASK')) views.push(view);
    await report({ before, synced, status: client.status, views });
    await client.close();
  }
} catch (problem) {
  await report({ problem: String(problem && problem.stack || problem) });
}
</script>`;

interface Report { problem?: string; second?: string; outbox?: number; before?: number; synced?: boolean; views?: { entityId: string; version: number; data: { n: number; even?: boolean } }[] }

test('a page that is killed offline, and another that uploads what it left', { skip: existsSync(chromium) ? false : 'there is no chromium', timeout: 120_000 }, async () => {
  let reported: (value: Report) => void = () => {};
  let content = '';
  const server = createServer((request, response) => {
    void (async () => {
      if (request.method === 'POST') {
        let body = '';
        for await (const piece of request.setEncoding('utf8')) body += String(piece);
        reported(JSON.parse(body) as Report);
        response.end();
        return;
      }
      const file = /^\/dist\/(\w+\.js)$/.exec(request.url ?? '')?.[1];
      response.setHeader('content-type', file ? 'text/javascript' : 'text/html');
      response.end(file ? await readFile(dist + file) : content);
    })();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const node = await new Node({ 'network.allowed_origins': origin }).start();
  const bearer = node.token();
  content = page(node.url, bearer);

  const profile = freshFolder();
  const visit = async (path: string): Promise<Report> => {
    const report = new Promise<Report>(resolve => { reported = resolve; });
    const browser = spawn(chromium, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions',
      '--disable-background-networking', `--user-data-dir=${profile}`, origin + path], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    browser.stderr.setEncoding('utf8').on('data', (text: string) => { said += text; });
    const ended = new Promise<void>(resolve => browser.once('exit', () => resolve()));
    const timer = setTimeout(() => reported({ problem: `the page said nothing:\n${said}` }), 50_000);
    try {
      return await report;
    } finally {
      clearTimeout(timer);
      try {
        process.kill(-browser.pid!, 'SIGKILL'); // its whole group, at once
      } catch {
        // it had ended by itself
      }
      await ended;
    }
  };

  try {
    const offline = await visit('/offline');
    assert.equal(offline.problem, undefined);
    assert.deepEqual(offline, { second: 'in use', outbox: 60 });
    const online = await visit('/online');
    assert.equal(online.problem, undefined);
    assert.ok(online.before! >= 60, `${online.before} were there after the kill`);
    assert.equal(online.synced, true);
    assert.equal(online.views!.length, 40);
    const there = (await node.all(bearer)).filter(one => one.domain === 'TASK');
    assert.equal(there.length, 40);
    for (const { entityId, version, data } of there) {
      const view = online.views!.find(one => one.entityId === entityId)!;
      assert.deepEqual([view.version, view.data], [version, data], entityId);
      const n = Number(entityId.slice(5));
      if (n !== 1) assert.deepEqual([data!['n'], data!['text'], data!['even'], version], [n, 'ä😀'.repeat(n), n % 2 === 0 ? true : undefined, n % 2 === 0 ? 2 : 1]);
      else assert.equal(version, 1 + online.before! - 60, 'each edit that was stored before the kill, once');
    }
  } finally {
    server.closeAllConnections();
    server.close();
    await node.stop();
  }
});
