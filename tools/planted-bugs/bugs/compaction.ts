import { type PlantedBug, simulation, test } from '../planted-bug.ts';

const WHATEVER = test(
  'log/compaction',
  'whatever is done to it, a compacted log keeps the newest value of each key, at its offset, and nothing that was not sent',
);
const CRASHES = test(
  'log/compaction',
  'a crash at each call of the disk leaves the old segments or the new one, and the next pass ends what was begun',
);
const CLOCK_SET_RIGHT = test(
  'broker/cleaner',
  'a clock that was ten years behind, and is set right, lets nothing be compacted or its tombstones go before their time',
);

/** Compaction: what goes, and how a compacted segment gets its place. */
export const compactionBugs: readonly PlantedBug[] = [
  {
    name: 'newest value dropped',
    wrong: 'A record goes when a record of its key is as young as it is, which is itself: the key is gone.',
    file: 'src/log/batch-filter.ts',
    find: 'if (!isOver && this.#context.keys.get(key) <= record.offset) return true;',
    replace: 'if (!isOver && this.#context.keys.get(key) < record.offset) return true;',
    caughtBy: [WHATEVER],
  },
  {
    name: 'tombstone goes at once',
    wrong: 'A tombstone does not stay for delete.retention.ms: a consumer that was away keeps a key that was deleted.',
    file: 'src/log/batch-filter.ts',
    find: 'const isOver = !hasValue && horizonMs !== null && this.#isPast(horizonMs)',
    replace: 'const isOver = !hasValue && this.#isPast(horizonMs ?? 0)',
    caughtBy: [
      test(
        'log/compaction',
        'a tombstone stays for delete.retention.ms after it was first compacted, then goes, and its key with it',
      ),
    ],
  },
  {
    name: 'young records compacted',
    wrong: 'min.compaction.lag.ms is not kept: consumers that are behind miss values that they were promised to see.',
    file: 'src/log/compaction-plan.ts',
    find: 'if (isDirty && settings.lagMinMs > 0) {',
    replace: 'if (isDirty && settings.lagMinMs < 0) {',
    caughtBy: [
      test('log/compaction', 'the active segment is never touched, nor what is younger than min.compaction.lag.ms'),
    ],
  },
  {
    name: 'compacted segment not named before it is used',
    wrong:
      'A compacted segment takes the place of several before anything says so: after a crash some of them are there beside it.',
    file: 'src/log/compacted-segments.ts',
    find: 'await this.#write(this.#segments.toSpliced(first, old.length, fresh));',
    replace: '',
    caughtBy: [CRASHES],
  },
  {
    name: 'segment behind a compacted one removed at a start',
    wrong: 'A start takes the segment after a compacted one for one that it was made of: its records are gone.',
    file: 'src/log/compacted-segments.ts',
    find: 'other > base && other < endNext',
    replace: 'other > base && other <= endNext',
    caughtBy: [CRASHES],
  },
  {
    name: 'checksums of a compacted segment not synced',
    wrong:
      'A compacted segment counts before its block sums are durable: after a power cut one damaged byte takes all of its records.',
    file: 'src/log/segment-writer.ts',
    find: "await writeSynced(this.#disk, this.#pathOf('sums'), sums.toBytes());",
    replace:
      "const file = await this.#disk.open(this.#pathOf('sums'), 'create');\n    await file.write([sums.toBytes()], 0);\n    await file.close();",
    caughtBy: [
      test(
        'log/compaction-faults',
        'wherever the power goes in a pass, a byte that is flipped then takes no more than its own block from readers',
      ),
    ],
  },
  {
    name: 'header of a last batch not kept in compaction',
    wrong:
      'A producer’s last batch goes with its records: when the snapshots are gone too, the same batch, sent again, is stored twice.',
    file: 'src/log/batch-filter.ts',
    find: 'if (this.#producers.remembers(producerId(batch, 0), lastOffset(batch, 0))) {',
    replace: 'if (this.#producers.remembers(producerId(batch, 0), -lastOffset(batch, 0) - 1)) {',
    caughtBy: [
      test(
        'log/compaction',
        'a producer’s last batch is known when it is sent again, also when its records are gone and the log alone tells of it',
      ),
    ],
  },
  {
    name: 'high word of an offset lost in compaction',
    wrong: 'The newest values of keys lie beyond offset 2^32, and are taken for older ones: they are dropped.',
    file: 'src/log/key-map.ts',
    find: 'words[at + 4] = Math.floor((offset + 1) / WORD);',
    replace: 'words[at + 4] = 0 * WORD;',
    caughtBy: [
      test('log/key-map', 'has the newest offset of each key, whatever the keys and however large the offsets'),
    ],
  },
  {
    name: 'keys told apart by a part of their hash',
    wrong: 'Two keys of which 96 bits of the hash are the same by chance are taken for one: the older value is gone.',
    file: 'src/log/key-map.ts',
    find: ' && words[at + 3] === d) return at;',
    replace: ' && d >= 0) return at;',
    caughtBy: [test('log/key-map', 'two keys of which word 3 of the hash alone differs stay apart')],
  },
  {
    name: 'keys hashed under a seed that is known',
    wrong: 'Who can choose keys can make some that are taken for each other: the values of others’ keys are dropped.',
    file: 'src/log/key-map.ts',
    find: 'this.#seeds = [random.bytes(8).readBigUInt64LE(), random.bytes(8).readBigUInt64LE()];',
    replace: 'this.#seeds = [BigInt(random.bytes(8).length), 1n];',
    caughtBy: [
      test(
        'log/key-map',
        'two keys made to be taken for one under known seeds are told apart by a map that was given others',
      ),
    ],
  },
  {
    name: 'tombstone goes when the clock is set right',
    wrong:
      'A tombstone that was first compacted while the clock was ten years behind goes as soon as that is set right.',
    file: 'src/log/batch-filter.ts',
    find: 'return horizonMs <= nowMs && settings.deleteRetentionMs <= ageMs(horizonMs - settings.deleteRetentionMs);',
    replace: 'return horizonMs <= nowMs && settings.deleteRetentionMs <= ageMs(-settings.deleteRetentionMs);',
    caughtBy: [CLOCK_SET_RIGHT],
  },
  {
    name: 'compacted when the clock is set right',
    wrong:
      'What was stamped while the clock was ten years behind is compacted before its min.compaction.lag.ms is over.',
    file: 'src/log/compaction-plan.ts',
    find: 'if (ageMs(youngestMs) < settings.lagMinMs) break;',
    replace: 'if (nowMs - youngestMs < settings.lagMinMs) break;',
    caughtBy: [CLOCK_SET_RIGHT],
  },
  {
    name: 'rest of a group taken for compacted whose first segment was deleted',
    wrong:
      'DeleteRecords takes the first of the segments that a pass makes one of: the others stay as they were, and the next pass drops the tombstones of values that they hold.',
    file: 'src/log/compaction.ts',
    find: 'return [this.#leftOf(group)];',
    replace: 'return [];',
    caughtBy: [
      test(
        'log/compaction-faults',
        'a value whose tombstone comes after it does not come back when records before it are deleted during a pass',
      ),
      simulation(13, 8),
    ],
  },
  {
    name: 'snapshot of producers believed of another file',
    wrong:
      'A place in a segment is looked up in the file that compaction put in its place: batches before it are not known when they are sent again.',
    file: 'src/log/producer-snapshot.ts',
    find: 'if (position > 0 && segment.compacted !== null) return null;',
    replace: '',
    caughtBy: [
      test(
        'log/compaction',
        'a snapshot of the producers that says where in a file it stands is not believed of the file that compaction put in its place',
      ),
    ],
  },
  {
    name: 'replaced files left behind on a full disk',
    wrong:
      'A compacted segment is deleted before those that it was made of: a start finds them, and deleted records are back.',
    file: 'src/log/segment-removal.ts',
    find: 'for (const segment of old.slice(1)) this.#removing.add(segment);',
    replace: '',
    caughtBy: [
      test(
        'log/compaction-faults',
        'records that are deleted on a full disk stay so, also where a pass could not give .sums its name',
      ),
    ],
  },
  {
    name: 'older checkpoint believed of a compacted log',
    wrong:
      'A checkpoint that is put back from before compaction decides what the journal writes again: its old rounds go over the compacted segments.',
    file: 'src/log/recovery.ts',
    find: 'await checkProvesCompacted(disk, folder, own);',
    replace: '',
    caughtBy: [
      test(
        'log/compaction-faults',
        'a compacted log whose checkpoint is older than compaction is refused before the journal’s old rounds are written over it',
      ),
    ],
  },
  {
    name: 'older values of a damaged file that is put back not compacted',
    wrong:
      'What a damaged segment has is not looked at again once it is sound: tombstones behind it go, and its older values stay.',
    file: 'src/log/compaction.ts',
    find: 'if (passed.includes(baseOffset) && (await this.#isSound(segment))) return baseOffset;',
    replace: 'if (passed.includes(-baseOffset - 1) && (await this.#isSound(segment))) return baseOffset;',
    caughtBy: [
      test(
        'log/compaction',
        'a deleted key does not come back with a damaged file that is put back, while the broker is stopped',
      ),
    ],
  },
  {
    name: 'tombstones not compacted at a fraction of a millisecond',
    wrong:
      'While the wall clock is not believed the time has fractions: batches with tombstones stay as they are, and so do the older values of their keys.',
    file: 'src/log/batch-filter.ts',
    find: 'Math.ceil(nowMs + settings.deleteRetentionMs)',
    replace: '(nowMs + settings.deleteRetentionMs)',
    caughtBy: [
      test(
        'log/compaction',
        'a time between two milliseconds is one like any other: a clock that leapt ahead is not believed, and the time goes on as another does',
      ),
    ],
  },
  {
    name: 'lost file taken for compacted',
    wrong:
      'A segment that ends before the next one begins is written again as if it went on to there: the lost file between them is removed when it is put back.',
    file: 'src/log/sound-batches.ts',
    find: 'if (next === endNext) return;',
    replace: 'if (next <= endNext) return;',
    caughtBy: [
      test(
        'log/passed-segments',
        'a file is lost: no pass takes what is missing for compacted, and the file, put back, is as it was',
      ),
      test(
        'log/passed-segments',
        'a file is cut behind a batch: no pass takes what is missing for compacted, and the file, put back, is as it was',
      ),
    ],
  },
  {
    name: 'log held for compacted where a pass ended early',
    wrong:
      'A pass that has no room for all keys ends after it wrote a segment again that was damaged: tombstones behind go, and its older values stay.',
    file: 'src/log/compaction.ts',
    find: 'await this.#moveBack(mappedNext);',
    replace: 'if (mappedNext < 0) await this.#moveBack(mappedNext);',
    caughtBy: [
      test(
        'log/passed-segments',
        'a deleted key does not come back with a file that is sound again, wherever a pass ends whose map has no room for all keys',
      ),
    ],
  },
  {
    name: 'passed segment forgotten while its file is away',
    wrong:
      'A file that compaction had to pass is away while a pass begins and does not end: put back, its older values outlive their tombstones.',
    file: 'src/log/compacted-segments.ts',
    find: '...(this.#passed.length > 0 && { passed: this.#passed }),',
    replace:
      '...(this.#passed.length > 0 && { passed: this.#passed.filter((base) => segments.some(({ baseOffset }) => baseOffset === base)) }),',
    caughtBy: [
      test(
        'log/passed-segments',
        'a deleted key does not come back with a passed file that was away for a while, wherever a pass ended meanwhile',
      ),
    ],
  },
  {
    name: 'proof of a lost compacted segment forgotten',
    wrong:
      'A compacted segment that is put back counts as damaged: nothing tells any more that offsets are missing in it.',
    file: 'src/log/compacted-segments.ts',
    find: 'segments: [...there, ...lost].sort((a, b) => a.base - b.base),',
    replace: 'segments: [...there, ...lost.slice(0, 0)].sort((a, b) => a.base - b.base),',
    caughtBy: [test('log/lost-compacted', 'one that is put back after a pass is served as it was')],
  },
  {
    name: 'pass ended by a bad sector',
    wrong:
      'One segment that the disk cannot read keeps the rest of its log from being compacted, as long as it lies there.',
    file: 'src/log/sound-batches.ts',
    find: "if (!isFault(error, 'diskError') || lacksHandles(error)) throw error;",
    replace: "if (!isFault(error, 'diskError') || !lacksHandles(error)) throw error;",
    caughtBy: [
      test(
        'log/passed-segments',
        'a segment that the disk cannot read is passed and told of, and compacted when it can be read again',
      ),
    ],
  },
];
