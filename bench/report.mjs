// The whole text of RESULTS.md: the machine, the targets and the tables.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

import { groups } from './cases.mjs';
import { number, table, time } from './format.mjs';
import { measurements } from './tables.mjs';
import { targets } from './targets.mjs';

function output(file, args, cwd) {
  try {
    return execFileSync(file, args, { cwd, stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim();
  } catch {
    return '';
  }
}

// What one flush to the disk costs here: 4 KiB written over and over, each made durable.
function flushTime(folder) {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'flush');
  const handle = openSync(file, 'w');
  const block = Buffer.alloc(4096, 1);
  const times = [];
  for (let i = 0; i < 200; ++i) {
    block[0] = i;
    const began = process.hrtime.bigint();
    writeSync(handle, block, 0, 4096, 0);
    fdatasyncSync(handle);
    times.push(Number(process.hrtime.bigint() - began) / 1000);
  }
  closeSync(handle);
  rmSync(file);
  return times.sort((a, b) => a - b)[100];
}

export function describeMachine(root, data) {
  const [cpu] = cpus();
  const commit = output('git', ['rev-parse', '--short=12', 'HEAD'], root) || 'unknown';
  const changed = output('git', ['status', '--porcelain', '--untracked-files=no'], root) ? ', with local changes' : '';
  const hypervisor = readFileSync('/proc/cpuinfo', 'utf8').includes(' hypervisor') ? ', a virtual machine' : '';
  const flush = flushTime(data);
  return [
    `Machine: ${cpus().length} × ${cpu.model.trim()}${hypervisor}, ${number(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    `Disk: ${output('stat', ['-f', '-c', '%T', data]) || 'unknown'}; one 4 KiB write with fdatasync takes ${time(flush)} (median)`,
    `Commit: ${commit}${changed}; Node.js ${process.version}`,
  ];
}

export function report(machine, results, flags) {
  const { rows, missed } = targets(results);
  const failures = results.filter(r => r.failures)
    .map(r => `- Failed, and not in the tables: ${r.group} ${r.target}, ${number(r.connections)} connections: ${r.first_failure}\n`).join('');
  const text = `# Results of the benchmark

Made by \`bench/run\`; the questions are in the table of targets, what the figures mean for the code in
[docs/performance.md](../docs/performance.md).

- ${machine.join('\n- ')}
- Each run took ${flags.seconds} s after a warm-up${Number(flags.rounds) > 1 ? `; the middle one of ${flags.rounds} rounds stands here` : ''}.
  Servers and the load generator share the machine; the servers of a group ran in turn, on fresh data folders.
- Every answer was checked by the generator, and was given after its flush to the disk. A connection has one operation
  in flight. The CPU time is the server's process alone, all its threads.
- "others" are the cores that neither the server nor the generator kept busy during the run: where it is not near 0, other
  work disturbed the run, and throughput and latencies say little; the CPU time suffers less.
- Every event was checked too: all subscribers hear the same ones in the same order, none is missing or comes twice, and
  nobody hears what is for somebody else. Edits that others hear of have HIGH priority, which is never held back.
- echo: a raw Boost.Beast WebSocket echo of A's frames, one thread. peer: Node.js with graphql (compiled documents),
  graphql-ws, ws and lmdb, one process. Its subscriptions: publish and subscribe within the process, each event executed
  once for all with the same document, and the feed in lmdb for those who are behind. It has no push settings or budgets.
${failures}
## Targets

${table(['target', 'demand', 'measured', ''], rows)}

## Measurements

${Object.keys(groups).map(name => measurements(name, results)).filter(Boolean).join('\n')}`;
  return { text, missed };
}
