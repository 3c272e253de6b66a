import { hangingTest, type PlantedBug, test } from '../planted-bug.ts';

/** Idempotent producers: a record sent twice is stored once. */
export const producerBugs: readonly PlantedBug[] = [
  {
    name: 'sequence not wrapped',
    wrong: 'After 2^31 records the next sequence is expected to be 2^31: a long-lived producer is refused for ever.',
    file: 'src/log/producer-state.ts',
    find: 'return sequence === SEQUENCE_LAST ? 0 : sequence + 1;',
    replace: 'return sequence > SEQUENCE_LAST ? 0 : sequence + 1;',
    caughtBy: [
      test('log/producer-state', 'a producer wraps its sequences at 2^31 - 1, between batches and inside one'),
    ],
  },
  {
    name: 'one batch in flight too few remembered',
    wrong: 'Four batches are remembered where clients have five in flight: a retry of the oldest ends the producer.',
    file: 'src/log/producer-state.ts',
    find: 'before.batches.slice(1 - BATCHES_KEPT)',
    replace: 'before.batches.slice(2 - BATCHES_KEPT)',
    caughtBy: [
      test(
        'log/producer-state',
        'a producer that sends one of its last five batches again gets its first offset; an older one is out of order',
      ),
    ],
  },
  {
    name: 'older epoch accepted',
    wrong: 'A producer of the epoch before is not fenced: a zombie writes between its successor’s records.',
    file: 'src/log/producer-state.ts',
    find: 'if (epoch < producer.epoch) {',
    replace: 'if (epoch < producer.epoch - 1) {',
    caughtBy: [
      test(
        'log/producer-state',
        'a producer of a new epoch begins at 0, and one of an older epoch is refused from then on',
      ),
    ],
  },
  {
    name: 'producer state left by a failed write',
    wrong:
      'What a failed write refused counts as sent: the producer’s retry is answered as stored, and the record is lost.',
    file: 'src/log/partition-log.ts',
    find: 'for (const { undo } of lost.toReversed()) undo?.();',
    replace: 'for (const { undo } of this.#pending.takeAll().toReversed()) undo?.();',
    caughtBy: [
      hangingTest(
        'log/failing-disk',
        'a write fails once, with more appended behind it: all of these are refused, none of those before',
      ),
    ],
  },
  {
    name: 'snapshot with a batch too many',
    wrong:
      'The snapshot at a roll has batches that are not written yet: lost with a crash, their retries pass for stored.',
    file: 'src/log/partition-log.ts',
    find: '() => this.#producersWritten());',
    replace: '() => this.producers.snapshot());',
    caughtBy: [
      test(
        'log/retries',
        'a producer that sends again what a crash left unanswered has each record once, wherever it was',
      ),
    ],
  },
  {
    name: 'duplicates not known after a restart',
    wrong:
      'Recovery takes the snapshot alone, without the batches after it: their retries after a restart are refused, or stored twice.',
    file: 'src/log/producer-snapshot.ts',
    find: 'if (snapshot?.nextOffset === endNext) return producers;',
    replace: 'if ((snapshot?.nextOffset ?? -1) >= 0) return producers;',
    caughtBy: [
      test(
        'log/retries',
        'a producer that sends again what a crash left unanswered has each record once, wherever it was',
      ),
    ],
  },
  {
    name: 'retry answered before the original is durable',
    wrong:
      'A retry is acknowledged at once, while its original still waits for the disk: a power cut takes an acknowledged record.',
    file: 'src/log/partition-log.ts',
    find: 'this.#audience.add(stored.lastOffset + 1, group);',
    replace: 'group.reached(group.until);',
    caughtBy: [
      test(
        'log/partition-log',
        'one retry among many appends is answered with the first offset, when the original is visible and no later',
      ),
    ],
  },
  {
    name: 'producers expire too soon',
    wrong: 'Every producer is forgotten at the next round of housekeeping: a late retry is stored a second time.',
    file: 'src/log/producer-state.ts',
    find: 'if (producer.seenMs < seenMs)',
    replace: 'if (producer.seenMs > seenMs)',
    caughtBy: [test('log/producer-state', 'a producer is forgotten when it was silent for long enough, and no sooner')],
  },
  {
    name: 'producer ids given out twice',
    wrong:
      'The ledger, written again, does not say which producer ids are taken: two producers share one, and one’s records count as the other’s retries.',
    file: 'src/broker/cluster-state.ts',
    find: "yield { type: 'producerIds', next: this.producerIdNext };",
    replace: "if (this.producerIdNext === 0) yield { type: 'producerIds', next: this.producerIdNext };",
    caughtBy: [test('broker/folds', 'what the cluster’s state tells again makes the same state')],
  },
];
