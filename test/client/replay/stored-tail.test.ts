import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLike } from '../../../src/client/replay/filter.ts';
import { ByTimestamps, ByTurns, NO_TURN, type TurnState } from '../../../src/client/replay/source-order.ts';
import type { BatchSource, SourceBatch } from '../../../src/client/replay/source-partition.ts';
import { SEQUENCES, StoredTail } from '../../../src/client/replay/stored-tail.ts';
import { baseOffset, batchBytes, nextOffset } from '../../../src/record/batch.ts';
import { buildBatch } from '../../../src/record/batch-builder.ts';
import { type PackedRecord, packedRecordsOf } from '../../../src/record/records.ts';

const OURS = { producerId: 7, epoch: 2 };
const STRANGERS = [
  { producerId: -1, epoch: -1 },
  { producerId: 8, epoch: 2 },
  { producerId: 7, epoch: 1 },
];

/** A batch of a target partition: the replay's own, or a stranger's, and how many records it has. */
interface Written {
  by: number;
  count: number;
}

interface Scene {
  /** The number of the replay's first record in the partition: near the end of the sequences too. */
  firstNumber: number;
  written: Written[];
  /** Which of the replay's batches the checkpoint knows to be stored, and which its records come from. */
  acknowledged: number;
  known: number;
}

const scenes: fc.Arbitrary<Scene> = fc.record({
  firstNumber: fc.constantFrom(0, 1000, SEQUENCES - 20, SEQUENCES * 3 - 7),
  written: fc.array(fc.record({ by: fc.integer({ min: -2, max: 2 }), count: fc.integer({ min: 1, max: 5 }) }), {
    maxLength: 30,
  }),
  acknowledged: fc.nat(30),
  known: fc.nat(30),
});

interface Stage {
  batches: (SourceBatch & { ours: boolean; count: number })[];
  /** Of the replay's batches: the number of the first record of each, and after the last. */
  numbers: number[];
  records: PackedRecord[];
}

function stageOf({ firstNumber, written }: Scene): Stage {
  let offset = 0;
  let number = firstNumber;
  const numbers = [number];
  const records: PackedRecord[] = [];
  const batches = written.map(({ by, count }) => {
    const ours = by < 0;
    const identity = ours ? OURS : STRANGERS[by]!;
    const bytes = buildBatch(
      Array.from({ length: count }, (_, index) => ({
        timestampMs: 1000,
        value: Buffer.from(`${ours}${number + index}`),
      })),
      {
        baseOffset: offset,
        producerId: identity.producerId,
        producerEpoch: identity.epoch,
        baseSequence: identity.producerId < 0 ? -1 : ours ? number % SEQUENCES : 0,
      },
    );
    offset += count;
    if (ours) {
      number += count;
      numbers.push(number);
      records.push(...packedRecordsOf(bytes));
    }
    return { partition: 0, bytes, at: 0, startNext: 0, endNext: Number.MAX_SAFE_INTEGER, ours, count };
  });
  return { batches, numbers, records };
}

/** The state that a checkpoint may hold, and what it reads from the partition. */
function checkpointOf(scene: Scene, { batches, numbers }: Stage) {
  const acknowledged = Math.min(scene.acknowledged, numbers.length - 1);
  const known = Math.max(acknowledged, Math.min(scene.known, numbers.length - 1));
  const own = batches.filter(({ ours }) => ours);
  const before = own[acknowledged - 1];
  const offset = before === undefined ? 0 : nextOffset(before.bytes, 0);
  const state = { partition: 0, records: numbers[known]!, acknowledged: numbers[acknowledged]!, offset };
  return { state, read: batches.filter(({ bytes }) => baseOffset(bytes, 0) >= offset) };
}

const how = { where: 'here', withTimestamps: true };

describe('what a run had stored after its last checkpoint', () => {
  test('is counted among the batches of any other writer, and compared record by record', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, async (scene) => {
        const stage = stageOf(scene);
        const { state, read } = checkpointOf(scene, stage);
        const tail = new StoredTail(state, OURS, { ...how, mayBeCut: false });
        for (const batch of read) await tail.add(batch);
        const end = stage.numbers.at(-1)!;
        expect(tail.end()).toBe(end);
        const last = stage.batches.findLast(({ ours }) => ours);
        expect(tail.offsetNext).toBe(Math.max(state.offset, last === undefined ? 0 : nextOffset(last.bytes, 0)));
        for (let number = state.records; number < end; number++) {
          const record = stage.records[number - scene.firstNumber]!;
          tail.compare(number, record);
          const other = { ...record, content: Buffer.concat([record.content, Buffer.from('x')]) };
          expect(() => tail.compare(number, other)).toThrow('not the one');
          expect(() => tail.compare(number, { ...record, timestampMs: 1001 })).toThrow('not the one');
        }
      }),
    );
  });

  test('with one of its batches missing, is told of', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, fc.nat(30), async (scene, gone) => {
        const stage = stageOf(scene);
        const { state, read } = checkpointOf(scene, stage);
        const own = read.filter(({ ours }) => ours);
        // Of the last ones to be missing nothing shows, unless the checkpoint knows of them.
        fc.pre(own.length > 1);
        const missing = own[gone % (own.length - 1)];
        const tail = new StoredTail(state, OURS, { ...how, mayBeCut: false });
        const reading = async (): Promise<void> => {
          for (const batch of read) if (batch !== missing) await tail.add(batch);
        };
        await expect(reading()).rejects.toMatchObject({ fault: 'replayDiverged' });
      }),
    );
  });

  test('whose beginning was deleted, is counted by what is left; where nothing is left, that is told', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, fc.nat(30), async (scene, cut) => {
        const stage = stageOf(scene);
        const { state, read } = checkpointOf(scene, stage);
        const left = read.slice(cut);
        const tail = new StoredTail(state, OURS, { ...how, mayBeCut: true });
        for (const batch of left) await tail.add(batch);
        if (left.some(({ ours }) => ours)) expect(tail.end()).toBe(stage.numbers.at(-1));
        else expect(() => tail.end()).toThrow('deleted');
      }),
    );
  });
});

class ArraySource implements BatchSource {
  readonly partition: number;
  readonly #batches: SourceBatch[];

  constructor(partition: number, batches: readonly Buffer[], startNext: number) {
    this.partition = partition;
    this.#batches = batches
      .filter((bytes) => nextOffset(bytes, 0) > startNext)
      .map((bytes) => ({ partition, bytes, at: 0, startNext, endNext: Number.MAX_SAFE_INTEGER }));
  }

  async peek(): Promise<SourceBatch | null> {
    return this.#batches[0] ?? null;
  }

  take(): void {
    this.#batches.shift();
  }
}

/** Of each partition its batches: the gap of offsets before each, its records, and how its timestamps go. */
const logs = fc.array(
  fc.array(
    fc.record({
      gap: fc.constantFrom(0, 0, 1, 5000, 16_384, 40_000),
      count: fc.constantFrom(1, 2, 700, 3000),
      timestampMs: fc.nat(50),
    }),
    { maxLength: 8 },
  ),
  { minLength: 1, maxLength: 4 },
);

function batchesOf(log: readonly { gap: number; count: number; timestampMs: number }[]): Buffer[] {
  let offset = 0;
  return log.map(({ gap, count, timestampMs }) => {
    offset += gap;
    const records = Array.from({ length: count }, (_, index) => ({ timestampMs: timestampMs + (index % 3) }));
    const bytes = buildBatch(records, { baseOffset: offset });
    offset += count;
    expect(batchBytes(bytes, 0)).toBe(bytes.length);
    return bytes;
  });
}

test('a replay that goes on from any record gives the rest in the order in which the whole comes', async () => {
  await fc.assert(
    fc.asyncProperty(logs, fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }), async (log, byTime, share) => {
      const partitions = log.map(batchesOf);
      /** The places of all records from the positions on, and the state after so many of them. */
      const run = async (next: readonly number[], turn: TurnState, stopAfter: number) => {
        const sources = partitions.map((batches, partition) => new ArraySource(partition, batches, next[partition]!));
        const order = byTime ? new ByTimestamps(sources) : new ByTurns(sources, turn);
        const positions = [...next];
        const places: string[] = [];
        for await (const { partition, records } of order.portions()) {
          for (const { offset } of await records()) {
            if (places.length === stopAfter) return { places, positions, turn: order.turn };
            places.push(`${partition}:${offset}`);
            positions[partition] = offset + 1;
          }
        }
        return { places, positions, turn: order.turn };
      };
      const start = partitions.map(() => 0);
      const whole = await run(start, NO_TURN, Number.POSITIVE_INFINITY);
      const first = await run(start, NO_TURN, Math.floor(share * whole.places.length));
      const rest = await run(first.positions, first.turn, Number.POSITIVE_INFINITY);
      expect([...first.places, ...rest.places]).toEqual(whole.places);
      expect(new Set(whole.places).size).toBe(log.flat().reduce((sum, { count }) => sum + count, 0));
    }),
    { numRuns: 60 },
  );
});

test('partitions take turns, however long one of them is', async () => {
  const long = batchesOf(Array.from({ length: 12 }, () => ({ gap: 0, count: 3000, timestampMs: 0 })));
  const order = new ByTurns([new ArraySource(0, long, 0), new ArraySource(1, long, 0)], NO_TURN);
  const partitions: number[] = [];
  for await (const { partition } of order.portions()) partitions.push(partition);
  // 36,000 offsets each: up to the batch that begins at or after 16,384, at or after 32,768, and the rest.
  const turns = [6, 6, 5, 5, 1, 1].flatMap((count, turn) => Array.from({ length: count }, () => turn % 2));
  expect(partitions).toEqual(turns);
});

test('a pattern matches what the same regular expression does', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.', 'ü'), maxLength: 12 });
  const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?', 'ü'), maxLength: 8 });
  fc.assert(
    fc.property(letters, patterns, (text, pattern) => {
      const expression = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
      expect(isLike(text, pattern)).toBe(new RegExp(`^${expression}$`).test(text));
    }),
    { numRuns: 1000 },
  );
  // What backtracking would never finish.
  expect(isLike('a'.repeat(5000), `${'*a'.repeat(200)}*b`)).toBe(false);
});
