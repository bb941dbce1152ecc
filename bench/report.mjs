// The results as people read them: one line while it runs, then tables and the targets.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

import { groups } from './cases.mjs';

const number = (value, digits = 0) =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const time = us => (us >= 10_000 ? `${number(us / 1000, 1)} ms` : us >= 1000 ? `${number(us / 1000, 2)} ms` : `${number(us)} µs`);

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

export function line(r) {
  const name = `${r.group.padEnd(2)} ${r.case.padEnd(15)} ${r.target.padEnd(8)}`;
  if (r.case === 'idle')
    return `${name} ${number(r.connections)} connections: ${number(r.resident_bytes_per_connection)} bytes each`;
  const store = r.group === 'F' ? `${number(r.entities).padStart(10)} stored ` : '';
  return `${name} ${store}${String(r.in_flight).padStart(5)} at a time  ${number(r.operations_per_s).padStart(9)} op/s  ` +
    `${number(r.items_per_s).padStart(9)} items/s  p50 ${time(r.p50_us).padStart(8)}  p99 ${time(r.p99_us).padStart(8)}  ` +
    `CPU ${number(r.server_cpu_us_per_operation, 1).padStart(8)} µs/op` +
    (r.other_cores > 0.2 ? `  (others kept ${number(r.other_cores, 1)} cores busy)` : '') + (r.failures ? `  ${r.failures} FAILED` : '');
}

function table(header, rows) {
  const rule = header.map((_, i) => (i === 0 ? '---' : '---:'));
  return [header, rule, ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

function measurements(name, results) {
  const mine = results.filter(r => r.group === name);
  if (mine.length === 0) return '';
  let body;
  if (name === 'I') {
    body = table(['server', 'connections', 'bytes each', 'of it heap', 'CPU to open one', 'CPU while idle'],
      mine.map(r => [r.target, number(r.connections), number(r.resident_bytes_per_connection),
        number(r.anonymous_bytes_per_connection), time(r.open_cpu_us_per_connection), `${number(r.idle_cores * 100, 2)} %`]));
  } else {
    const isFlat = name === 'F';
    body = table(['server', isFlat ? 'store' : 'at a time', ...(isFlat ? ['operation'] : []), 'operations/s', 'items/s', 'p50', 'p95',
      'p99', 'p99.9', 'CPU µs/op', 'CPU µs/item', 'in the kernel', 'peak MiB', 'others'],
    mine.map(r => [r.target, number(isFlat ? r.entities : r.in_flight), ...(isFlat ? [r.case] : []),
      number(r.operations_per_s), number(r.items_per_s), time(r.p50_us), time(r.p95_us), time(r.p99_us), time(r.p999_us),
      number(r.server_cpu_us_per_operation, 1), number(r.server_cpu_us_per_item, 2),
      `${number(r.server_system_share * 100)} %`, number(r.resident_peak_kib / 1024),
      number(r.other_cores, 1)]));
  }
  return `### ${name}: ${groups[name].title}\n\n${body}\n`;
}

// One line a target: [what, demand, measured, reached or missed].
function targets(results) {
  const find = (group, target, inFlight, kind) =>
    results.find(r => r.group === group && r.target === target && !r.failures &&
      (inFlight === undefined || r.in_flight === inFlight) && (kind === undefined || r.case === kind));
  const rows = [];
  let missed = 0;
  const add = (what, demand, value, reached, shown) => {
    if (value === null || !Number.isFinite(value)) return rows.push([what, demand, '–', 'not measured']);
    if (!reached) ++missed;
    return rows.push([what, demand, shown, reached ? 'reached' : '**missed**']);
  };
  const ratio = (a, b, field) => (a && b ? a[field] / b[field] : null);
  const cheaper = { A: 1 / 4, B: 1 / 6, C1: 1 / 4, C2: 1 / 4 };
  for (const [group, share] of Object.entries(cheaper)) {
    for (const n of [64, 1000]) {
      const ours = find(group, 'mooring', n);
      const peer = find(group, 'peer', n);
      const field = group === 'B' ? 'server_cpu_us_per_item' : 'server_cpu_us_per_operation';
      const cpu = ratio(ours, peer, field);
      add(`${group} at ${number(n)}: CPU, of the peer's`, `≤ 1/${1 / share}`, cpu, cpu <= share,
        cpu && `1/${number(1 / cpu, 1)} (${number(ours[field], 1)} of ${number(peer[field], 1)} µs)`);
      if (group === 'A') {
        const echo = find('A', 'echo', n);
        const times = ratio(ours, echo, field);
        add(`A at ${number(n)}: CPU, of the echo's`, '≤ 3 times', times, times <= 3,
          times && `${number(times, 2)} times (${number(ours[field], 1)} of ${number(echo[field], 1)} µs)`);
      }
      const speed = ratio(ours, peer, 'operations_per_s');
      add(`${group} at ${number(n)}: throughput, of the peer's`, '≥ 5 times', speed, speed >= 5,
        speed && `${number(speed, 1)} times (${number(ours.operations_per_s)} of ${number(peer.operations_per_s)}/s)`);
    }
  }
  const one = find('A', 'mooring', 1);
  add('A at 1: p50', '≤ 0.5 ms', one?.p50_us ?? null, one?.p50_us <= 500, one && time(one.p50_us));
  add('A at 1: p99', '≤ 2 ms', one?.p99_us ?? null, one?.p99_us <= 2000, one && time(one.p99_us));
  const again = find('R', 'mooring', 1);
  add('replay at 1: p50', '≤ 0.2 ms', again?.p50_us ?? null, again?.p50_us <= 200, again && time(again.p50_us));
  for (const n of [1, 8]) {
    const reading = find('D', 'mooring', n);
    add(`D at ${n}: entities/s`, '≥ 200,000', reading?.items_per_s ?? null, reading?.items_per_s >= 200_000,
      reading && number(reading.items_per_s));
  }
  const idle = find('I', 'mooring');
  const bytes = idle?.resident_bytes_per_connection ?? null;
  add('I: memory of an idle connection', '≤ 16 KiB', bytes, bytes <= 16_384,
    idle && `${number(bytes / 1024, 1)} KiB at ${number(idle.connections)}`);
  for (const kind of ['voice', 'edits-scattered']) {
    const both = results.filter(r => r.group === 'F' && r.case === kind && !r.failures).sort((a, b) => a.entities - b.entities);
    const flat = both.length === 2 ? both[1].server_cpu_us_per_operation / both[0].server_cpu_us_per_operation : null;
    add(`F: CPU of ${kind}, large store to small`, '≤ 1.5 times', flat, flat <= 1.5,
      flat && `${number(flat, 2)} times (${number(both[1].entities)} to ${number(both[0].entities)} entities)`);
  }
  return { rows, missed };
}

export function report(machine, results, flags) {
  const { rows, missed } = targets(results);
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
- echo: a raw Boost.Beast WebSocket echo of A's frames, one thread. peer: Node.js with graphql (compiled documents),
  graphql-ws, ws and lmdb, one process.

## Targets

${table(['target', 'demand', 'measured', ''], rows)}

## Measurements

${Object.keys(groups).map(name => measurements(name, results)).filter(Boolean).join('\n')}`;
  return { text, missed };
}
