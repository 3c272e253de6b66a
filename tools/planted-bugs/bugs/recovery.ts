import { type PlantedBug, simulation, test } from '../planted-bug.ts';

const POWER_CUTS = test(
  'log/power-cuts',
  'whenever the power goes, what was acknowledged is there, once, in order; groups whole; and nothing else',
);

/** What a start makes of the files that it finds. */
export const recoveryBugs: readonly PlantedBug[] = [
  {
    name: 'torn tail kept',
    wrong: 'Recovery looks at a batch’s header and not at its checksum: a torn batch stays, and consumers stop at it.',
    file: 'src/log/tail-scan.ts',
    find: 'if (!follows || checkBatch(batch, 0, batch.length) !== null) return false;',
    replace: 'if (!follows) return false;',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'records of a new epoch cut',
    wrong:
      'Recovery takes a batch of a later epoch than the last for damage: the second crash loses what came after the first.',
    file: 'src/log/tail-scan.ts',
    find: 'leaderEpoch(batch, 0) >= this.epochs.latest;',
    replace: '(this.epochs.latest < 0 || leaderEpoch(batch, 0) === this.epochs.latest);',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'rot cut like a torn tail',
    wrong:
      'Damage in what the journal proves durable is cut with all that follows it: acknowledged records go without a word.',
    file: 'src/log/tail-scan.ts',
    find: 'if (journaled === null || !isBefore({ segmentBase, position }, journaled)) return position;',
    replace: 'if (journaled === null || isBefore({ segmentBase, position }, journaled)) return position;',
    caughtBy: [
      test('log/journal', 'damage in the journal and in the log: what is lost is told of, nothing else is cut'),
    ],
  },
  {
    name: 'unproven bytes not written again',
    wrong:
      'After a failed sync the page cache shows what the disk lacks; recovery only syncs it, which writes nothing: lost later.',
    file: 'src/log/recovery.ts',
    find: 'await segment.syncAgain(segment.baseOffset === checkpoint?.segmentBase ? checkpoint.position : 0);',
    replace: 'await segment.sync();',
    caughtBy: [
      test('log/journal', 'what a failed sync left in the page cache alone is written again before anyone sees it'),
    ],
  },
  {
    name: 'quarantine overwritten',
    wrong:
      'A second cut at the same place overwrites what the first one kept aside: bytes that could be mended are gone.',
    file: 'src/log/torn-tail.ts',
    find: 'if ((await disk.size(name)) === null) return name;',
    replace: 'if (name !== stem) return name;',
    caughtBy: [
      test(
        'log/recovery',
        'a torn tail again and again at the same place and time: each is kept aside, none overwrites another',
      ),
    ],
  },
  {
    name: 'quarantine not synced',
    wrong: 'What is cut is kept aside under a name in the page cache alone: the next power cut takes the only copy.',
    file: 'src/log/torn-tail.ts',
    find: 'await disk.syncFolder(keptIn);',
    replace: '',
    caughtBy: [
      test(
        'log/quarantine',
        'what recovery cuts off is kept aside for good: no power cut takes it, from the moment that the log is open',
      ),
    ],
  },
  {
    name: 'start ended by a damaged place that cannot be read',
    wrong:
      'A place that was found damaged once cannot be read at a later start: the whole broker does not start, for records that nobody was served.',
    file: 'src/log/quarantine.ts',
    find: "if (!isFault(error, 'diskError')) throw error;",
    replace: 'throw error;',
    caughtBy: [
      test(
        'log/quarantine',
        'a damaged place that the disk cannot read by now stays one, and the start goes on without it',
      ),
    ],
  },
  {
    name: 'log start goes back at a restart',
    wrong: 'A start takes the oldest file’s name for the log’s start: records that were deleted are served again.',
    file: 'src/log/recovery.ts',
    find: 'const logStart = Math.max(checkpoint?.logStart ?? 0, segments[0]!.baseOffset);',
    replace: 'const logStart = segments[0]!.baseOffset;',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'offsets given again after a loss',
    wrong:
      'When a log’s files are gone it begins at its old start: consumers meet other records under offsets that they have read.',
    file: 'src/log/recovery.ts',
    find: 'Math.max((journaled ?? checkpoint)?.durableNext ?? 0, checkpoint?.logStart ?? 0);',
    replace: '(journaled ?? checkpoint) === null ? 0 : (checkpoint?.logStart ?? 0);',
    caughtBy: [
      test(
        'log/recovery',
        'bytes that were proven durable are gone: never is an offset given again all segment files are gone: it goes on empty, with offsets as they were',
      ),
    ],
  },
  {
    name: 'short time index believed',
    wrong: 'A time index that lost its end makes a segment look old: retention deletes young records.',
    file: 'src/log/lazy-index.ts',
    find: 'if (index.unproven !== null) {',
    replace: 'if (index.unproven !== null && index.unproven.endPosition === 0) {',
    caughtBy: [test('log/retention', 'by age index files that are gone, cut or empty make nothing old')],
  },
  {
    name: 'leader epoch not proven by the journal',
    wrong:
      'A start takes any leader epoch for what a later round of the journal proves durable: a flipped bit in one goes unseen, and sound batches behind it count as damaged.',
    file: 'src/log/tail-scan.ts',
    find: 'epochsAt: (offset) => this.#epochsAt(offset),',
    replace: '',
    caughtBy: [
      test(
        'log/journal-damage',
        'a leader epoch that is not what was written, of what was synced in place before a round of the journal is damage of that batch alone, found again at each start: batch 0',
      ),
    ],
  },
  {
    name: 'leader epochs of the tail forgotten',
    wrong:
      'After a crash the broker knows no epoch that began since its last checkpoint: sound records count as damaged, and clients find a divergence.',
    file: 'src/log/tail-scan.ts',
    find: 'this.epochs.begin(leaderEpoch(batch, 0), baseOffset(batch, 0));',
    replace: '',
    caughtBy: [simulation(1, 4)],
  },
  {
    name: 'torn tail cut by a repair that has no room to keep it',
    wrong: 'log repair on a full disk throws away what it was to keep aside.',
    file: 'src/log/torn-tail.ts',
    find: 'if (mustKeepTorn) {',
    replace: 'if (mustKeepTorn && end < 0) {',
    caughtBy: [
      test(
        'log/quarantine',
        'who must keep what is cut off cuts nothing that a full disk has no room to keep, until it has',
      ),
    ],
  },
  {
    name: 'producers of a log forgotten at a start',
    wrong: 'A start finds nobody who sends: what a producer sends again, since its answer was lost, is stored twice.',
    file: 'src/log/producer-snapshot.ts',
    find: 'if (snapshot?.nextOffset === endNext) return producers;',
    replace: 'if (endNext >= 0) return new ProducerState();',
    caughtBy: [
      test(
        'damage/damages',
        'whichever byte of whichever file is flipped, wherever it is cut: it is detected, or all is there',
      ),
    ],
  },
];
