import { type PlantedBug, simulation, test } from '../planted-bug.ts';

/** Retention: what is deleted, and when. */
export const retentionBugs: readonly PlantedBug[] = [
  {
    name: 'retention.ms=-1 deletes all',
    wrong: '“For ever” is taken for a limit in the past: every segment goes.',
    file: 'src/log/retention.ts',
    find: 'const largestMs = retentionMs < 0 ? null : ',
    replace: 'const largestMs = retentionMs < -1 ? null : ',
    caughtBy: [test('log/retention', 'by size −1 keeps all, of either')],
  },
  {
    name: 'retention.bytes deletes one segment too many',
    wrong: 'By size it deletes until the log is below the limit: a topic keeps less than its owner asked for.',
    file: 'src/log/retention.ts',
    find: 'const isLarge = retentionBytes >= 0 && excessBytes >= segment.sizeBytes;',
    replace: 'const isLarge = retentionBytes >= 0 && excessBytes > 0;',
    caughtBy: [
      test('log/retention', 'by size the oldest go while the log without them still has as much as the limit'),
    ],
  },
  {
    name: 'age off by one',
    wrong: 'A segment goes when it is exactly as old as the limit, which Kafka keeps.',
    file: 'src/log/retention.ts',
    find: 'ageMs(largestMs) <= retentionMs) break;',
    replace: 'ageMs(largestMs) < retentionMs) break;',
    caughtBy: [
      test(
        'log/retention',
        'by age a segment goes when its youngest record is older than the limit, not when it is as old',
      ),
    ],
  },
  {
    name: 'record of a time to come expires',
    wrong: 'How far a record lies from now is its age: one stamped far ahead takes its whole segment with it.',
    file: 'src/log/retention.ts',
    find: 'ageMs(largestMs) <= retentionMs) break;',
    replace: 'Math.abs(ageMs(largestMs)) <= retentionMs) break;',
    caughtBy: [
      test(
        'log/retention',
        'by age records without a time, and those of a time to come, do not go by age; the latter are told of',
      ),
    ],
  },
  {
    name: 'records without a time expire',
    wrong: 'A segment of records without a timestamp counts as of 1970: it goes at the first check.',
    file: 'src/log/retention.ts',
    find: 'if (largestMs === null || largestMs < 0 || ',
    replace: 'if (largestMs === null || ',
    caughtBy: [
      test(
        'log/retention',
        'by age records without a time, and those of a time to come, do not go by age; the latter are told of',
      ),
    ],
  },
  {
    name: 'retention takes what came while it ran',
    wrong: 'It deletes up to the newest segment instead of up to the last that is over the limit: young records go.',
    file: 'src/log/retention.ts',
    find: 'await log.trim(endOffset);',
    replace: 'await log.trim(Math.max(endOffset, log.segments.at(-1)!.baseOffset));',
    caughtBy: [
      test('log/retention', 'by age a younger one keeps all that follow it'),
      test(
        'log/retention',
        'a record that is appended while the active segment is ended for its age is not deleted with it',
      ),
    ],
  },
  {
    name: 'retention deletes what nobody could see yet',
    wrong: 'A segment goes although readers have not been shown its end: records are deleted that were never readable.',
    file: 'src/log/retention.ts',
    find: 'if (segment.sizeBytes === 0 || marks.highWatermark < next) break;',
    replace: 'if (segment.sizeBytes === 0 || marks.writtenNext < next) break;',
    caughtBy: [test('log/retention', 'by age what is not visible to readers yet is not deleted')],
  },
  {
    name: 'segment that is needed removed',
    wrong: 'The segment that holds the log’s start goes with those before it: records that were to be kept are gone.',
    file: 'src/log/segment-removal.ts',
    find: 'this.#segments.splice(0, keptFrom)',
    replace: 'this.#segments.splice(0, Math.min(keptFrom + 1, this.#segments.length - 1))',
    caughtBy: [
      test(
        'log/power-cuts',
        'whenever the power goes, what was acknowledged is there, once, in order; groups whole; and nothing else',
      ),
    ],
  },
  {
    name: 'younger segment removed before an older one is gone',
    wrong: 'On a full disk segments go in any order: a power cut brings an old one back behind a hole.',
    file: 'src/log/segment-removal.ts',
    find: 'await afterEach?.();',
    replace: 'void afterEach;',
    caughtBy: [
      test(
        'log/journal-full-disk',
        'the oldest segments may be gone before a checkpoint says so (with a journal: true)',
      ),
    ],
  },
  {
    name: 'leap of the clock believed',
    wrong:
      'A wrong clock that leaps ten years ahead is believed at once: every topic with a retention time is emptied.',
    file: 'src/base/steady-time.ts',
    find: 'if (monotonicMs - this.#disbelievedSinceMs < DISBELIEF_MS) {',
    replace: 'if (monotonicMs - this.#disbelievedSinceMs > DISBELIEF_MS) {',
    caughtBy: [
      test('base/steady-time', 'a clock that leaps ahead by 3600000 ms is not believed for a day, and is told of'),
    ],
  },
  {
    name: 'set-back of the clock forgotten',
    wrong:
      'What the broker stamped while its clock was ten years behind is ten years old when that is set right: it is deleted, seconds after it was stored.',
    file: 'src/base/set-backs.ts',
    find: 'if (open !== null) this.#close({ ...open, toMs: expectedMs });',
    replace: 'if (open !== null && behindMs > DRIFT_MS) this.#close({ ...open, toMs: expectedMs });',
    caughtBy: [
      test(
        'base/set-backs',
        'what was stamped while the clock was behind is as old as the time since, when it is right (3600000 ms)',
      ),
    ],
  },
  {
    name: 'record acknowledged before the set-back in which it was stamped is stored',
    wrong:
      'The power goes just then, the clock is set right meanwhile, and the next start deletes the record as ten years old.',
    file: 'src/broker/broker.ts',
    find: 'return { ...produced, settled };',
    replace: 'return produced;',
    caughtBy: [
      test(
        'broker/retention',
        'what the broker stamped while its clock was behind is not old after a power cut, as soon as it is acknowledged',
      ),
    ],
  },
  {
    name: 'set-back of the clock not stored once the disk was full',
    wrong:
      'The disk was full for the moment in which the clock was set back: weeks later a crash still takes all that was stamped since.',
    file: 'src/broker/set-backs-keeper.ts',
    find: 'this.#refusal = error;',
    replace: 'this.#unstored?.resolve();',
    caughtBy: [
      test(
        'broker/retention',
        'what the broker stamped while its clock was behind is not acknowledged, and then refused, while there is no room to store that the clock was set',
      ),
    ],
  },
  {
    name: 'set-back of the clock unknown to the next start',
    wrong: 'The records that were stamped while the clock was behind are deleted by the next start’s first look.',
    file: 'src/broker/cluster-state.ts',
    find: 'this.setBacks = event.setBacks ?? null;',
    replace: 'this.setBacks = null;',
    caughtBy: [
      test(
        'broker/retention',
        'what the broker stamped while its clock was behind is not old after a start, whether the clock was set right before, or meanwhile, or is later',
      ),
      simulation(48, 24),
    ],
  },
  {
    name: 'log start told at which nothing can be read',
    wrong:
      'A full disk refuses to remove a file of a deleted segment, too: readers are led to the old start, and refused there, again and again.',
    file: 'src/log/partition-log.ts',
    find: 'await removing.finally(() => this.#startAt(this.#segments[0]!.baseOffset));',
    replace: 'await removing.then(() => this.#startAt(this.#segments[0]!.baseOffset));',
    caughtBy: [
      test(
        'log/failing-disk',
        'trimming on a full disk that refuses to remove a file, too, tells readers of a start at which they can read',
      ),
    ],
  },
];
