// What was measured, as people read it: one line while it runs, and a table for each group.
import { groups, published } from './cases.mjs';
import { number, table, time } from './format.mjs';

const disturbed = r => (r.other_cores > 0.2 ? `  (others kept ${number(r.other_cores, 1)} cores busy)` : '');
const failed = r => (r.failures ? `  ${r.failures} FAILED` : '');

export function line(r) {
  const name = `${r.group.padEnd(2)} ${r.case.padEnd(15)} ${r.target.padEnd(8)}`;
  if (r.case === 'idle')
    return `${name} ${number(r.connections)} connections: ${number(r.resident_bytes_per_connection)} bytes each`;
  if (r.case === 'push-quiet')
    return `${name} ${number(r.connections)} subscribers: ${number(r.resident_bytes_per_connection)} bytes each; an edit for somebody ` +
      `else: CPU ${number(r.few_cpu_us, 1)} µs with ${r.few} of them, ${number(r.many_cpu_us, 1)} µs with all` + failed(r);
  if (r.case === 'push')
    return `${name} ${number(r.listeners ?? 0).padStart(5)} listen, ${r.in_flight} edit  ${number(r.operations_per_s).padStart(6)} edits/s  ` +
      `${number(r.items_per_s).padStart(9)} events/s  after the answer p50 ${time(r.event_p50_us).padStart(8)}  ` +
      `p99 ${time(r.event_p99_us).padStart(8)}  CPU ${number(r.server_cpu_us_per_item, 2).padStart(7)} µs/event` + disturbed(r) + failed(r);
  const store = r.group === 'S' ? `${number(r.entities).padStart(10)} stored ` : '';
  return `${name} ${store}${String(r.in_flight).padStart(5)} at a time  ${number(r.operations_per_s).padStart(9)} op/s  ` +
    `${number(r.items_per_s).padStart(9)} items/s  p50 ${time(r.p50_us).padStart(8)}  p99 ${time(r.p99_us).padStart(8)}  ` +
    `CPU ${number(r.server_cpu_us_per_operation, 1).padStart(8)} µs/op` +
    disturbed(r) + failed(r);
}

const common = [
  ['operations/s', r => number(r.operations_per_s)],
  ['items/s', r => number(r.items_per_s)],
  ['p50', r => time(r.p50_us)],
  ['p95', r => time(r.p95_us)],
  ['p99', r => time(r.p99_us)],
  ['p99.9', r => time(r.p999_us)],
  ['CPU µs/op', r => number(r.server_cpu_us_per_operation, 1)],
  ['CPU µs/item', r => number(r.server_cpu_us_per_item, 2)],
  ['in the kernel', r => `${number(r.server_system_share * 100)} %`],
  ['peak MiB', r => number(r.resident_peak_kib / 1024)],
  ['others', r => number(r.other_cores, 1)],
];
const usual = [['at a time', r => number(r.in_flight)], ...common];

// Events a second that one core of the server would send, at the CPU time that one took.
export const eventsPerCore = r => (r?.server_cpu_us_per_item ? 1e6 / r.server_cpu_us_per_item : null);

// The columns of each group: [heading, cell].
const columns = {
  E: [
    ['subscribers', r => number(r.listeners)],
    ['answer to event: p50', r => time(r.event_p50_us)],
    ['p95', r => time(r.event_p95_us)],
    ['p99', r => time(r.event_p99_us)],
    ['p99.9', r => time(r.event_p999_us)],
    ['edit to event: p50', r => time(r.sent_to_event_p50_us)],
    ['p95', r => time(r.sent_to_event_p95_us)],
    ['p99', r => time(r.sent_to_event_p99_us)],
    ['p99.9', r => time(r.sent_to_event_p999_us)],
    ['before the answer', r => `${number(r.before_answer_share * 100)} %`],
    ['edits/s', r => number(r.operations_per_s)],
    ['CPU µs/event', r => number(r.server_cpu_us_per_item, 2)],
    ['others', r => number(r.other_cores, 1)],
  ],
  F: [
    ['subscribers', r => number(r.listeners)],
    ['edits at a time', r => number(r.in_flight)],
    ['edits/s', r => number(r.operations_per_s)],
    ['events/s', r => number(r.items_per_s)],
    ['events/s a core', r => number(eventsPerCore(r))],
    ['CPU µs/event', r => number(r.server_cpu_us_per_item, 2)],
    ['in the kernel', r => `${number(r.server_system_share * 100)} %`],
    ['edit to last event: p50', r => time(r.p50_us)],
    ['p99', r => time(r.p99_us)],
    ['peak MiB', r => number(r.resident_peak_kib / 1024)],
    ['others', r => number(r.other_cores, 1)],
  ],
  G: [
    ['subscribers', r => number(r.connections)],
    ['bytes each', r => number(r.resident_bytes_per_connection)],
    ['of it heap', r => number(r.anonymous_bytes_per_connection)],
    ['CPU to subscribe one', r => time(r.subscribe_cpu_us)],
    ['CPU while idle', r => `${number(r.idle_cores * 100, 2)} %`],
    ['CPU of an edit: few', r => `${number(r.few_cpu_us, 1)} µs`],
    ['all', r => `${number(r.many_cpu_us, 1)} µs`],
    ['edit to event, p50: few', r => time(r.few_p50_us)],
    ['all', r => time(r.many_p50_us)],
    ['others', r => number(r.other_cores, 1)],
  ],
  H: [
    ['devices at a time', r => number(r.in_flight)],
    ['changes/s', r => number(r.items_per_s)],
    ['CPU µs/change', r => number(r.server_cpu_us_per_item, 2)],
    ['in the kernel', r => `${number(r.server_system_share * 100)} %`],
    ['a device caught up: p50', r => (r.operations > 0 ? time(r.p50_us) : 'longer than the run')],
    ['peak MiB', r => number(r.resident_peak_kib / 1024)],
    ['others', r => number(r.other_cores, 1)],
  ],
  I: [
    ['connections', r => number(r.connections)],
    ['bytes each', r => number(r.resident_bytes_per_connection)],
    ['of it heap', r => number(r.anonymous_bytes_per_connection)],
    ['CPU to open one', r => time(r.open_cpu_us_per_connection)],
    ['CPU while idle', r => `${number(r.idle_cores * 100, 2)} %`],
  ],
  S: [['store', r => number(r.entities)], ['operation', r => r.case], ...common],
};

// What stands below a table.
const notes = {
  E: `A subscriber is a device of a user of its own. An event that came before the answer counts as 0 after it; the peer sends
its events first. The times are those of the generator, which reads all sockets on one thread: with 1,000 subscribers the last
ones wait for it too.`,
  F: `An edit counts when all have its event; then its editor sends the next. What ${published.name} says
(${published.source}), on its authors' machines
and with their messages, not measured here: ${number(published.events_per_s)} messages a second to ${number(published.connections)} connections with ${published.cores} cores, that
is ${number(published.events_per_s / published.cores)} a second and core, in ${time(published.p99_us)} at the 99th percentile, with about ${number(published.bytes_per_connection / 1000)} kB of memory a connection.`,
  G: `Every second subscriber is another user of the tenant where the edits happen, the others are of a hundred other tenants. The
edits are of entities that only their user may see, who has one device listening; they are made while all listen, while few (10) do,
and while all do again. Then one edit that the tenant may see reaches all of its devices. The memory includes what
the process keeps of the device's registration.`,
  H: `From a cursor before the changes to CaughtUpEvent, again and again.`,
};

export function measurements(name, results) {
  const mine = results.filter(r => r.group === name && !r.failures);
  if (mine.length === 0) return '';
  const of = columns[name] ?? usual;
  const rows = mine.map(r => [r.target, ...of.map(([, cell]) => cell(r))]);
  const below = notes[name] ? `\n${notes[name]}\n` : '';
  return `### ${name}: ${groups[name].title}\n\n${table(['server', ...of.map(([heading]) => heading)], rows)}\n${below}`;
}
