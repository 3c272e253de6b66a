import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytes } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/millrace.ts';
import { batchBytes } from '../../src/record/batch.ts';
import { isOneLine, runCli } from './run-cli.ts';

interface Report {
  label: string;
  records: number;
  batches: number;
  offsetNext: number;
  digest: string;
  findings: { kind: string; file: string; position: number | null; what: string }[];
}

const RECORDS = 600;
let base = '';
let sound = '';
let copies = 0;

/** A folder with one topic of several batches and segments, and one that holds the same records in other batches. */
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'cli-log-'));
  sound = path.join(base, 'sound');
  const broker = await Millrace.open(sound);
  const settings = { 'index.interval.bytes': 500, 'segment.bytes': 20_000 };
  await broker.admin.createTopic({ name: 'plain', settings });
  await broker.admin.createTopic({ name: 'zipped' });
  const send = async (topic: string, options: object): Promise<void> => {
    const producer = broker.producer({ key: bytes, value: bytes, ...options });
    for (let i = 0; i < RECORDS; i++) {
      const key = i % 7 === 0 ? null : Buffer.from(`key ${i}`);
      const value = i % 11 === 0 ? null : Buffer.from(`value ${i} ${'.'.repeat(i % 90)}`);
      void producer.send({ topic, key, value, timestampMs: 1_700_000_000_000 + i, headers: { number: String(i) } });
    }
    await producer.close();
  };
  await send('plain', { batchBytesMax: 1000 });
  await send('zipped', { compression: 'zstd', batchBytesMax: 10_000 });
  await broker.close();
});
afterAll(() => rm(base, { recursive: true }));

/** A copy of the sound folder and the path of the first partition's folder of a topic in it. */
async function copy(topic = 'plain'): Promise<{ data: string; partition: string; log: string }> {
  const data = path.join(base, `copy-${++copies}`);
  await cp(sound, data, { recursive: true });
  const { logs } = await verify(data);
  const found = logs.find(({ label }) => label === `${topic}-0`) as Report & { folder: string };
  const partition = path.join(data, found.folder);
  return { data, partition, log: path.join(partition, '00000000000000000000.log') };
}

async function verify(target: string): Promise<{ code: number | null; err: string; logs: Report[] }> {
  const { code, err, out } = await runCli(['log', 'verify', target, '--json']);
  return { code, err, logs: out === '' ? [] : (JSON.parse(out) as { logs: Report[] }).logs };
}

async function flip(file: string, position: number): Promise<void> {
  const content = await readFile(file);
  content[position]! ^= 0x40;
  await writeFile(file, content);
}

test('a sound folder is found sound, with every record of every topic', async () => {
  const { code, logs } = await verify(sound);
  expect(code).toBe(0);
  expect(logs.map(({ label, findings }) => [label, findings])).toEqual([
    ['plain-0', []],
    ['zipped-0', []],
    ['ledger/cluster', []],
    ['ledger/groups', []],
  ]);
  expect(logs[0]).toMatchObject({ records: RECORDS, offsetNext: RECORDS });
  expect((await readdir((await copy()).partition)).filter((name) => name.endsWith('.log')).length).toBeGreaterThan(1);
  const { out } = await runCli(['log', 'verify', sound]);
  expect(out).toMatch(/^plain-0 .* sound$/m);
});

test('equal records have an equal digest, however they lie in batches; another record has another', async () => {
  const [plain, zipped, ledger] = (await verify(sound)).logs;
  expect(plain!.batches).not.toBe(zipped!.batches);
  expect(plain!.digest).toBe(zipped!.digest);
  expect(plain!.digest).toMatch(/^[0-9a-f]{16}$/);
  expect(ledger!.digest).not.toBe(plain!.digest);
});

test('a log starts where its records were deleted up to, whatever its files still hold', async () => {
  const { data } = await copy();
  const broker = await Millrace.open(data);
  await broker.admin.trim('plain', new Map([[0, 1]]));
  await broker.admin.trim('zipped', new Map([[0, 'latest']]));
  await broker.close();
  const { code, logs } = await verify(data);
  expect([code, logs[0], logs[1]]).toMatchObject([0, { logStart: 1, firstOffset: 0 }, { logStart: RECORDS }]);
  const { out } = await runCli(['log', 'verify', data, '--topic', 'plain']);
  expect(out).toMatch(/^LOG +SEGMENTS +BATCHES +RECORDS +START .*\nplain-0 +\d+ +\d+ +600 +1 +600 /);
});

test('looking changes nothing', async () => {
  const { data, partition } = await copy();
  const state = async () =>
    Promise.all((await readdir(partition)).map(async (name) => [name, await readFile(path.join(partition, name))]));
  const before = await state();
  for (const command of ['verify', 'dump', 'index']) await runCli(['log', command, data]);
  expect(await state()).toEqual(before);
});

test('a flipped bit anywhere in a batch is damage at its place, and what follows is still read', async () => {
  const { data, log } = await copy();
  const content = await readFile(log);
  const second = batchBytes(content, 0);
  const third = second + batchBytes(content, second);
  const size = third - second;
  // One place in every field of the header and in the records.
  const places = [0, 7, 8, 11, 12, 16, 17, 21, 23, 30, 40, 45, 52, 55, 60, 61, size - 1];
  for (const place of places) {
    await writeFile(log, content);
    await flip(log, second + place);
    const { code, err, logs } = await verify(data);
    const [report] = logs;
    expect([place, code, isOneLine(err)]).toEqual([place, 7, true]);
    expect(report!.findings).toContainEqual(
      expect.objectContaining({ kind: 'damage', position: second, file: expect.stringMatching(/0{20}\.log$/) }),
    );
    expect(report!.offsetNext).toBe(RECORDS);
    expect(report!.batches).toBeGreaterThan(10);
  }
});

test('bytes missing before the proven end are damage; more bytes than proven are a torn end', async () => {
  const { data, partition } = await copy();
  const last = path.join(partition, (await readdir(partition)).filter((name) => name.endsWith('.log')).at(-1)!);
  const content = await readFile(last);
  await truncate(last, content.length - 10);
  const cut = await verify(data);
  expect([cut.code, cut.logs[0]!.findings.some(({ kind }) => kind === 'damage')]).toEqual([7, true]);

  await writeFile(last, Buffer.concat([content, content.subarray(0, 100)]));
  const torn = await verify(data);
  expect(torn.code).toBe(10);
  expect(torn.logs[0]!.findings).toMatchObject([{ kind: 'torn', position: content.length }]);
  expect(torn.logs[0]!.records).toBe(RECORDS);
});

test('a segment or a checkpoint that is gone or garbled is damage', async () => {
  const { data, partition, log } = await copy();
  const names = (await readdir(partition)).filter((name) => name.endsWith('.log'));
  const middle = path.join(partition, names[1]!);
  const content = await readFile(middle);
  await rm(middle);
  const gap = await verify(data);
  expect([gap.code, gap.logs[0]!.findings[0]!.what]).toEqual([
    7,
    expect.stringMatching(/^offsets \d+ to \d+ are missing between/),
  ]);
  await writeFile(middle, content);
  expect((await verify(data)).code).toBe(0);

  await flip(path.join(partition, 'checkpoint'), 10);
  const garbled = await verify(data);
  expect([garbled.code, garbled.logs[0]!.findings]).toEqual([7, [expect.objectContaining({ kind: 'damage' })]]);
  expect(await verify(log)).toMatchObject({ code: 7 });
});

test('an index that lies is found out; one that is missing or short is none', async () => {
  const { data, log } = await copy();
  const index = log.replace(/\.log$/, '.index');
  const times = log.replace(/\.log$/, '.timeindex');
  const content = await readFile(index);
  for (const position of [3, 7, 8]) {
    await writeFile(index, content);
    await flip(index, position);
    const { code, err, logs } = await verify(data);
    expect([code, err]).toEqual([10, '']);
    expect(logs[0]!.findings.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['cache']));
    expect((await runCli(['log', 'index', log])).code).toBe(7);
  }
  // The damage is what has to come from a copy, and the index beside it is not counted with that.
  const logContent = await readFile(log);
  await flip(log, 100);
  const { code, err } = await verify(data);
  expect([code, err]).toEqual([7, expect.stringMatching(/: 1 finding in plain-0; restore/)]);
  await writeFile(log, logContent);
  await writeFile(index, content.subarray(0, 16));
  await rm(times);
  expect((await verify(data)).code).toBe(0);
  expect(await runCli(['log', 'index', log])).toMatchObject({ code: 0, out: expect.stringContaining('2 entries') });
});

test('the entries of an index are shown, each with whether the log agrees', async () => {
  const { out, code } = await runCli(['log', 'index', sound, '--topic', 'plain', '--json']);
  expect(code).toBe(0);
  const first = JSON.parse(out.split('\n')[0]!) as { entries: { kind: string; wrong: string | null }[] };
  expect(first.entries.length).toBeGreaterThan(10);
  expect(new Set(first.entries.map(({ kind }) => kind))).toEqual(new Set(['offset', 'time']));
  expect(first.entries.every(({ wrong }) => wrong === null)).toBe(true);
});

test('a dump shows each batch and, when asked, each record as it was sent', async () => {
  const { out } = await runCli(['log', 'dump', sound, '--topic', 'zipped', '--json', '--records']);
  const batches = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(batches[0]).toMatchObject({
    topic: 'zipped',
    partition: 0,
    position: 0,
    sound: true,
    compression: 'zstd',
    baseOffset: 0,
  });
  expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(RECORDS);
  const records = batches.flatMap((batch) => batch.records);
  expect(records).toHaveLength(RECORDS);
  expect(records[8]).toEqual({
    offset: 8,
    timestampMs: 1_700_000_000_008,
    key: 'key 8',
    value: 'value 8 ........',
    headers: [['number', '8']],
  });
  expect(records[77]).toMatchObject({ key: null, value: null });

  const text = (await runCli(['log', 'dump', sound, '--topic', 'plain', '--records', '--from', '590'])).out;
  expect(text).toContain('key "key 599"');
  expect(text).not.toContain('key "key 500"');
});

test('a dump shows damage where it lies, between what is sound', async () => {
  const { log } = await copy();
  const second = batchBytes(await readFile(log), 0);
  await flip(log, second + 70);
  const { out, code } = await runCli(['log', 'dump', log, '--json']);
  const pieces = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { position: number; sound: boolean });
  expect(code).toBe(0);
  expect(pieces.filter((piece) => !piece.sound)).toMatchObject([
    { position: second, what: expect.stringContaining('CRC') },
  ]);
  expect(pieces.length).toBeGreaterThan(10);
});

test('a partition, a file and a folder of loose files can be named', async () => {
  const { partition, log } = await copy();
  expect((await verify(partition)).logs.map(({ label, records }) => [label, records])).toEqual([['plain-0', RECORDS]]);
  expect((await runCli(['log', 'dump', log])).out).toContain('plain-0');
  expect(await verify(log)).toMatchObject({ code: 0, logs: [{ label: 'plain-0', findings: [] }] });
  // As Apache Kafka lays them: a folder per partition, named by topic and partition.
  const loose = path.join(base, 'kafka-like');
  await cp(partition, path.join(loose, 'orders-3'), { recursive: true });
  expect((await verify(loose)).logs).toMatchObject([{ label: 'orders-3', records: RECORDS, findings: [] }]);
});

test('a folder that a broker uses is left alone, and its broker is kept out meanwhile', async () => {
  const { data } = await copy();
  const broker = await Millrace.open(data);
  const { code, err } = await runCli(['log', 'verify', data]);
  await broker.close();
  expect([code, isOneLine(err)]).toEqual([5, true]);
  expect((await verify(data)).code).toBe(0);
});

test('a place without logs is said to be one', async () => {
  const empty = await mkdtemp(path.join(base, 'empty-'));
  for (const target of [empty, '/no/such/folder', path.join(sound, 'millrace.json')]) {
    const { code, err } = await runCli(['log', 'verify', target]);
    expect([target, code, isOneLine(err)]).toEqual([target, 2, true]);
  }
  expect((await runCli(['log', 'dump', sound, '--topic', 'none'])).code).toBe(2);
});

test('a data folder that has lost its identity is damaged, and no place without logs', async () => {
  const { data, partition } = await copy();
  await rm(path.join(data, 'millrace.json'));
  for (const target of [data, partition]) {
    const { code, logs, err } = await verify(target);
    expect([target, code, err]).toEqual([target, 7, expect.stringContaining('millrace.json')]);
    expect(logs.map(({ label }) => label)).toContain('plain-0');
  }
  expect((await runCli(['log', 'repair', data])).code).toBe(5);
});

test('one that has lost its ledger as well is looked into all the same, and not repaired', async () => {
  const { data } = await copy();
  for (const name of ['millrace.json', 'ledger']) await rm(path.join(data, name), { recursive: true });
  const { code, logs, err } = await verify(data);
  expect([code, err]).toEqual([7, expect.stringContaining('millrace.json')]);
  expect(logs.filter(({ records }) => records === RECORDS)).toHaveLength(2);
  expect((await runCli(['log', 'repair', data])).code).toBe(5);
});

test('a damaged identity or ledger does not stand in the way of looking', async () => {
  const { data } = await copy();
  await writeFile(path.join(data, 'millrace.json'), '{');
  await flip(path.join(data, 'ledger/cluster/00000000000000000000.log'), 100);
  const { code, logs } = await verify(data);
  expect(code).toBe(7);
  expect(logs.filter(({ records }) => records === RECORDS)).toHaveLength(2);
});
