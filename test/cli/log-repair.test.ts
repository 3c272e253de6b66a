import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/millrace.ts';
import { batchBytes } from '../../src/record/batch.ts';
import { prepareCompacted } from '../damage/compacted-folder.ts';
import { isOneLine, runCli } from './run-cli.ts';
import { ServeProcess } from './serve-process.ts';

interface Change {
  kind: string;
  path: string;
  from: string | null;
}

interface Repair {
  dryRun: boolean;
  logs: { label: string; cutBytes: number; endNext: number; damaged: { firstOffset: number; nextOffset: number }[] }[];
  changes: Change[];
}

interface Verified {
  findings: object[];
  journal: object | null;
  logs: { bytesInJournal: number; records: number; findings: object[] }[];
}

const RECORDS = 40;
let base = '';
/** What a process leaves that is killed: not closed, the journal in use. */
let killed = '';
let stopped = '';
let copies = 0;

beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'cli-repair-'));
  [killed, stopped] = [path.join(base, 'killed'), path.join(base, 'stopped')];
  const broker = await Millrace.open(stopped);
  await broker.admin.createTopic({
    name: 'orders',
    settings: { 'segment.bytes': 16_384, 'index.interval.bytes': 300 },
  });
  const producer = broker.producer({ value: text });
  for (let i = 0; i < RECORDS; i += 1) await producer.send({ topic: 'orders', value: `${i} ${'.'.repeat(1000)}` });
  await producer.close();
  await untilFiled(stopped);
  await cp(stopped, killed, { recursive: true });
  await broker.close();
});
afterAll(() => rm(base, { recursive: true }));

async function copy(of: string): Promise<{ data: string; partition: string; logs: string[] }> {
  const data = path.join(base, `copy-${++copies}`);
  await cp(of, data, { recursive: true });
  const [topic] = await readdir(path.join(data, 'topics'));
  const partition = path.join(data, 'topics', topic!, '0');
  const names = (await readdir(partition)).filter((name) => name.endsWith('.log')).sort();
  return { data, partition, logs: names.map((name) => path.join(partition, name)) };
}

/** What is acknowledged lies in the journal first, and is brought into the partition's files soon after. */
async function untilFiled(data: string): Promise<void> {
  const [topic] = await readdir(path.join(data, 'topics'));
  const partition = path.join(data, 'topics', topic!, '0');
  for (;;) {
    const names = (await readdir(partition)).filter((name) => name.endsWith('.log')).sort();
    const files = await Promise.all(names.map((name) => readFile(path.join(partition, name))));
    // From the tenth record on a value has one more digit.
    const size = files[0]!.length > 0 ? batchBytes(files[0]!, 0) : 0;
    if (Buffer.concat(files).length === RECORDS * (size + 1) - 10) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function filesOf(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    files.set(path.relative(folder, file), (await readFile(file)).toString('base64'));
  }
  return files;
}

async function repair(data: string, ...flags: string[]): Promise<{ code: number | null; err: string; done: Repair }> {
  const { code, err, out } = await runCli(['log', 'repair', data, '--json', ...flags]);
  return { code, err, done: out === '' ? { dryRun: false, logs: [], changes: [] } : JSON.parse(out) };
}

async function verify(data: string): Promise<{ code: number | null; report: Verified }> {
  const { code, out } = await runCli(['log', 'verify', data, '--json']);
  return { code, report: JSON.parse(out) };
}

async function flip(file: string, position: number): Promise<void> {
  const content = await readFile(file);
  content[position]! ^= 0x40;
  await writeFile(file, content);
}

async function valuesIn(data: string): Promise<string[]> {
  const broker = await Millrace.open(data);
  const values: string[] = [];
  for await (const { value } of broker.reader({ topic: 'orders', value: text, to: 'end' })) values.push(String(value));
  await broker.close();
  return values.map((value) => value.split(' ')[0]!);
}

const all = Array.from({ length: RECORDS }, (_, i) => String(i));

test('what a killed process leaves is proven by its journal, and sound; a torn end is told of by a code of its own', async () => {
  const { data, logs } = await copy(killed);
  const before = await verify(data);
  expect(before.code).toBe(0);
  expect(before.report).toMatchObject({
    findings: [],
    journal: { holdsRounds: true },
    logs: [{ label: 'orders-0', proven: { by: 'journal', durableNext: RECORDS }, records: RECORDS }, {}, {}],
  });
  await appendFile(logs.at(-1)!, 'torn');
  const after = await verify(data);
  expect([after.code, after.report.logs[0]!.findings]).toMatchObject([10, [{ kind: 'torn' }]]);
});

test('a dry run tells exactly what a repair then does, and does nothing', async () => {
  const { data, logs, partition } = await copy(killed);
  const last = logs.at(-1)!;
  const whole = (await stat(last)).size;
  await appendFile(last, 'torn by a crash');
  await flip(logs[0]!.replace(/\.log$/, '.index'), 3);
  const before = await filesOf(data);
  const plan = await repair(data, '--dry-run');
  expect([plan.code, plan.done.dryRun, plan.done.logs[0]]).toMatchObject([0, true, { cutBytes: 15, endNext: RECORDS }]);
  expect(await filesOf(data)).toEqual(before);

  const { code, done } = await repair(data);
  expect([code, done.dryRun, done.logs[0]]).toMatchObject([0, false, { cutBytes: 15, endNext: RECORDS }]);
  const withoutTime = (changes: Change[]) =>
    changes.map(({ kind, path: at, from }) => [kind, at.replace(/-\d+\.bytes$/, ''), from]);
  expect(withoutTime(done.changes)).toEqual(withoutTime(plan.done.changes));
  const after = await filesOf(data);
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((at) => before.get(at) !== after.get(at));
  expect(done.changes.map((change) => change.path).sort()).toEqual(changed.sort());

  // What was cut off is kept, and the folder is sound and whole.
  const kept = (await readdir(path.join(partition, 'quarantine'))).filter((name) => name.endsWith('.bytes'));
  expect(String(await readFile(path.join(partition, 'quarantine', kept[0]!)))).toBe('torn by a crash');
  expect((await stat(last)).size).toBe(whole);
  expect((await verify(data)).code).toBe(0);
  expect((await runCli(['log', 'repair', data])).out).toContain('nothing is to be done');
  expect(await valuesIn(data)).toEqual(all);
});

test('records that the journal alone has are written to their file', async () => {
  const { data, logs } = await copy(killed);
  const last = logs.at(-1)!;
  const content = await readFile(last);
  // As after a power cut that kept nothing of the file but what its checkpoint proves.
  await writeFile(last, content.subarray(0, 0));
  const before = await verify(data);
  expect([before.code, before.report.logs[0]!.bytesInJournal, before.report.logs[0]!.records]).toEqual([
    0,
    content.length,
    RECORDS,
  ]);
  expect((await repair(data)).code).toBe(0);
  expect((await readFile(last)).equals(content)).toBe(true);
});

test('a byte of a file that is not as the journal has it is told of, and mended', async () => {
  const { data, logs } = await copy(killed);
  const content = await readFile(logs.at(-1)!);
  await flip(logs.at(-1)!, 200);
  const { code, report } = await verify(data);
  expect([code, report.logs[0]]).toMatchObject([0, { bytesInJournal: 0, bytesDiffering: 1, findings: [] }]);
  const { out } = await runCli(['log', 'verify', data]);
  expect(out).toContain('journal: orders-0 is other than the journal says (bytes: 1)');
  expect((await repair(data)).code).toBe(0);
  expect((await readFile(logs.at(-1)!)).equals(content)).toBe(true);
});

test('damaged records are left as they are and noted; readers are led past them where the topic says so', async () => {
  const { data, partition, logs } = await copy(stopped);
  const content = await readFile(logs[0]!);
  await flip(logs[0]!, batchBytes(content, 0) + 100);
  const { code, err, done } = await repair(data);
  expect([code, isOneLine(err), done.logs[0]!.damaged]).toMatchObject([7, true, [{ firstOffset: 1, nextOffset: 2 }]]);
  // The damaged batch had its entry in the index, which leads to sound ones alone.
  const changed = done.changes.map((change) => path.basename(change.path).replace(/^0+/, ''));
  expect(changed).toEqual(['places', '.index', '.timeindex']);
  expect(await readdir(path.join(partition, 'quarantine'))).toEqual(['places']);
  const { out } = await runCli(['log', 'repair', data, '--dry-run']);
  expect(out).toMatch(/^orders-0: offsets 1 to 1 are damaged, \d+ bytes at \d+: /m);
  const serving = await ServeProcess.start(['--data', data, '--listen', '127.0.0.1:0']);
  const consumed = await runCli(['consume', 'orders', '-e', '--broker', serving.broker]);
  await serving.stop();
  expect([consumed.code, isOneLine(consumed.err)]).toEqual([7, true]);
  expect(consumed.err).toMatch(/partition 0, offset 1; .*millrace\.rot=skip.*millrace log verify/);
  const broker = await Millrace.open(data);
  await broker.admin.alterSettings({ topic: 'orders' }, { set: { 'millrace.rot': 'skip' } });
  await broker.close();
  expect(await valuesIn(data)).toEqual(all.filter((value) => value !== '1'));
});

test('what matters is told first, of whichever log: damaged records, then torn ends, then caches', async () => {
  const { data, logs } = await copy(stopped);
  await flip(logs[0]!.replace(/\.log$/, '.index'), 3);
  await flip(logs[1]!, 100);
  await appendFile(path.join(data, 'ledger', 'groups', '00000000000000000000.log'), 'torn by a crash');
  const { out } = await runCli(['log', 'repair', data, '--dry-run']);
  const [told, changes] = out.split('\n\n') as [string, string];
  // Told as what was done, which it is not.
  const [intro, ...said] = told.split('\n');
  expect(intro).toBe('nothing was done; what a repair would say:');
  const lines = said.map((line) => /are damaged|torn write|an index/.exec(line)?.[0]);
  expect(lines).toEqual(['are damaged', 'are damaged', 'torn write', 'an index']);
  const files = changes.trim().split('\n').slice(1);
  const firstCache = files.findIndex((line) => /index|producers/.test(line));
  expect(firstCache).toBeGreaterThan(0);
  expect(files.findLastIndex((line) => /\.log|quarantine/.test(line))).toBeLessThan(firstCache);
});

test('a round of the journal that is not whole is kept aside', async () => {
  const { data } = await copy(killed);
  const journal = path.join(data, 'journal', '1');
  const content = await readFile(journal);
  const last = content.lastIndexOf('MLJ1');
  await flip(journal, last + 200);
  const { code, out } = await runCli(['log', 'repair', data]);
  expect([code, out]).toEqual([0, expect.stringMatching(/^journal: the journal ends in a round that is not whole/)]);
  const [kept] = await readdir(path.join(data, 'journal', 'quarantine'));
  const bytes = await readFile(path.join(data, 'journal', 'quarantine', kept!));
  expect(bytes.equals((await readFile(journal)).subarray(last, last + bytes.length))).toBe(true);
  expect(bytes.toString('latin1')).toContain(`${RECORDS - 1} ...`);
});

test('caches that are wrong, or gone, are built again', async () => {
  const { data, partition, logs } = await copy(stopped);
  const sound = await filesOf(partition);
  await flip(logs[0]!.replace(/\.log$/, '.index'), 3);
  await rm(logs[1]!.replace(/\.log$/, '.timeindex'));
  await flip(logs.at(-1)!.replace(/\.log$/, '.producers'), 12);
  expect((await verify(data)).code).toBe(10);
  expect((await repair(data)).code).toBe(0);
  expect(await filesOf(partition)).toEqual(sound);
  expect((await verify(data)).code).toBe(0);
});

test('damaged checksums of a compacted segment are a cache that is wrong, and made again', async () => {
  const data = path.join(base, 'compacted');
  const { files } = await prepareCompacted();
  for (const [file, content] of files) {
    await mkdir(path.dirname(path.join(data, file)), { recursive: true });
    await writeFile(path.join(data, file), content);
  }
  expect((await verify(data)).code).toBe(0);
  const sums = [...files.keys()].find((file) => file.endsWith('.sums'))!;
  await flip(path.join(data, sums), 9);
  const { code, report } = await verify(data);
  expect([code, report.logs[0]!.findings]).toMatchObject([10, [{ kind: 'cache', file: sums }]]);
  const { code: repaired, out } = await runCli(['log', 'repair', data]);
  expect([repaired, out]).toEqual([0, expect.stringContaining('the checksums of a compacted segment were damaged')]);
  expect((await readFile(path.join(data, sums))).equals(files.get(sums)!)).toBe(true);
  expect((await verify(data)).code).toBe(0);
});

test('a folder whose own records are damaged is left alone, with one line', async () => {
  const { logs } = await copy(stopped);
  const inPartition = path.relative(path.join(base, `copy-${copies}`), path.dirname(logs[0]!));
  const places = [
    ['millrace.json', 20],
    [path.join(inPartition, 'checkpoint'), 12],
    ['journal/proofs', 12],
    ['ledger/cluster/00000000000000000000.log', 80],
  ] as const;
  for (const [file, position] of places) {
    const { data } = await copy(killed);
    await flip(path.join(data, file), position);
    const before = await filesOf(data);
    const { code, err } = await repair(data);
    expect([file, code, isOneLine(err)]).toEqual([file, 5, true]);
    expect(err).toMatch(/backup of the whole folder.*log verify/);
    expect(await filesOf(data)).toEqual(before);
  }
});

test('a folder that a broker uses, and one that is not Millrace’s, are left alone', async () => {
  const { data, partition } = await copy(stopped);
  const broker = await Millrace.open(data);
  const inUse = await repair(data);
  await broker.close();
  expect([inUse.code, isOneLine(inUse.err)]).toEqual([5, true]);
  const loose = path.join(base, 'loose');
  await cp(partition, path.join(loose, 'orders-0'), { recursive: true });
  expect((await repair(loose)).code).toBe(2);
});
