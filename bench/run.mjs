// Runs the cases and writes RESULTS.md.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

import { flatness, groups } from './cases.mjs';
import { describeMachine, report } from './report.mjs';
import { installPeer, startServer, stopAll, stopServer } from './servers.mjs';
import { line } from './tables.mjs';

const bench = dirname(fileURLToPath(import.meta.url));
const root = dirname(bench);
const { values: flags } = parseArgs({ options: {
  help: { type: 'boolean', short: 'h' },
  only: { type: 'string', default: Object.keys(groups).join(',') },
  targets: { type: 'string', default: 'echo,peer,mooring' },
  connections: { type: 'string' },
  seconds: { type: 'string', default: '5' },
  rounds: { type: 'string', default: '1' },
  large: { type: 'string', default: '1000000' },
  build: { type: 'string', default: join(root, 'build/release') },
  mooring: { type: 'string' },
  data: { type: 'string', default: join(root, 'build/bench-data') },
  write: { type: 'boolean', default: false },
  output: { type: 'string', default: join(bench, 'RESULTS.md') },
} });

if (flags.help) {
  console.log(`bench/run [options]

Drives the raw echo, the Node.js peer and a node, interleaved, and prints a table and the targets. A whole run with
all groups and targets writes bench/RESULTS.md; a partial one only prints, unless --write is given.

  --only A,B,…       groups: ${Object.entries(groups).map(([name, g]) => `${name} ${g.title}`).join('\n                     ')}
  --targets T,…      of echo, peer, mooring
  --connections N,…  only these numbers of connections (C2, F: of operations at a time)
  --seconds S        of each run (5)
  --rounds N         runs of each case, the middle one counts (1)
  --large N          entities of the large store in S (1000000; the full question is 10000000, about ten times as long)
  --build DIR        with mooring, mooring_load and mooring_echo (build/release)
  --mooring FILE     another binary of the node
  --data DIR         where the servers keep their data: a real disk, not a tmpfs (build/bench-data)
  --write            write the results of a partial run as well       --output FILE  (bench/RESULTS.md)`);
  process.exit(0);
}

const where = { bench, build: resolve(flags.build), data: resolve(flags.data) };
where.mooring = flags.mooring ? resolve(flags.mooring) : join(where.build, 'mooring');
const load = join(where.build, 'mooring_load');
const wanted = flags.only.split(',');
const targets = flags.targets.split(',');
for (const name of wanted)
  if (!groups[name]) throw new Error(`no such group: ${name}; there are ${Object.keys(groups).join(', ')}`);
for (const [target, file] of [['load', load], ['echo', join(where.build, 'mooring_echo')], ['mooring', where.mooring]])
  if ((target === 'load' || targets.includes(target)) && !existsSync(file))
    throw new Error(`${file} is not there; build it first (./dev build)`);
if (targets.includes('peer')) installPeer(where);

// The most connections that a server may hold under this machine's limit of open files.
const filesMax = Number(execFileSync('sh', ['-c', 'ulimit -Hn']).toString()) || 1 << 20;
const results = [];
let failed = false;

async function measure(server, group, run, round, quiet = false) {
  const kind = run.kind ?? groups[group].kind(server.target);
  const connections = Math.min(run.connections, filesMax - 300);
  const tenant = run.tenant ?? `${group}-${connections}-${run.inFlight ?? connections}-${round}`.toLowerCase();
  const args = ['--case', kind, '--port', server.port, '--pid', server.pid, '--target', server.target,
    '--connections', connections, '--in-flight', run.inFlight ?? connections, '--seconds', run.seconds ?? flags.seconds,
    '--warm-up', run.warmUp ?? 1, '--tenant', tenant, '--entities', run.entities ?? 1000,
    '--part', run.part ?? 0, '--parts', run.parts ?? 1];
  if (server.target !== 'echo') args.push('--secret', server.secret);
  if (run.noFill || round > 0 && run.tenant) args.push('--no-fill');
  try {
    writeFileSync(`/proc/${server.pid}/clear_refs`, '5'); // the peak of memory counts from here
  } catch { /* another user's process, or no such file: the peak is since the start */ }
  let output;
  try {
    output = (await promisify(execFile)(load, args.map(String), { maxBuffer: 1 << 20 })).stdout;
  } catch (problem) {
    output = problem.stdout;
    failed = true;
    console.error(`${group} ${server.target} ${connections}: ${problem.stderr || problem.message}`);
    if (server.ended !== undefined) console.error(readFileSync(server.log, 'utf8').slice(-2000));
  }
  if (!output) return null;
  const result = { group, round, ...JSON.parse(output) };
  if (!quiet) console.log(line(result));
  return result;
}

// Of several rounds the one with the middle CPU time an item (idle: bytes a connection).
function middle(rounds) {
  const by = r => r.server_cpu_us_per_item ?? r.resident_bytes_per_connection;
  const sorted = rounds.filter(r => r !== null && !r.failures).sort((a, b) => by(a) - by(b));
  return sorted[Math.floor(sorted.length / 2)] ?? rounds.find(r => r !== null) ?? null;
}

// What --connections is compared with: that in which the runs of the group differ.
function chosenBy(group, run) {
  const sameConnections = group.runs.every(each => each.connections === run.connections);
  return sameConnections ? run.inFlight ?? run.connections : run.connections;
}

async function runGroup(name) {
  const group = groups[name];
  console.log(`\n${name}: ${group.title}`);
  const here = group.targets.filter(t => targets.includes(t));
  const servers = [];
  for (const target of here) servers.push(await startServer(target, where, name));
  if (group.prime)
    for (const server of servers)
      await measure(server, name, { ...group.runs[0], connections: 64, inFlight: 64, seconds: 1, tenant: 'prime' }, 0, true);
  const only = flags.connections?.split(',').map(Number);
  for (const run of group.runs) {
    if (only && group.runs.length > 1 && !only.includes(chosenBy(group, run))) continue;
    const rounds = new Map(servers.map(s => [s.target, []]));
    for (let round = 0; round < Number(flags.rounds); ++round)
      for (const server of servers) rounds.get(server.target).push(await measure(server, name, run, round));
    for (const found of rounds.values()) {
      const result = middle(found);
      if (result) results.push(result);
    }
  }
  for (const server of servers) await stopServer(server);
}

async function runFlatness() {
  const sizes = [flatness.small, Number(flags.large)];
  console.log(`\nS: ${groups.S.title} (${sizes.join(' and ')} entities)`);
  if (!targets.includes('mooring')) return;
  const stores = [];
  for (const entities of sizes) {
    const server = await startServer('mooring', where, `S-${entities}`);
    stores.push({ server, entities });
    results.push(await measure(server, 'S', { kind: 'fill', connections: 8, entities, tenant: 'flat' }, 0));
  }
  const seconds = Math.min(3, Number(flags.seconds));
  for (const kind of ['voice', 'edits-scattered']) {
    const rounds = stores.map(() => []);
    for (let round = 0; round < flatness.rounds; ++round)
      for (const [i, { server, entities }] of stores.entries())
        rounds[i].push(await measure(server, 'S', { kind, connections: flatness.connections, entities, tenant: 'flat', seconds,
          noFill: true, part: round, parts: flatness.rounds }, round));
    results.push(...rounds.map(middle));
  }
  for (const { server } of stores) await stopServer(server);
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    await stopAll();
    process.exit(130);
  });

try {
  const machine = describeMachine(root, where.data);
  console.log(machine.join('\n'));
  for (const name of wanted) await (groups[name].flatness ? runFlatness() : runGroup(name));
  const { text, missed } = report(machine, results.filter(Boolean), flags);
  console.log(`\n${text}`);
  const whole = wanted.length === Object.keys(groups).length && targets.length === 3 && !flags.connections;
  if (whole || flags.write) {
    writeFileSync(flags.output, text);
    console.log(`written to ${flags.output}`);
  }
  if (missed > 0) console.log(`${missed} target(s) missed`);
} finally {
  await stopAll();
  rmSync(where.data, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
