// What is to be reached, and whether it was.
import { published } from './cases.mjs';
import { number, time } from './format.mjs';
import { eventsPerCore } from './tables.mjs';

// One line a target: [what, demand, measured, reached or missed].
export function targets(results) {
  const find = (group, target, inFlight, kind, listeners) =>
    results.find(r => r.group === group && r.target === target && !r.failures &&
      (inFlight === undefined || r.in_flight === inFlight) && (kind === undefined || r.case === kind) &&
      (listeners === undefined || r.listeners === listeners));
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
  const heard = find('E', 'mooring', undefined, undefined, 100);
  add('E at 100 subscribers: answer to event, p50', '< 1 ms', heard?.event_p50_us ?? null, heard?.event_p50_us < 1000,
    heard && time(heard.event_p50_us));
  add('E at 100 subscribers: answer to event, p99', '< 5 ms', heard?.event_p99_us ?? null, heard?.event_p99_us < 5000,
    heard && time(heard.event_p99_us));
  for (const n of [1, 8]) {
    const ours = eventsPerCore(find('F', 'mooring', n));
    const peer = eventsPerCore(find('F', 'peer', n));
    add(`F, ${n === 1 ? '1 edit' : `${n} edits`} at a time: events/s a core`, '≥ 50,000', ours, ours >= 50_000,
      ours && `${number(ours)}${peer ? `; the peer ${number(peer)}` : ''}; published of ${published.name}: ${number(published.events_per_s / published.cores)}`);
  }
  const quiet = find('G', 'mooring');
  const each = quiet?.resident_bytes_per_connection ?? null;
  add('G: memory of an idle subscriber', '≤ 20 KiB', each, each <= 20_480,
    quiet && `${number(each / 1024, 1)} KiB at ${number(quiet.connections)}`);
  const more = quiet ? quiet.many_cpu_us / quiet.few_cpu_us : null;
  add('G: CPU of an edit for somebody else, with all to with few', '≤ 1.1 times', more, more <= 1.1,
    quiet && `${number(more, 2)} times (${number(quiet.many_cpu_us, 1)} to ${number(quiet.few_cpu_us, 1)} µs)`);
  for (const n of [1, 8]) {
    const missed = find('H', 'mooring', n);
    add(`H, ${n === 1 ? '1 device' : `${n} devices`} at a time: changes/s`, '≥ 100,000', missed?.items_per_s ?? null,
      missed?.items_per_s >= 100_000, missed && number(missed.items_per_s));
  }
  const idle = find('I', 'mooring');
  const bytes = idle?.resident_bytes_per_connection ?? null;
  add('I: memory of an idle connection', '≤ 16 KiB', bytes, bytes <= 16_384,
    idle && `${number(bytes / 1024, 1)} KiB at ${number(idle.connections)}`);
  for (const kind of ['voice', 'edits-scattered']) {
    const both = results.filter(r => r.group === 'S' && r.case === kind && !r.failures).sort((a, b) => a.entities - b.entities);
    const flat = both.length === 2 ? both[1].server_cpu_us_per_operation / both[0].server_cpu_us_per_operation : null;
    add(`S: CPU of ${kind}, large store to small`, '≤ 1.5 times', flat, flat <= 1.5,
      flat && `${number(flat, 2)} times (${number(both[1].entities)} to ${number(both[0].entities)} entities)`);
  }
  return { rows, missed };
}
