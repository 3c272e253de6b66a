import { hangingTest, type PlantedBug, simulation, test } from '../planted-bug.ts';

const POWER_CUTS = test(
  'log/power-cuts',
  'whenever the power goes, what was acknowledged is there, once, in order; groups whole; and nothing else',
);

/** Appends, syncs, rolls and reads of one partition. */
export const logBugs: readonly PlantedBug[] = [
  {
    name: 'acknowledged before the sync',
    wrong:
      'acks=all is answered, and readers see a record, when it is written: a power cut takes back what both were told.',
    file: 'src/log/audience.ts',
    find: 'this.#settings.flushMessages === 1 ? durableNext : writtenNext',
    replace: 'this.#settings.flushMessages === 1 && durableNext > writtenNext ? durableNext : writtenNext',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'acknowledged what came during the sync',
    wrong: 'A sync answers for what was written while it ran and is not in it: a power cut takes acknowledged records.',
    file: 'src/log/partition-log.ts',
    find: 'this.#durable(writtenNext);',
    replace: 'this.#durable(this.marks.writtenNext);',
    caughtBy: [POWER_CUTS],
  },
  {
    name: 'checkpoint ahead of the log',
    wrong:
      'The place that is proven durable covers what was written during the sync: recovery takes a torn tail for sound.',
    file: 'src/log/partition-log.ts',
    find: 'this.#checkpoint.moveTo(active.baseOffset, position, writtenNext, aid);',
    replace: 'this.#checkpoint.moveTo(active.baseOffset, this.#writtenPosition, this.marks.writtenNext, aid);',
    caughtBy: [simulation(5, 8)],
  },
  {
    name: 'segment not synced',
    wrong: 'The segment file is never synced: what a sync in place, or a roll, said is durable is lost with the power.',
    file: 'src/log/segment.ts',
    find: 'await (await this.#file.open()).sync();',
    replace: 'await this.#file.open();',
    caughtBy: [POWER_CUTS, simulation(1)],
  },
  {
    name: 'failed sync tried again',
    wrong:
      'A sync that failed is tried again and succeeds, since the pages count as clean: acknowledged records are on no disk.',
    file: 'src/log/partition-log.ts',
    find: 'await active.sync();',
    replace: 'await active.sync().catch(() => active.sync());',
    caughtBy: [
      test(
        'log/power-cuts',
        'whichever call of the disk fails, once or for ever, nothing that was acknowledged is lost, and nothing hangs',
      ),
    ],
  },
  {
    name: 'high watermark one too high',
    wrong: 'Readers see one record more than is durable: after a power cut its offset holds another record.',
    file: 'src/log/audience.ts',
    find: 'this.#settings.flushMessages === 1 ? durableNext : writtenNext',
    replace: 'this.#settings.flushMessages === 1 ? Math.min(durableNext + 1, writtenNext) : writtenNext',
    caughtBy: [POWER_CUTS, simulation(48, 16)],
  },
  {
    name: 'half write not cut back',
    wrong:
      'What a failed write left behind stays in the file: a refused record comes back after a restart, or spoils its segment.',
    file: 'src/log/segment.ts',
    find: 'async () => (await this.#file.open()).truncate(this.#fileBytes)',
    replace: 'async () => void (await this.#file.open())',
    caughtBy: [
      test(
        'log/failing-disk',
        'a write fails once, with more appended behind it: all of these are refused, none of those before',
      ),
    ],
  },
  {
    name: 'half write cut back in the page cache alone',
    wrong:
      'What a failed write left is cut off and that is not synced: a power cut brings records back that were refused, also behind what was acknowledged later.',
    file: 'src/log/segment.ts',
    find: 'await this.cutBack();\n    await this.sync();',
    replace: 'await this.cutBack();',
    caughtBy: [
      test('log/refused', 'what a full disk has refused does not come back with a power cut that keeps prefix at once'),
      test(
        'log/power-cuts',
        'whichever call of the disk fails, once or for ever, nothing that was acknowledged is lost, and nothing hangs',
      ),
    ],
  },
  {
    name: 'folder of a new partition not synced',
    wrong:
      'The name of a new partition’s folder is in the page cache alone: a power cut takes the partition with all its records.',
    file: 'src/log/recovery.ts',
    find: 'await syncNames(disk, folder, checkpoint === null);',
    replace: '',
    caughtBy: [POWER_CUTS, simulation(1)],
  },
  {
    name: 'checkpoint’s new name not synced',
    wrong: 'DeleteRecords is answered while the file that says so can still be lost: deleted records come back.',
    file: 'src/log/checkpoint.ts',
    find: 'await disk.syncFolder(folder);',
    replace: '',
    caughtBy: [POWER_CUTS, simulation(1, 16)],
  },
  {
    name: 'deletion answered before it is durable',
    wrong: 'In a log of one segment DeleteRecords is answered without being noted: a restart brings the records back.',
    file: 'src/log/partition-log.ts',
    find: 'if (this.#checkpoint.durableLogStart < logStart) {',
    replace: 'if (this.#checkpoint.durableLogStart < logStart && this.#segments.length > 1) {',
    caughtBy: [POWER_CUTS, simulation(1, 16)],
  },
  {
    name: 'segment named by what is accepted',
    wrong:
      'A new segment is named after the offsets that were given, not written: it does not continue the one before it.',
    file: 'src/log/partition-log.ts',
    find: 'const base = this.marks.writtenNext;',
    replace: 'const base = this.marks.acceptedNext;',
    caughtBy: [POWER_CUTS, simulation(1)],
  },
  {
    name: 'group answered one part early',
    wrong:
      'An append to several partitions is answered when all but one are durable: a power cut takes an acknowledged record.',
    file: 'src/log/append-group.ts',
    find: 'if (this.#waitingFor === 0) this.#resolve();',
    replace: 'if (this.#waitingFor <= 1) this.#resolve();',
    caughtBy: [test('log/partition-log', 'a group over several logs settles when all are visible')],
  },
  {
    name: 'cold read past the high watermark',
    wrong:
      'A read from the file goes one batch past the high watermark: a consumer gets what a power cut may take back.',
    file: 'src/log/log-reader.ts',
    find: 'if (nextOffset(bytes, end) > limits.endNext) break;',
    replace: 'if (baseOffset(bytes, end) > limits.endNext) break;',
    caughtBy: [
      test(
        'log/reading',
        'what a read returns from every offset, with every limit: the batches of the file, from memory and from disk',
      ),
    ],
  },
  {
    name: 'only the first batch of a read is checked',
    wrong: 'A read from the file checks the checksum of its first batch alone: a consumer gets rotten records.',
    file: 'src/log/log-reader.ts',
    find: 'const damage = damageOf(bytes, end, next, epochs);',
    replace: 'const damage = end === start ? damageOf(bytes, end, next, epochs) : null;',
    caughtBy: [
      test('log/damage', 'rot in what was proven durable what precedes it is served by a read that would go on'),
    ],
  },
  {
    name: 'page of the tail cache reused while it is read',
    wrong: 'A page of memory is used again while a socket still has it: a consumer gets bytes of another partition.',
    file: 'src/log/tail-cache.ts',
    find: 'if (oldest.pins === 0 && oldest.bytes!.length === size) spare = oldest.bytes;',
    replace: 'if (oldest.bytes!.length === size) spare = oldest.bytes;',
    caughtBy: [
      test(
        'log/reading',
        'what a read returns buffers that were not released stay as they were, through as many appends as there may be',
      ),
    ],
  },
  {
    name: 'read of the tail holds no page',
    wrong:
      'A read from memory does not say that it uses its pages: they change under an answer that waits for its socket.',
    file: 'src/log/log-reader.ts',
    find: 'page.pins += 1;',
    replace: 'page.pins += 0;',
    caughtBy: [
      test(
        'log/reading',
        'what a read returns buffers that were not released stay as they were, through as many appends as there may be',
      ),
    ],
  },
  {
    name: 'read buffer reused while what was read is used',
    wrong: 'What was read from a file lies in memory that the next read gets: a consumer gets bytes of another place.',
    file: 'src/log/log-reader.ts',
    find: 'const release = releaseOf(new Map([[found, giveBack]]));',
    replace: 'const release = (): void => {};\n    giveBack();',
    caughtBy: [
      test(
        'log/reading',
        'what a read returns buffers that were not released stay as they were, through as many reads of files as there may be',
      ),
    ],
  },
  {
    name: 'index trusted over the log',
    wrong:
      'An index entry is believed without a look at the batch that it names: a stale index hides records from readers.',
    file: 'src/log/index-loading.ts',
    find: 'if (header.length < BATCH_HEADER_BYTES || lastOffset(header, 0) !== entry.offset) return null;',
    replace: 'if (header.length < BATCH_HEADER_BYTES) return null;',
    caughtBy: [
      test('log/damage', 'an index is a cache: whatever becomes of it, reads and searches find the same .index'),
    ],
  },
  {
    name: 'search by time off by one',
    wrong:
      'A search by time passes over a segment whose youngest record is of that very time: a consumer that seeks by time misses it.',
    file: 'src/log/time-search.ts',
    find: 'if ((await part.segment.index.maxTimestampMs()) < timestampMs) return null;',
    replace: 'if ((await part.segment.index.maxTimestampMs()) <= timestampMs) return null;',
    caughtBy: [
      test(
        'log/time-search',
        'finds the first record at or after a time and the youngest of all, in whatever order the times are',
      ),
    ],
  },
  {
    name: 'leader epoch not told where records are older',
    wrong:
      'After an unclean start a partition keeps its older epoch: consumers do not learn that they may have read what is gone.',
    file: 'src/log/partition-log.ts',
    find: 'return Math.max(this.#brokerEpoch, this.epochs.latest);',
    replace: 'return this.epochs.latest < 0 ? this.#brokerEpoch : this.epochs.latest;',
    caughtBy: [
      test('log/partition-log', 'batches are stamped with offsets and the epoch of the opening; epochs never go down'),
    ],
  },
  {
    name: 'leader epoch that ends with the log',
    wrong:
      'Whoever asks where an epoch ends is told the end of the log: a client that read what a power cut took does not find out.',
    file: 'src/log/leader-epochs.ts',
    find: 'endOffset: this.#starts[index + 1]?.startOffset ?? logEndOffset,',
    replace: 'endOffset: logEndOffset,',
    caughtBy: [simulation(1, 24)],
  },
  {
    name: 'led past damage unasked',
    wrong: 'Readers are led past damaged records without a word, though their topic does not say millrace.rot=skip.',
    file: 'src/log/log-reader.ts',
    find: "if (this.#rot() === 'stop') throw this.quarantine.fault(found);",
    replace: "if (this.#rot() === 'stop' && offset < 0) throw this.quarantine.fault(found);",
    caughtBy: [simulation(1, 16)],
  },
  {
    name: 'failed sync of a state file passed over',
    wrong:
      'A checkpoint or a folder is on a disk that has just lost writes; the broker goes on, and tries the same disk again.',
    file: 'src/log/fail-stop-disk.ts',
    find: 'if (isFailedSync(error)) onFailedSync(error);',
    replace: 'if (isFailedSync(error)) void onFailedSync;',
    caughtBy: [
      hangingTest(
        'broker/failed-sync',
        'the broker stops itself when the sync fails of the checkpoint that moves the start of a log',
      ),
    ],
  },
  {
    name: 'sync forgotten for what was written before a refused write',
    wrong: 'The disk fills between a write and its sync: who waits for that record to be durable is never answered.',
    file: 'src/log/audience.ts',
    find: '    // The round that was to make what is written durable may have been that of what is refused.\n    this.considerSync();\n',
    replace: '',
    caughtBy: [
      test(
        'log/journal-full-disk',
        'what was written just before the disk is full is synced and answered, though the round that was to do so is refused',
      ),
    ],
  },
  {
    name: 'file that cannot be read not told of',
    wrong: 'A bad sector under a partition shows in no log: its readers wait, and nobody learns why.',
    file: 'src/log/log-reader.ts',
    find: "if (!isFault(error, 'corruptBatch')) throw this.failures.noted(error, segment);",
    replace: "if (!isFault(error, 'corruptBatch')) throw error;",
    caughtBy: [
      test(
        'server/unreadable-files',
        'readers of a file that the disk cannot read are told so, and so is the log, again each minute; the others are served',
      ),
    ],
  },
  {
    name: 'all of a read refused for one bad sector',
    wrong: 'A bad sector takes up to a mebibyte of sound records before it along: no reader gets them.',
    file: 'src/log/log-reader.ts',
    find: "if (!isFault(error, 'diskError') || wanted <= BATCH_HEADER_BYTES) throw error;",
    replace: 'throw error;',
    caughtBy: [test('server/unreadable-files', 'what lies before and behind a bad place of a file is served')],
  },
  {
    name: 'small batches refused before a bad sector',
    wrong:
      'What is read at once is never less than 16 KiB: the sound records in so much before a bad sector are refused.',
    file: 'src/log/log-reader.ts',
    find: 'wanted <= BATCH_HEADER_BYTES) throw error;',
    replace: 'wanted <= SLACK_BYTES) throw error;',
    caughtBy: [
      test(
        'log/unreadable-sector',
        'a sector that the disk cannot read is the end of what is served before it, not of a byte more, and is tried few times: values of 100 bytes',
      ),
    ],
  },
  {
    name: 'write refused that could not be taken back',
    wrong:
      'A full disk refuses the cut, too, and the producer is told that the disk is full: it takes the record for one that is not there, and it may be.',
    file: 'src/log/partition-log.ts',
    find: "this.abort(new Fault('brokerStopped', { cause: error }));",
    replace: "this.abort(error instanceof Fault ? error : new Fault('brokerStopped', { cause: error }));",
    caughtBy: [
      test(
        'log/failing-disk',
        'a write fails and cannot be taken back: nothing is said of it but that the broker stops, a later start is sound: full',
      ),
      test(
        'log/journal-full-disk',
        'of an append whose round a full disk refuses, and then to take back, nothing is said but that the broker stops',
      ),
    ],
  },
];
