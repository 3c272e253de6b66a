import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFinished, encodeFinished, type OffsetRange } from '../../../src/client/worker/finished-beyond.ts';
import { OffsetTracker, type TrackedOffset } from '../../../src/client/worker/offset-tracker.ts';

/** Ranges in order, from a committed offset on, with at least one offset before and between them. */
const rangesFrom = fc
  .tuple(
    fc.nat({ max: 2 ** 40 }),
    fc.array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5000 }))),
  )
  .map(([committedNext, runs]) => {
    let at = committedNext;
    const ranges = runs.map(([unfinished, finished]): OffsetRange => {
      const start = at + unfinished;
      at = start + finished;
      return { start, endNext: at };
    });
    return { committedNext, ranges };
  });

test('the metadata says exactly which offsets are finished, or as many of the first of them as fit', () => {
  fc.assert(
    fc.property(rangesFrom, fc.integer({ min: 0, max: 120 }), ({ committedNext, ranges }, charactersMax) => {
      expect(decodeFinished(committedNext, encodeFinished(committedNext, ranges, 1e6))).toEqual(ranges);
      const cut = encodeFinished(committedNext, ranges, charactersMax);
      expect(cut.length).toBeLessThanOrEqual(charactersMax);
      const kept = decodeFinished(committedNext, cut);
      expect(kept).toEqual(ranges.slice(0, kept.length));
    }),
  );
});

test('metadata of others, of another offset, or damaged, says of no offset that it is finished which was not', () => {
  const ranges = [{ start: 12, endNext: 40 }];
  const metadata = encodeFinished(10, ranges, 4000);
  expect(decodeFinished(11, metadata)).toEqual([]);
  for (const other of [null, '', 'from my own program', 'mw1:a:', 'mw2:a:gA', 'mw1:a:!', `${metadata}=`]) {
    expect(decodeFinished(10, other)).toEqual([]);
  }
  fc.assert(
    fc.property(fc.string(), fc.base64String(), (text, base64) => {
      expect(decodeFinished(10, text)).toEqual([]);
      // Any bits are some ranges, or the beginning of some: they are in order and beyond the offset.
      let at = 10;
      for (const { start, endNext } of decodeFinished(10, `mw1:a:${base64.replace(/[^\w]/g, '')}`)) {
        expect(start).toBeGreaterThan(at);
        expect(endNext).toBeGreaterThan(start);
        at = endNext;
      }
    }),
  );
});

test('a thousand finished behind a slow one take few characters; every other one of twenty thousand fits', () => {
  expect(encodeFinished(1e9, [{ start: 1e9 + 1, endNext: 1e9 + 1001 }], 4000).length).toBeLessThan(20);
  const everyOther = Array.from({ length: 10_000 }, (_, index) => ({ start: 2 * index + 1, endNext: 2 * index + 2 }));
  expect(decodeFinished(0, encodeFinished(0, everyOther, 4000))).toEqual(everyOther);
});

/** What happens to a partition: records are taken, some of them finished, and now and then the process dies. */
const life = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ what: fc.constant('take' as const), gap: fc.nat({ max: 3 }) }) },
    { weight: 5, arbitrary: fc.record({ what: fc.constant('finish' as const), which: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant('restart' as const),
        charactersMax: fc.integer({ min: 20, max: 4000 }),
      }),
    },
  ),
  { maxLength: 200, size: 'max' },
);

test('the committed offset never passes an unfinished record, and after a restart exactly the finished ones are skipped', () => {
  let skipped = 0;
  fc.assert(
    fc.property(life, fc.nat({ max: 1000 }), (events, startNext) => {
      // The partition's records, in order, and which of them are finished, whatever the tracker thinks.
      const log: number[] = [];
      const finished = new Set<number>();
      let tracker = new OffsetTracker(startNext);
      let open: TrackedOffset[] = [];
      let readIndex = 0;
      let logNext = startNext;

      for (const event of events) {
        if (event.what === 'take') {
          if (readIndex === log.length) {
            log.push(logNext + event.gap);
            logNext += event.gap + 1;
          }
          const offset = log[readIndex++]!;
          const tracked = tracker.add(offset, 10);
          expect(tracked === null).toBe(finished.has(offset));
          if (tracked !== null) open.push(tracked);
          else skipped++;
        } else if (event.what === 'finish' && open.length > 0) {
          const [tracked] = open.splice(event.which % open.length, 1);
          finished.add(tracked!.offset);
          tracker.finish(tracked!);
        } else if (event.what === 'restart') {
          const committedNext = tracker.committableNext;
          const metadata = tracker.metadata(event.charactersMax);
          const remembered = decodeFinished(committedNext, metadata);
          const knows = (offset: number): boolean =>
            offset < committedNext || remembered.some(({ start, endNext }) => start <= offset && offset < endNext);
          const known = log.filter(knows);
          expect(known.filter((offset) => !finished.has(offset))).toEqual([]);
          if (event.charactersMax > 400) expect(known).toHaveLength(finished.size);
          // What did not fit is worked again.
          for (const offset of finished) if (!knows(offset)) finished.delete(offset);
          tracker = new OffsetTracker(committedNext, remembered);
          open = [];
          readIndex = log.findIndex((offset) => offset >= committedNext);
          if (readIndex < 0) readIndex = log.length;
        }
        const lowest = log.find((offset) => !finished.has(offset));
        if (lowest !== undefined) expect(tracker.committableNext).toBeLessThanOrEqual(lowest);
        if (open.length > 0) expect(tracker.committableNext).toBe(Math.min(...open.map(({ offset }) => offset)));
        expect(tracker.windowBytes).toBe(tracker.windowRecords * 10);
      }
    }),
    { numRuns: 500 },
  );
  expect(skipped).toBeGreaterThan(100);
});
