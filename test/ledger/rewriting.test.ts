import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { type Fold, Ledger } from '../../src/ledger/ledger.ts';
import { buildBatch } from '../../src/record/batch-builder.ts';
import { hookedDisk, unsyncedDisk } from '../log/hooked-disk.ts';
import { contextOn, copyOf, oneSegment, openLog, type TestContext, tempFolder, until } from '../log/support.ts';

const FOLDER = 'ledger/t';

interface Put {
  readonly key: number;
  readonly value: string;
}

/** What was put last under each key; an empty value takes it away. */
class Puts implements Fold<Put> {
  readonly values = new Map<number, string>();

  check(): void {}

  apply({ key, value }: Put): void {
    if (value === '') this.values.delete(key);
    else this.values.set(key, value);
  }

  *live(): Generator<Put> {
    for (const [key, value] of this.values) yield { key, value };
  }

  get facts(): string {
    return [...this.values]
      .map(([key, value]) => `${key}=${value.slice(0, 8)}`)
      .sort()
      .join(' ');
  }
}

async function open(context: TestContext): Promise<{ ledger: Ledger<Put>; state: Puts }> {
  const state = new Puts();
  return { ledger: await Ledger.open(FOLDER, context, state), state };
}

/** What a start on a copy of the folder finds. */
async function found(folder: string): Promise<string> {
  const copy = copyOf(folder);
  const { ledger, state } = await open(contextOn(unsyncedDisk(realDisk(copy))));
  await ledger.close();
  fs.rmSync(copy, { recursive: true });
  return state.facts;
}

const bytesIn = (folder: string): number =>
  fs
    .readdirSync(path.join(folder, FOLDER))
    .reduce((sum, name) => sum + fs.statSync(path.join(folder, FOLDER, name)).size, 0);

/** Where the oldest file of the ledger begins: above 0 when a rewrite has dropped what it repeats. */
const firstOffset = (folder: string): number => {
  const oldest = fs.readdirSync(path.join(folder, FOLDER)).find((name) => name.endsWith('.log'));
  return Number(oldest!.slice(0, 20));
};

describe('a ledger that has grown', () => {
  test('is written again: it stays small, and a kill at any call of the disk loses nothing', async () => {
    const folder = tempFolder();
    let watched = false;
    let kills = 0;
    let acknowledged = '';
    let pending = '';
    const lost: string[] = [];
    let state: Puts | null = null;
    const disk = hookedDisk(unsyncedDisk(realDisk(folder)), async ({ name }, proceed) => {
      if (watched && name !== 'read' && name !== 'size' && name !== 'list') {
        // Killed here. What was acknowledged must be there; what is under way may be. Others go on while the copy is read.
        const possible = [acknowledged, pending];
        const after = await found(folder);
        kills += 1;
        if (!possible.includes(after)) lost.push(`kill ${kills} at ${name}: ${after.slice(0, 200)}`);
      }
      return proceed();
    });
    const context = contextOn(disk);
    const { ledger, state: puts } = await open(context);
    state = puts;
    const put = async (key: number, value: string): Promise<void> => {
      const next = new Puts();
      for (const event of state!.live()) next.apply(event);
      next.apply({ key, value });
      pending = next.facts;
      await ledger.change(() => ({ events: [{ key, value }], result: undefined }));
      acknowledged = state!.facts;
    };
    // Twenty keys of 20 KB: live are 400 KB, and it is written again when it has grown past 1 MiB.
    for (let i = 0; i < 52; i += 1) await put(i % 20, `${i}-`.padEnd(20_000, 'x'));
    await put(3, '');
    watched = true;
    for (let i = 53; i < 60; i += 1) await put(i % 20, `${i}-`.padEnd(20_000, 'x'));
    // Closing would leave the rest of it to the next start.
    await until(() => firstOffset(folder) > 0);
    await ledger.close();
    watched = false;
    expect(lost).toEqual([]);
    expect(kills).toBeGreaterThan(15);
    expect(context.fatal).toEqual([]);
    expect(bytesIn(folder)).toBeLessThan(1.5 * 1024 * 1024);
    expect(await found(folder)).toBe(state.facts);
  }, 120_000);

  test('whose rewriting fails for want of room goes on, and is written again later', async () => {
    const folder = tempFolder();
    let full = false;
    const disk = hookedDisk(unsyncedDisk(realDisk(folder)), async ({ name, path: at }, proceed) => {
      if (full && (name === 'write' || (name === 'open' && at.endsWith('.new')))) throw new Fault('diskFull');
      return proceed();
    });
    const context = contextOn(disk);
    const { ledger, state } = await open(context);
    const put = (i: number): Promise<void> =>
      ledger.change(() => ({ events: [{ key: i % 10, value: `${i}-`.padEnd(20_000, 'x') }], result: undefined }));
    let refused = 0;
    for (let i = 0; i < 200; i += 1) {
      full = i % 9 > 6;
      await put(i).catch((error: unknown) => {
        expect(error).toMatchObject({ fault: 'diskFull' });
        refused += 1;
      });
    }
    full = false;
    await put(200);
    await ledger.close();
    expect(refused).toBeGreaterThan(20);
    expect(context.fatal).toEqual([]);
    expect(bytesIn(folder)).toBeLessThan(3 * 1024 * 1024);
    expect(await found(folder)).toBe(state.facts);
  });
});

test('a ledger whose live state takes several slices to write again has all of it afterwards', async () => {
  const folder = tempFolder();
  const { ledger, state } = await open(contextOn(unsyncedDisk(realDisk(folder))));
  const keys = 2500;
  for (let round = 0; firstOffset(folder) === 0; round += 1) {
    const puts = Array.from({ length: keys }, (_, key) => ({ key, value: `${round}-`.padEnd(200, 'x') }));
    await ledger.change(() => ({ events: puts, result: undefined }));
    await ledger.change(() => ({ events: [{ key: round, value: 'the newest' }], result: undefined }));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await ledger.close();
  expect(state.values.size).toBe(keys);
  expect(await found(folder)).toBe(state.facts);
});

describe('a ledger that cannot be read is refused', () => {
  test.each([
    ['null', Buffer.from([0xc0])],
    ['a number', Buffer.from([7])],
    ['cut short', Buffer.from([0x93, 1])],
  ])('an event that is %s', async (_, value) => {
    const folder = tempFolder();
    const context = contextOn(unsyncedDisk(realDisk(folder)));
    const log = await openLog(context, oneSegment, 1, FOLDER);
    await context.syncer.append([{ log, batch: buildBatch([{ timestampMs: 1, value }]) }], 'visible').settled;
    await log.close();
    await expect(open(contextOn(unsyncedDisk(realDisk(folder))))).rejects.toMatchObject({ fault: 'damagedMetadata' });
  });

  test('whichever of its files is lost', async () => {
    const folder = tempFolder();
    const { ledger } = await open(contextOn(unsyncedDisk(realDisk(folder))));
    const big = 'x'.repeat(100_000);
    for (let key = 0; key < 45; key += 1) {
      await ledger.change(() => ({ events: [{ key, value: big }], result: undefined }));
    }
    await ledger.close();
    const files = fs.readdirSync(path.join(folder, FOLDER)).filter((name) => name.endsWith('.log'));
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const copy = copyOf(folder);
      fs.rmSync(path.join(copy, FOLDER, file));
      const opening = open(contextOn(unsyncedDisk(realDisk(copy))));
      await expect(opening, file).rejects.toMatchObject({ fault: 'damagedMetadata' });
    }
  });
});
