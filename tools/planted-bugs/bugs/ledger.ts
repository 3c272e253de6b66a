import { type PlantedBug, simulation, test } from '../planted-bug.ts';

const GROWN = test(
  'ledger/rewriting',
  'a ledger that has grown is written again: it stays small, and a kill at any call of the disk loses nothing',
);

/** The ledgers, and what the broker keeps in them: topics, settings, epochs. */
export const ledgerBugs: readonly PlantedBug[] = [
  {
    name: 'ledger answers when written',
    wrong:
      'A change is answered when it is written and not durable: a topic, or a committed offset, is taken back by a power cut.',
    file: 'src/ledger/ledger.ts',
    find: "batch: buildBatch(records) }], 'visible').settled;",
    replace: "batch: buildBatch(records) }], 'written').settled;",
    caughtBy: [
      test('broker/groups/group-coordinator', 'a restart keeps every commit that was answered, however the power goes'),
    ],
  },
  {
    name: 'ledger written again keeps its last slice alone',
    wrong:
      'A ledger that is written again drops all slices but the last: with many groups, most committed offsets are gone.',
    file: 'src/ledger/ledger.ts',
    find: 'if (startOffset < 0) startOffset = this.#log.marks.acceptedNext;',
    replace: 'startOffset = this.#log.marks.acceptedNext;',
    caughtBy: [
      test(
        'ledger/rewriting',
        'a ledger whose live state takes several slices to write again has all of it afterwards',
      ),
    ],
  },
  {
    name: 'ledger written again drops the newest',
    wrong:
      'All that came while the ledger was written again is dropped with what lies before it: the newest commits are gone.',
    file: 'src/ledger/ledger.ts',
    find: 'await this.#log.trim(startOffset);',
    replace: 'await this.#log.trim(this.#log.marks.highWatermark);',
    caughtBy: [GROWN],
  },
  {
    name: 'lost ledger taken for a new one',
    wrong: 'A ledger goes on with what is left of its files: all that was decided in the others is silently forgotten.',
    file: 'src/ledger/ledger.ts',
    find: 'mustBeWhole: true,',
    replace: 'mustBeWhole: false,',
    caughtBy: [test('ledger/rewriting', 'a ledger that cannot be read is refused whichever of its files is lost')],
  },
  {
    name: 'epoch not raised at an unclean start',
    wrong: 'After a crash the leader epoch is the old one: consumers do not learn that what they read may be gone.',
    file: 'src/broker/broker.ts',
    find: 'state.epoch + (state.stoppedCleanly ? 0 : 1)',
    replace: 'state.epoch + (state.stoppedCleanly ? 1 : 0)',
    caughtBy: [
      test('broker/topics', 'a start finds the same after a process that was killed, with a higher leader epoch'),
    ],
  },
  {
    name: 'start marked before all is open',
    wrong:
      'A start that is refused changes the ledger: the mark of the clean stop is gone, and the leader epoch rises with each attempt.',
    file: 'src/broker/broker.ts',
    find: 'await topics.open();',
    replace: 'await markStarted(ledger, state.epoch, time, topics);\n    await topics.open();',
    caughtBy: [
      test(
        'broker/refused-start',
        'a start that is refused changes nothing, however often it is tried: a checkpoint of a topic',
      ),
    ],
  },
  {
    name: 'lost partition made anew',
    wrong:
      'The folder of a partition that is gone is made anew: its records are lost without a word, its offsets given again.',
    file: 'src/broker/lost-folders.ts',
    find: 'const wasThere = i < made || replay?.knows(folder) === true;',
    replace: 'const wasThere = i > made && replay?.knows(folder) === true;',
    caughtBy: [
      test(
        'broker/lost-folders',
        'a start is refused, with nothing changed, where a folder is gone after a kill: a partition that was added in an earlier run, and one that the journal has records for',
      ),
    ],
  },
  {
    name: 'lost groups made anew',
    wrong: 'The groups’ ledger that is gone is made anew: all committed offsets are lost without a word.',
    file: 'src/broker/lost-folders.ts',
    find: 'if (!groupsMade) return true;',
    replace: 'if (groupsMade) return true;',
    caughtBy: [
      test(
        'broker/lost-folders',
        'an empty folder, made by hand, accepts the loss of the groups: there are none, which is told',
      ),
    ],
  },
  {
    name: 'lost journal made anew',
    wrong: 'After a crash the journal’s folder is gone, and nobody says so: its offsets are given to other records.',
    file: 'src/log/journal-replay.ts',
    find: 'else if (names.length === 0) await checkHasNoMark(disk);',
    replace: '',
    caughtBy: [
      test(
        'broker/lost-folders',
        'the journal’s folder is gone after a power cut: the start is refused with nothing changed, unless the loss is accepted',
      ),
    ],
  },
  {
    name: 'lock not taken',
    wrong:
      'A broker goes on when another has the folder’s lock: two write to one log, and each destroys what the other stored.',
    file: 'src/broker/broker.ts',
    find: "if (lock === null) throw new Fault('folderInUse');",
    replace: "lock ??= await disk.lock('lock.second');\n      if (lock === null) throw new Fault('folderInUse');",
    caughtBy: [
      test(
        'server/shutdown',
        'a folder in use, a port in use, an address of another machine: each has its fault, and nothing stays open',
      ),
    ],
  },
  {
    name: 'topic deletion undone by a crash',
    wrong: 'A deletion is answered before it is durable: a topic that was deleted is there again after a power cut.',
    file: 'src/broker/topics.ts',
    find: "return { events: [{ type: 'topicDeleted', id }], result: this.getById(id) };",
    replace: 'this.#state.topics.delete(id);\n      return { events: [], result: this.getById(id) };',
    caughtBy: [
      test('broker/topics', 'a start finds nothing of a topic whose deletion was durable when the process was killed'),
    ],
  },
  {
    name: 'files of a deleted topic stay',
    wrong: 'What a crash left of a deleted topic is never removed: the disk fills with what nobody can see.',
    file: 'src/broker/topics.ts',
    find: 'if (deletedTopics.has(folder)) await',
    replace: 'if (deletedTopics.has(folder.toLowerCase())) await',
    caughtBy: [
      test('broker/topics', 'a start finds nothing of a topic whose deletion was durable when the process was killed'),
    ],
  },
  {
    name: 'damaged identity believed',
    wrong:
      'A changed letter in millrace.json passes for another cluster’s id: clients refuse to talk to their own broker.',
    file: 'src/broker/identity.ts',
    find: 'if (identity.checksum !== checksumOf(found)) {',
    replace: 'if (identity.checksum === undefined) {',
    caughtBy: [test('broker/metadata', 'damaged metadata is refused or harmless with any byte flipped by 1')],
  },
  {
    name: 'added partition opened where another is',
    wrong: 'A partition that is added to a topic in use is opened in the folder of the first one: both write one file.',
    file: 'src/broker/topics.ts',
    find: 'const partition = topic.partitions.length + i;',
    replace: 'const partition = i;',
    caughtBy: [simulation(1, 16)],
  },
  {
    name: 'settings lost with added partitions',
    wrong:
      'A topic that gets partitions has the default settings from then on: its records expire, or are compacted no more.',
    file: 'src/broker/topics.ts',
    find: 'return { ...record, partitions };',
    replace: 'return { ...record, settings: {}, partitions };',
    caughtBy: [simulation(18, 16)],
  },
];
