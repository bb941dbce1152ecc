// The servers that the benchmark starts, each on a fresh data folder and a free port of loopback, and stops by pid.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const running = new Set();

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// What to run for each target. `env` of the node: no rate limits, because one address and a few users ask for all.
function commandOf(target, where, data, port) {
  switch (target) {
    case 'echo':
      return { file: join(where.build, 'mooring_echo'), args: [String(port)], env: {} };
    case 'peer':
      return { file: process.execPath, args: [join(where.bench, 'peers/node/server.js'), '--data', data, '--port', String(port)],
        env: { NODE_ENV: 'production' } };
    default:
      return { file: where.mooring, args: ['serve', '--data', data, '--listen', `127.0.0.1:${port}`],
        env: { MOORING_LIMITS_ENABLED: 'false', MOORING_LOG_LEVEL: 'warning' } };
  }
}

async function isReady(target, port, log) {
  if (target !== 'mooring') return readFileSync(log, 'utf8').includes('listening on');
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

export async function startServer(target, where, label) {
  const data = join(where.data, `${label}-${target}`);
  rmSync(data, { recursive: true, force: true });
  mkdirSync(where.data, { recursive: true });
  if (target === 'peer') mkdirSync(data);
  const log = `${data}.log`;
  const port = await freePort();
  const { file, args, env } = commandOf(target, where, data, port);
  const output = openSync(log, 'w');
  const child = spawn(file, args, { stdio: ['ignore', output, output], env: { ...process.env, ...env } });
  const server = { target, port, pid: child.pid, data, log, secret: join(data, 'jwt.secret'), child };
  child.once('exit', (code, signal) => {
    server.ended = signal ?? code ?? -1;
  });
  child.once('error', problem => {
    server.ended = problem.message;
  });
  running.add(server);
  for (let i = 0; i < 600; ++i) {
    if (server.ended !== undefined) break;
    if (await isReady(target, port, log)) return server;
    await sleep(50);
  }
  await stopServer(server);
  const said = existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : '';
  throw new Error(`${target} did not start (${server.ended ?? 'not ready within 30 s'}): ${said}`);
}

export async function stopServer(server) {
  if (!running.delete(server)) return;
  if (server.ended === undefined) server.child.kill('SIGTERM');
  for (let i = 0; i < 300 && server.ended === undefined; ++i) await sleep(50);
  if (server.ended === undefined) {
    console.error(`${server.target} did not stop within 15 s and was killed`);
    server.child.kill('SIGKILL');
    while (server.ended === undefined) await sleep(20);
  }
  rmSync(server.data, { recursive: true, force: true });
}

export async function stopAll() {
  await Promise.all([...running].map(stopServer));
}

// The peer's packages, from the lock file.
export function installPeer(where) {
  const folder = join(where.bench, 'peers/node');
  if (!existsSync(join(folder, 'node_modules/lmdb')))
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
}
