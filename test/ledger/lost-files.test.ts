import { beforeAll, expect, test } from 'vitest';
import { type Fold, Ledger } from '../../src/ledger/ledger.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { contextOn, failureOf } from '../log/support.ts';
import { SeededRandom } from '../seeded-random.ts';

interface Event {
  readonly key: number;
  readonly value: string;
}

/** The last value of each key. */
class Values implements Fold<Event> {
  readonly state = new Map<number, string>();

  check(): void {}

  apply({ key, value }: Event): void {
    this.state.set(key, value);
  }

  *live(): Iterable<Event> {
    for (const [key, value] of this.state) yield { key, value };
  }
}

const LEDGER = 'ledger/values';
const diskOf = (content: ReadonlyMap<string, Buffer>): SimulatedDisk =>
  SimulatedDisk.holding(content, new SeededRandom(1));

/** A ledger of several files, of which the first were dropped once when it was written again; closed. */
let files: Map<string, Buffer>;
let expected: ReadonlyMap<number, string>;

beforeAll(async () => {
  const disk = diskOf(new Map());
  const values = new Values();
  const ledger = await Ledger.open(LEDGER, contextOn(disk), values);
  for (let i = 0; i < 60; i += 1) {
    await ledger.append([{ key: i % 30, value: `${i}`.repeat(50_000) }]);
  }
  await ledger.close();
  files = disk.files();
  expected = values.state;
  expect(names().length).toBeGreaterThan(3);
  expect(names()[0]).not.toBe(`${LEDGER}/${'0'.repeat(20)}.log`);
});

const names = (): string[] => [...files.keys()].filter((name) => name.endsWith('.log')).sort();

async function opened(disk: SimulatedDisk): Promise<ReadonlyMap<number, string>> {
  const values = new Values();
  const ledger = await Ledger.open(LEDGER, contextOn(disk), values);
  await ledger.close();
  return values.state;
}

test('a ledger that lacks a file, or a part of one, is refused, and nothing of it is deleted', async () => {
  expect(await opened(diskOf(files))).toEqual(expected);
  for (const name of names()) {
    const bytes = files.get(name)!;
    for (const left of [null, bytes.subarray(0, 0), bytes.subarray(0, bytes.length >> 1), bytes.subarray(0, -1)]) {
      const content = new Map(files);
      content.delete(name);
      if (left !== null) content.set(name, left);
      const disk = diskOf(content);
      // Also at the second attempt: the first one must not have made it look whole.
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const failure = await failureOf(opened(disk));
        expect([name, left?.length, failure]).toMatchObject([name, left?.length, { fault: 'damagedMetadata' }]);
      }
      for (const [path, kept] of content) {
        if (path.endsWith('.log') && kept.length > 0)
          expect([path, disk.files().get(path)?.equals(kept)]).toEqual([path, true]);
      }
    }
  }
});

test('a ledger with a damaged event is refused as damaged metadata, wherever it lies', async () => {
  for (const name of names()) {
    for (const share of [0.1, 0.5, 0.9]) {
      const content = new Map(files);
      const bytes = Buffer.from(files.get(name)!);
      bytes[Math.floor(bytes.length * share)]! ^= 4;
      content.set(name, bytes);
      expect(await failureOf(opened(diskOf(content)))).toMatchObject({ fault: 'damagedMetadata' });
    }
  }
});
