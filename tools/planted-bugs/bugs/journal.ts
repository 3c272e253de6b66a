import { type PlantedBug, simulation, test } from '../planted-bug.ts';

const POWER_CUTS = test(
  'log/power-cuts',
  'whenever the power goes, what was acknowledged is there, once, in order; groups whole; and nothing else',
);

/** The journal: its rounds, its files, its proofs, and their replay. */
export const journalBugs: readonly PlantedBug[] = [
  {
    name: 'journal file used again before the segments are synced',
    wrong:
      'A full journal file is freed without syncing what lies in it elsewhere: a power cut takes acknowledged records.',
    file: 'src/log/journal.ts',
    find: 'await log.syncInPlace(nextOffset);',
    replace: 'await log.syncInPlace(nextOffset - 1);',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'durable in the journal taken for synced in the segment',
    wrong:
      'A log that is asked to sync its file for the journal says that it need not, since the journal has it: both are lost.',
    file: 'src/log/partition-log.ts',
    find: 'if (this.#checkpoint.value.durableNext < nextOffset) await this.sync();',
    replace: 'if (this.marks.durableNext < nextOffset) await this.sync();',
    caughtBy: [POWER_CUTS, simulation(1)],
  },
  {
    name: 'proofs written before the sync',
    wrong:
      'The proofs release a journal file before its segments are synced: a power cut between the two takes acknowledged records.',
    file: 'src/log/journal.ts',
    find: 'while (this.#full.length > 0) await this.#freeOldest(this.#full[0]!);',
    replace:
      'while (this.#full.length > 0) await this.#writeProofs(this.#full[0]!.generation + 1).then(() => this.#freeOldest(this.#full[0]!));',
    caughtBy: [POWER_CUTS, simulation(1, 8)],
  },
  {
    name: 'journal made room in after its end',
    wrong:
      'A round that was under way when a failed sync ended the broker takes the files over as a start does: all that only they hold is released.',
    file: 'src/log/journal.ts',
    find: 'if (this.#closed || this.#making !== null) return;',
    replace: 'if (this.#making !== null) return;',
    caughtBy: [
      test(
        'log/journal',
        'a round that ends after the end of the broker releases nothing: what only the journal has is there at the next start',
      ),
    ],
  },
  {
    name: 'generation not raised when a file is used again',
    wrong: 'Rounds of an earlier use of a file pass for new ones: a start writes old batches over younger ones.',
    file: 'src/log/journal.ts',
    find: 'this.#generation += 1;',
    replace: 'this.#generation += this.#active === null ? 1 : 0;',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'older rounds of a file taken for new',
    wrong:
      'What lies behind the last round, from an earlier use of the file, is replayed: old batches overwrite younger ones.',
    file: 'src/log/journal-replay.ts',
    find: 'whole === null || whole.header.generation < Math.max(releasedBefore, this.generation)',
    replace: 'whole === null',
    caughtBy: [test('log/journal', 'what lies behind the last round, from an earlier use of the file, is no round')],
  },
  {
    name: 'checksum of a round not checked',
    wrong:
      'A round that a power cut tore is replayed as if it were whole: half a batch stands in the log, and half a group.',
    file: 'src/log/journal-replay.ts',
    find: '=== header.checksum ? { header, round } : null;',
    replace: '!== 0n ? { header, round } : null;',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'failed round is survived',
    wrong:
      'A journal write whose sync failed is followed by others: nobody knows whether the round is stored, and it may come back.',
    file: 'src/log/syncer.ts',
    find: 'for (const log of logs) log.fail(cause);',
    replace: 'if (!(cause instanceof Fault)) for (const log of logs) log.fail(cause);',
    caughtBy: [
      test(
        'log/journal',
        'a round that fails ends the broker: nobody is told that it is stored, nor is anything after it',
      ),
    ],
  },
  {
    name: 'a round begun while another is written',
    wrong:
      'Rounds that need not wait for the turn’s end are begun side by side, out of one buffer: what is on the disk is not what was acknowledged.',
    file: 'src/log/syncer.ts',
    find: '>= this.#journal!.earlyRoundLogs) this.#round ??= this.#nextRound();',
    replace: '>= this.#journal!.earlyRoundLogs) void this.#nextRound();',
    caughtBy: [
      test(
        'log/early-round',
        'a round of many logs is on its way to the disk while the next are still appending, and those share the one behind it',
      ),
      POWER_CUTS,
    ],
  },
  {
    name: 'refused round left whole',
    wrong:
      'A round that a full disk refused stays in the journal: what a producer was told is not stored comes back, twice if it retried.',
    file: 'src/log/journal.ts',
    find: 'await active.handle.write([Buffer.alloc(JOURNAL_BLOCK_BYTES)], active.position);',
    replace: 'await Promise.resolve();',
    caughtBy: [
      test(
        'log/journal',
        'a round for which the disk is full is made durable in place; of a group that was refused nothing comes back',
      ),
    ],
  },
  {
    name: 'name of a journal file not synced',
    wrong:
      'A new journal file’s name is in the page cache alone: a power cut takes the file with all that was acknowledged by it.',
    file: 'src/log/journal.ts',
    find: 'await this.#disk.syncFolder(JOURNAL_FOLDER);\n    this.#free.push({ name, sizeBytes });',
    replace: 'this.#free.push({ name, sizeBytes });',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'place in the segment counted without what is unsynced',
    wrong: 'Replay puts a batch at the wrong place of its segment: acknowledged records are overwritten.',
    file: 'src/log/unsynced-batches.ts',
    find: 'const position = endPosition - this.#bytes;',
    replace: 'const position = endPosition - (following.length > 0 ? 0 : this.#bytes);',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'round answered before it is written',
    wrong: 'A round of the journal is answered while its write is on its way: a power cut takes acknowledged records.',
    file: 'src/log/journal.ts',
    find: 'const writing = active.handle.write([this.#round.subarray(0, roundBytes)], active.position);',
    replace:
      'void active.handle.write([Buffer.from(this.#round.subarray(0, roundBytes))], active.position).catch(this.#onFatal); const writing = null;',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'journal written without a sync',
    wrong: 'The journal’s file is opened like any other: its rounds are in the page cache when they are acknowledged.',
    file: 'src/log/journal.ts',
    find: "'writeThrough');",
    replace: "'write');",
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'segment synced without what the journal alone has',
    wrong:
      'A segment file is synced without the batches that wait to be written to it, and the journal’s copy is given up.',
    file: 'src/log/partition-log.ts',
    find: 'if (!(await this.#filing.file()) || this.#stopped !== null) return 0;',
    replace: 'if (this.#stopped !== null) return 0;',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'proofs after bytes alone',
    wrong: 'What is synced in place is proven after 64 MB, not after a second: rot in less is cut off as a torn write.',
    file: 'src/log/syncer.ts',
    find: 'if (this.#unprovenBytes > 0) this.#prove();',
    replace: 'if (this.#unprovenBytes < 0) this.#prove();',
    caughtBy: [test('log/proofs', 'proofs are written once a second while more is synced, and not when nothing is')],
  },
  {
    name: 'torn round not kept aside',
    wrong:
      'The journal’s last round, which is not whole and may have been acknowledged, is written over by the next start.',
    file: 'src/log/journal.ts',
    find: 'await this.#keepTorn();',
    replace: 'await Promise.resolve(this.#keepTorn);',
    caughtBy: [
      test(
        'log/journal-damage',
        'the bytes of a last round that is not whole are kept aside before their place is used again, once, however often a start comes upon them',
      ),
    ],
  },
  {
    name: 'first rounds not missed before there are proofs',
    wrong:
      'Before anything was proven, the journal is taken to begin with whatever whole round comes first: acknowledged records that a flipped bit takes are passed over in silence.',
    file: 'src/log/journal-replay.ts',
    find: 'logs: {}, firstNumber: 1 }',
    replace: 'logs: {} }',
    caughtBy: [test('log/journal-damage', 'the first round is missed also before anything was proven')],
  },
  {
    name: 'filing tried again each round',
    wrong: 'With 4 MiB that a full disk refuses, each round of the journal tries them again: the disk has no peace.',
    file: 'src/log/filing.ts',
    find: 'if (this.#isRunning || this.#isRefused || this.#waiting.size === 0) return;',
    replace: 'if (this.#isRunning || this.#waiting.size === 0) return;',
    caughtBy: [
      test(
        'log/filing',
        'filing waits that while also when more and more comes of other logs, whatever time was set before',
      ),
    ],
  },
  {
    name: 'writes of one file at once',
    wrong: 'Two writes of a sealed file meet in its interim name: one fails, or the older one stands in the end.',
    file: 'src/log/sealed-file.ts',
    find: 'before === undefined\n',
    replace: 'before === undefined || bytes.length >= 0\n',
    caughtBy: [
      test('log/sealed-file', 'writes of one file that overlap all succeed, and what was written last stands'),
    ],
  },
  {
    name: 'journal file of a killed process not synced',
    wrong:
      'A start builds on a journal file that is in the page cache alone: a power cut takes the room for its rounds.',
    file: 'src/log/journal.ts',
    find: 'try {\n      await file.sync();\n    } finally {',
    replace: 'try {\n      await file.size();\n    } finally {',
    caughtBy: [
      test(
        'log/start-after-crash',
        'a journal file that a killed process left in the page cache alone is durable before it is built on',
      ),
    ],
  },
];
