// What is measured: groups of runs that share their servers. Runs of one group at one number of connections stand
// beside each other, target after target, so that a slow minute of the machine meets them all. `prime` groups first get
// two seconds that do not count, so that a just-in-time compiler has compiled before one connection is measured.
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
  I: {
    title: 'idle authenticated connections',
    kind: () => 'idle',
    targets: ['peer', 'mooring'],
    runs: [{ connections: 20_000 }],
  },
  F: { title: 'flatness: 64 connections on a small and on a large store', flatness: true },
};

// Flatness: each round measures both stores with both operations; a round edits entities that no other round edits.
export const flatness = { small: 10_000, rounds: 3, connections: 64 };
