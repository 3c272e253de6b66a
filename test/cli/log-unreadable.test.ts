import fs from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { text } from '../../src/client/codecs.ts';
import { checkLog } from '../../src/log-check.ts';
import { repair } from '../../src/log-repair.ts';
import { Millrace } from '../../src/millrace.ts';
import { openStoppedFolder } from '../../src/stopped-folder.ts';
import { flip, LogFolders, logsIn, verify } from './log-folders.ts';
import { isOneLine, runCli } from './run-cli.ts';

/* A file that the disk cannot read keeps nobody from looking at the others, and nothing is done to its log. */

const RECORDS = 60;
let folders: LogFolders;
let stopped = '';

beforeAll(async () => {
  folders = await LogFolders.make();
  stopped = path.join(folders.base, 'stopped');
  const broker = await Millrace.open(stopped);
  const settings = { 'segment.bytes': 16_384, 'index.interval.bytes': 300 };
  await broker.admin.createTopic({ name: 'orders', partitions: 2, settings });
  const producer = broker.producer({ value: text });
  for (let i = 0; i < 2 * RECORDS; i += 1) {
    await producer.send({ topic: 'orders', partition: i % 2, value: `${i} ${'.'.repeat(1000)}` });
  }
  await producer.close();
  await broker.close();
});
afterAll(() => folders.remove());
afterEach(() => vi.restoreAllMocks());

/** Whose place a folder has cannot be read by anyone. */
async function makeUnreadable(file: string): Promise<void> {
  await rm(file);
  await mkdir(file);
}

function filesIn(folder: string): string[] {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.join(parentPath, name))
    .map((file) => `${file} ${fs.readFileSync(file, 'base64')}`);
}

test('a log file that cannot be read is damage of that file; all others are looked at', async () => {
  const { data, partition } = await folders.copy(stopped);
  const [, second, third] = await logsIn(partition);
  await makeUnreadable(second!);
  await flip(third!, 200);
  const { code, findings, logs } = await verify(data);
  const named = (file: string) => path.relative(data, file);
  expect(code).toBe(7);
  expect(findings).toMatchObject([
    { kind: 'damage', file: named(second!), position: 0, what: expect.stringMatching(/cannot be read.*EISDIR/) },
    { kind: 'damage', file: named(third!) },
  ]);
  expect(logs.map(({ label, findings: ofLog }) => [label, ofLog.length])).toEqual([
    ['orders-0', 2],
    ['orders-1', 0],
    ['ledger/cluster', 0],
    ['ledger/groups', 0],
  ]);
  expect(logs[1]!.records).toBe(RECORDS);
});

test('repair leaves the log of such a file alone, and does what is to be done to the others', async () => {
  const { data, partition } = await folders.copy(stopped);
  const [, second, third] = await logsIn(partition);
  await makeUnreadable(second!);
  await flip(third!, 200);
  const other = path.join(path.dirname(partition), '1');
  const index = (await logsIn(other))[0]!.replace('.log', '.index');
  await rm(index);
  const before = filesIn(partition);
  for (const flags of [['--dry-run'], []]) {
    const { code, out } = await runCli(['log', 'repair', data, ...flags]);
    expect(code).toBe(7);
    expect(out).toContain(`damage: ${path.relative(data, second!)} at byte 0: it cannot be read: `);
    expect(out).toContain('orders-0: nothing is done to it');
    expect(out).toContain('orders-1: an index was missing');
  }
  expect(filesIn(partition)).toEqual(before);
  expect(fs.existsSync(index)).toBe(true);
});

/** For another process. */
const FAILING_READS = `
  import fs from 'node:fs';
  const { read } = fs;
  fs.read = (fd, ...all) => {
    if (fs.readlinkSync('/proc/self/fd/' + fd) !== process.env.UNREADABLE) return read(fd, ...all);
    all.at(-1)(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' }));
  };`;

test.runIf(process.platform === 'linux').each(['a bad sector', 'what is no file'])(
  'a dump shows all files but that one, and the indexes are held against all logs but that one: %s',
  async (how) => {
    const { data, partition } = await folders.copy(stopped);
    const [, second] = await logsIn(partition);
    if (how === 'what is no file') await makeUnreadable(second!);
    const preload = `data:text/javascript,${encodeURIComponent(FAILING_READS)}`;
    const env = how === 'a bad sector' ? { NODE_OPTIONS: `--import=${preload}`, UNREADABLE: second! } : {};
    const bad = path.relative(data, second!);
    const lines = async (command: string): Promise<{ [name: string]: unknown }[]> => {
      const { code, out, err } = await runCli(['log', command, data, '--json'], { env });
      expect([code, isOneLine(err), err]).toEqual([5, true, expect.stringContaining(bad)]);
      const found = out.trimEnd().split('\n');
      return found.map((line) => JSON.parse(line));
    };
    const what = expect.stringMatching(/^it cannot be read: E/);
    const pieces = await lines('dump');
    expect(pieces.filter(({ file }) => file === bad)).toMatchObject([
      { partition: 0, position: 0, sound: false, what },
    ]);
    expect(pieces.filter(({ sound }) => !sound)).toHaveLength(1);
    expect(pieces.filter(({ partition: number }) => number === 1)).toHaveLength(RECORDS);
    const text = await runCli(['log', 'dump', data], { env });
    expect([text.code, text.out]).toEqual([5, expect.stringMatching(/DAMAGED: it cannot be read: E.*\n\norders-0 /)]);

    const logs = await lines('index');
    expect(logs.filter(({ unreadable }) => unreadable !== undefined)).toMatchObject([{ log: bad, unreadable: what }]);
    expect(logs.map(({ log }) => log)).toEqual([...new Set(pieces.map(({ file }) => file))]);
  },
);

test('the same of the checkpoint, and of the journal, of which repair needs all', async () => {
  const one = await folders.copy(stopped);
  await makeUnreadable(path.join(one.partition, 'checkpoint'));
  const ofCheckpoint = await verify(one.data);
  expect(ofCheckpoint.code).toBe(7);
  expect(ofCheckpoint.findings).toMatchObject([{ kind: 'damage', file: expect.stringMatching(/checkpoint$/) }]);
  expect((await runCli(['log', 'repair', one.data])).code).toBe(7);

  const other = await folders.copy(stopped);
  const [journal] = fs.readdirSync(path.join(other.data, 'journal')).filter((name) => /^\d+$/.test(name));
  await makeUnreadable(path.join(other.data, 'journal', journal!));
  const ofJournal = await verify(other.data);
  expect([ofJournal.code, ofJournal.logs.length]).toEqual([7, 4]);
  expect(ofJournal.findings).toMatchObject([{ kind: 'damage', file: 'journal' }]);
  const repaired = await runCli(['log', 'repair', other.data]);
  expect([repaired.code, repaired.err]).toEqual([5, expect.stringContaining(`journal/${journal}`)]);
});

test('an index that cannot be read is one that is wrong', async () => {
  const { data, partition } = await folders.copy(stopped);
  const index = (await logsIn(partition))[0]!.replace('.log', '.index');
  await makeUnreadable(index);
  const { findings } = await verify(data);
  expect(findings).toMatchObject([{ kind: 'cache', file: path.relative(data, index) }]);
  const broker = await Millrace.open(data);
  let records = 0;
  for await (const _ of broker.reader({ topic: 'orders', partitions: [0], value: text, to: 'end' })) records += 1;
  expect(records).toBe(RECORDS);
  await broker.close();
});

/** As a bad sector does. */
function failReadsOf(bad: string): void {
  const { read } = fs;
  vi.spyOn(fs, 'read').mockImplementation(((fd: number, ...all: unknown[]) => {
    const done = all.at(-1) as (error: Error) => void;
    if (fs.readlinkSync(`/proc/self/fd/${fd}`) !== bad) return (read as (...all: unknown[]) => void)(fd, ...all);
    done(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' }));
  }) as typeof fs.read);
}

test.runIf(process.platform === 'linux')('what the disk itself fails to read is told with the place', async () => {
  const { data, partition } = await folders.copy(stopped);
  const [bad] = await logsIn(partition);
  failReadsOf(bad!);
  const folder = await openStoppedFolder(data);
  try {
    const [orders] = folder.logs;
    const { findings, records } = await checkLog(folder, orders!);
    const what = expect.stringContaining(`EIO: i/o error, read '${bad}' at byte 0`);
    expect(findings).toMatchObject([{ kind: 'damage', file: path.relative(data, bad!), position: 0, what }]);
    expect(records).toBeGreaterThan(0);
    expect(records).toBeLessThan(RECORDS);
  } finally {
    await folder.close();
  }
});

test.runIf(process.platform === 'linux')(
  'an index, and the list of damaged places, are made again where the disk fails to read them',
  async () => {
    const options = { dryRun: false, nowMs: 1_700_000_000_000, areAllLogs: true };
    const { data, partition } = await folders.copy(stopped);
    const [first] = await logsIn(partition);
    await flip(first!, 200);
    const repaired = async (): Promise<string[]> => {
      const folder = await openStoppedFolder(data);
      const { changes } = await repair(data, folder.logs, options).finally(() => folder.close());
      return changes.map(({ kind, path: changed }) => `${kind} ${changed}`);
    };
    const index = first!.replace('.log', '.timeindex');
    await rm(index);
    await repaired();
    for (const bad of [index, path.join(partition, 'quarantine', 'places')]) {
      const before = fs.readFileSync(bad);
      failReadsOf(bad);
      expect(await repaired()).toContain(`changed ${path.relative(data, bad)}`);
      vi.restoreAllMocks();
      expect(fs.readFileSync(bad)).toEqual(before);
    }
    expect(await repaired()).toEqual([]);
  },
);
