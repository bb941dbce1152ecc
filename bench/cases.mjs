// What is measured: groups of runs that share their servers. Runs of one group at one number of connections stand
// beside each other, target after target, so that a slow minute of the machine meets them all. `prime` groups first get
// two seconds that do not count, so that a just-in-time compiler has compiled before one connection is measured.
// `connections` are those that --connections chooses from, unless the group has one run only.
export const groups = {
  A: {
    title: 'syncVoiceData with 1 item, each new',
    kind: target => (target === 'echo' ? 'echo' : 'voice'),
    targets: ['echo', 'peer', 'mooring'],
    prime: true,
    runs: [1, 64, 1000].map(connections => ({ connections })),
  },
  R: {
    title: 'the same request and key again: the stored answer',
    kind: () => 'voice-replay',
    targets: ['peer', 'mooring'],
    prime: true,
    runs: [1, 64].map(connections => ({ connections })),
  },
  B: {
    title: 'syncBatch with 50 mixed items',
    kind: () => 'batch',
    targets: ['peer', 'mooring'],
    prime: true,
    runs: [1, 64, 1000].map(connections => ({ connections, warmUp: connections === 1000 ? 3 : 1 })),
  },
  C1: {
    title: 'syncOperations with 1 UPDATE over 1,000 entities of one tenant',
    kind: () => 'edits',
    targets: ['peer', 'mooring'],
    prime: true,
    runs: [1, 64, 1000].map(connections => ({ connections, entities: 1000 })),
  },
  C2: {
    title: 'the same over 1,000 tenants (1,000 connections, so many operations at a time)',
    kind: () => 'edits-tenants',
    targets: ['peer', 'mooring'],
    prime: true,
    runs: [1, 64, 1000].map(inFlight => ({ connections: 1000, inFlight, entities: 10 })),
  },
  D: {
    title: '`changes`: 100,000 entities from the beginning in pages of 1,000',
    kind: () => 'changes',
    targets: ['peer', 'mooring'],
    // The second run reads what the first one made.
    runs: [{ connections: 1, entities: 100_000, tenant: 'reading' },
      { connections: 8, entities: 100_000, tenant: 'reading', noFill: true }],
  },
  E: {
    title: 'from an edit to its event on other devices: 1 editor',
    kind: () => 'push',
    targets: ['peer', 'mooring'],
    prime: true,
    runs: [1, 100, 1000].map(connections => ({ connections, inFlight: 1 })),
  },
  F: {
    title: "fan-out of one tenant's edits to 1,000 connected devices",
    kind: () => 'push',
    targets: ['peer', 'mooring'],
    prime: true,
    runs: [1, 8].map(inFlight => ({ connections: 1000, inFlight })),
  },
  G: {
    title: 'idle subscribers, and edits that are for somebody else',
    kind: () => 'push-quiet',
    targets: ['peer', 'mooring'],
    runs: [{ connections: 20_000 }],
  },
  H: {
    title: 'catching up with 100,000 missed changes',
    kind: () => 'catch-up',
    targets: ['peer', 'mooring'],
    runs: [1, 8].map(connections => ({ connections, entities: 100_000 })),
  },
  I: {
    title: 'idle authenticated connections',
    kind: () => 'idle',
    targets: ['peer', 'mooring'],
    runs: [{ connections: 20_000 }],
  },
  M: {
    title: 'what a phone does: uploads 1 item and reads `changes` since the last time, in turn (an upload is an item)',
    kind: () => 'phones',
    targets: ['peer', 'mooring'],
    prime: true,
    runs: [64, 1000].map(connections => ({ connections })),
  },
  S: { title: 'flatness: 64 connections on a small and on a large store', flatness: true },
};

// Others' figures, as they published them: not measured here, on other machines, with other messages.
export const published = {
  name: 'Centrifugo',
  connections: 1_000_000,
  events_per_s: 500_000,
  cores: 40,
  bytes_per_connection: 30_000,
  p99_us: 200_000,
  source: 'https://centrifugal.dev/blog/2020/02/10/million-connections-with-centrifugo',
};

// Flatness: each round measures both stores with both operations; a round edits entities that no other round edits.
export const flatness = { small: 10_000, rounds: 3, connections: 64 };
