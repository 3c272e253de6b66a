import { expect, test } from 'vitest';
import { Fault } from '../../src/base/faults.ts';
import type { Disk } from '../../src/disk/disk.ts';
import { realDisk } from '../../src/disk/real-disk.ts';
import { type Fold, Ledger } from '../../src/ledger/ledger.ts';
import { hookedDisk, isLogFile } from '../log/hooked-disk.ts';
import { contextIn, contextOn, tempFolder, until } from '../log/support.ts';

/* What a ledger promises those who append without waiting for each other. */

interface Put {
  readonly key: string;
  readonly value: string;
}

class Values implements Fold<Put> {
  readonly values = new Map<string, string>();
  readonly applied: string[] = [];

  check(): void {}

  apply({ key, value }: Put): void {
    this.values.set(key, value);
    this.applied.push(key);
  }

  *live(): Generator<Put> {
    for (const [key, value] of this.values) yield { key, value };
  }
}

const BIG = 'x'.repeat(2 << 20);

/** A disk on which something is to be done just before a log is written to. */
function hookedWrites(root: string): { disk: Disk; hook: { onWrite: () => void } } {
  const hook = { onWrite: (): void => {} };
  const disk = hookedDisk(realDisk(root), ({ name, path }, proceed) => {
    if (name === 'write' && isLogFile(path)) hook.onWrite();
    return proceed();
  });
  return { disk, hook };
}

test('events are folded in the order of the calls, when they are durable', async () => {
  const root = tempFolder();
  const fold = new Values();
  const ledger = await Ledger.open('l', contextIn(root), fold);
  const appends = Array.from({ length: 300 }, (_, i) => ledger.append([{ key: `${i}`, value: 'v' }]));
  expect(fold.applied).toEqual([]);
  await appends[100];
  expect(fold.applied.slice(0, 101)).toEqual(Array.from({ length: 101 }, (_, i) => `${i}`));
  await Promise.all(appends);
  await ledger.close();
  const again = new Values();
  await (await Ledger.open('l', contextIn(root), again)).close();
  expect(again.applied).toEqual(fold.applied);
});

test('what the disk refuses is not folded, and the next is', async () => {
  let full = false;
  const disk = hookedDisk(realDisk(tempFolder()), ({ name, path }, proceed) => {
    if (full && name === 'write' && isLogFile(path)) throw new Fault('diskFull');
    return proceed();
  });
  const fold = new Values();
  const ledger = await Ledger.open('l', contextOn(disk), fold);
  await ledger.append([{ key: 'a', value: '1' }]);
  full = true;
  const refused = await Promise.allSettled([1, 2, 3].map((i) => ledger.append([{ key: `refused ${i}`, value: '' }])));
  expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  full = false;
  await ledger.append([{ key: 'b', value: '2' }]);
  expect(fold.applied).toEqual(['a', 'b']);
  await ledger.close();
});

test('live state that is written again does not undo what was on its way', async () => {
  const root = tempFolder();
  const { disk, hook } = hookedWrites(root);
  const fold = new Values();
  const ledger = await Ledger.open('l', contextOn(disk), fold);
  await ledger.append([{ key: 'x', value: 'old' }]);
  const appends: Promise<void>[] = [];
  // The first makes the ledger long enough to be written again; the second is on its way when that begins.
  hook.onWrite = () => {
    hook.onWrite = () => {};
    appends.push(ledger.append([{ key: 'x', value: 'new' }]));
  };
  appends.push(ledger.append([{ key: 'big', value: BIG }]));
  await until(() => appends.length === 2);
  await Promise.all(appends);
  // One that comes while it is written again has its place behind it.
  appends.push(ledger.append([{ key: 'y', value: 'newest' }]));
  await Promise.all(appends);
  await ledger.close();
  const again = new Values();
  await (await Ledger.open('l', contextOn(realDisk(root)), again)).close();
  expect([again.values.get('x'), again.values.get('y')]).toEqual(['new', 'newest']);
});

test('live state that is written again is whole when what was on its way is refused', async () => {
  const root = tempFolder();
  const { disk, hook } = hookedWrites(root);
  const fold = new Values();
  const ledger = await Ledger.open('l', contextOn(disk), fold);
  for (let i = 0; i < 10; i += 1) await ledger.append([{ key: `k${i}`, value: 'kept' }]);
  const appends: Promise<void>[] = [];
  let refused = false;
  // Many are on their way when the ledger has become long enough, and the disk refuses them.
  hook.onWrite = () => {
    for (let i = 0; i < 5; i += 1) appends.push(ledger.append([{ key: 'x', value: '' }]));
    hook.onWrite = () => {
      hook.onWrite = () => {};
      refused = true;
      throw new Fault('diskFull');
    };
  };
  await ledger.append([{ key: 'big', value: BIG }]);
  await Promise.allSettled(appends);
  expect(refused).toBe(true);
  await ledger.append([{ key: 'last', value: '' }]);
  await ledger.close();
  const again = new Values();
  await (await Ledger.open('l', contextOn(realDisk(root)), again)).close();
  expect([...again.values.keys()].sort()).toEqual([...fold.values.keys()].sort());
  expect(again.values.size).toBe(12);
});
