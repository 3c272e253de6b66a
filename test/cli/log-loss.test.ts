import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { text } from '../../src/client/codecs.ts';
import { Millrace } from '../../src/millrace.ts';
import { batchesIn } from '../../src/record/batch.ts';
import { flip, LogFolders, logsIn, verify } from './log-folders.ts';
import { runCli } from './run-cli.ts';

/*
 * What is lost, or may be, is never called sound: neither by verify, which changes nothing, nor by repair, which goes on without it.
 */
const RECORDS = 40;
let folders: LogFolders;
let stopped = '';
/** As a process leaves it that is killed. */
let killed = '';

beforeAll(async () => {
  folders = await LogFolders.make();
  [stopped, killed] = [path.join(folders.base, 'stopped'), path.join(folders.base, 'killed')];
  const broker = await Millrace.open(stopped);
  const settings = { 'segment.bytes': 16_384 };
  await broker.admin.createTopic({ name: 'orders', partitions: 2, settings });
  const producer = broker.producer({ value: text });
  for (let i = 0; i < RECORDS; i += 1) {
    await producer.send({ topic: 'orders', partition: 0, value: `${i} ${'.'.repeat(1000)}` });
  }
  await producer.close();
  await cp(stopped, killed, { recursive: true });
  await broker.close();
});
afterAll(() => folders.remove());

test('a log whose oldest file is gone is not sound: it starts later than its checkpoint says', async () => {
  const { data, partition } = await folders.copy(stopped);
  const [oldest] = await logsIn(partition);
  await rm(oldest!);
  const { code, findings, logs } = await verify(data);
  expect([code, findings]).toMatchObject([
    7,
    [{ kind: 'damage', what: expect.stringMatching(/^it starts with .* lost$/) }],
  ]);
  expect(logs[0]!.logStart).toBeGreaterThan(0);
  const planned = await runCli(['log', 'repair', data, '--dry-run']);
  expect([planned.code, planned.out]).toEqual([7, expect.stringContaining('it starts with offset')]);
  expect((await runCli(['log', 'repair', data])).code).toBe(7);
  // A broker goes on without it, and says so in its checkpoint.
  await (await Millrace.open(data)).close();
  expect((await verify(data)).code).toBe(0);
});

test('a log that must have had a checkpoint and has none is not sound, as the start says too', async () => {
  const { data, partition } = await folders.copy(stopped);
  await rm(path.join(partition, 'checkpoint'));
  await rm(path.join(data, 'journal', 'proofs'));
  const verified = await verify(data);
  const said = expect.stringContaining('the checkpoint of a partition is gone');
  const file = path.relative(data, partition);
  expect([verified.code, verified.findings]).toMatchObject([7, [{ kind: 'damage', file, what: said }]]);
  const repaired = await runCli(['log', 'repair', data]);
  expect([repaired.code, repaired.out.split('the checkpoint of a partition is gone').length]).toEqual([7, 2]);
  // It has one again.
  expect((await verify(data)).code).toBe(0);
  // A log that never rolled need not have one.
  const { data: fresh, partition: small } = await folders.copy(killed);
  await rm(path.join(path.dirname(small), '1', 'checkpoint'), { force: true });
  expect((await verify(fresh)).code).toBe(0);
});

test('a log of which no file is left is told of by one repair, which settles where it goes on', async () => {
  const { data, partition } = await folders.copy(stopped);
  for (const file of await logsIn(partition)) await rm(file);
  expect((await verify(data)).code).toBe(7);
  const repaired = await runCli(['log', 'repair', data]);
  const told = expect.stringContaining('the segment files of a partition are gone');
  expect([repaired.code, repaired.out]).toEqual([7, told]);
  const { code, logs } = await verify(data);
  expect([code, logs[0]]).toMatchObject([0, { logStart: RECORDS, records: 0 }]);
});

test('of a file that is gone from the middle, verify and repair name both files around it', async () => {
  const { data, partition } = await folders.copy(stopped);
  const [before, gone, after] = (await logsIn(partition)).map((file) => path.relative(data, file));
  await rm(path.join(data, gone!));
  const verified = await verify(data);
  const [from, to] = [gone, after].map((file) => Number(path.basename(file!, '.log')));
  const missing = `offsets ${from} to ${to! - 1} are missing between the end of ${before} and this file`;
  expect([verified.code, verified.findings]).toMatchObject([
    7,
    [{ kind: 'damage', file: after, position: 0, what: expect.stringContaining(missing) }],
  ]);
  const repaired = await runCli(['log', 'repair', data]);
  const told = expect.stringMatching(/stored records are missing between the end of a log file and the next/);
  expect([repaired.code, repaired.out]).toEqual([7, told]);
});

test('a log whose youngest file is gone is not sound either, after a start too, and says where it goes on', async () => {
  const { data, partition } = await folders.copy(stopped);
  await rm((await logsIn(partition)).at(-1)!);
  // It goes on with an empty file, by what its checkpoint says.
  await (await Millrace.open(data)).close();
  const goesOn = path.basename((await logsIn(partition)).at(-1)!);
  const { code, findings } = await verify(data);
  const what = expect.stringMatching(/^offsets 30 to 39 are missing between/);
  expect([code, findings]).toEqual([7, [expect.objectContaining({ kind: 'damage', what })]]);
  expect([goesOn, findings[0]!.file]).toEqual([
    `${String(RECORDS).padStart(20, '0')}.log`,
    expect.stringContaining(goesOn),
  ]);
  expect((await runCli(['log', 'repair', data])).code).toBe(7);
  expect((await verify(data)).code).toBe(7);
});

test('a file of deleted records that a power cut brought back, and those after it not, is no loss', async () => {
  const { data, partition } = await folders.copy(stopped);
  const [oldest, , next] = await logsIn(partition);
  const content = await readFile(oldest!);
  const logStart = Number(path.basename(next!, '.log'));
  const broker = await Millrace.open(data);
  await broker.admin.trim('orders', new Map([[0, logStart]]));
  await broker.close();
  await writeFile(oldest!, content);
  const { code, findings } = await verify(data);
  expect([code, findings]).toEqual([0, []]);
  expect((await runCli(['log', 'repair', data])).code).toBe(0);
  expect((await runCli(['log', 'repair', data, '--dry-run'])).out).toMatch(/nothing/i);
  const again = await Millrace.open(data);
  let offset = logStart;
  for await (const record of again.reader({ topic: 'orders', partitions: [0], value: text, to: 'end' })) {
    expect(record.offset).toBe(offset++);
  }
  expect(offset).toBe(RECORDS);
  await again.close();
});

test('a journal that lacks rounds which were acknowledged ends both with the same code', async () => {
  const { data } = await folders.copy(killed);
  const journal = path.join(data, 'journal', '1');
  const content = await readFile(journal);
  const second = content.indexOf('MLJ1', content.indexOf('MLJ1') + 1);
  await flip(journal, second + 100);
  const verified = await verify(data);
  const said = expect.stringMatching(/rounds that were acknowledged are missing/);
  expect([verified.code, verified.findings]).toMatchObject([7, [{ kind: 'damage', what: said }]]);
  const planned = await runCli(['log', 'repair', data, '--dry-run']);
  expect([planned.code, planned.out, planned.err]).toEqual([7, said, expect.stringContaining('journal/1')]);
  await rm(journal);
  expect((await verify(data)).code).toBe(7);
  // A part of the folder does not settle it for the others.
  expect((await runCli(['log', 'repair', data, '--topic', 'orders'])).code).toBe(7);
  expect((await runCli(['log', 'repair', path.join(data, 'topics')])).code).toBe(7);
  expect((await runCli(['log', 'repair', data])).code).toBe(7);
  // It was told.
  expect((await verify(data)).code).toBe(0);
  expect(await runCli(['log', 'repair', data])).toMatchObject({ code: 0, out: 'nothing is to be done\n' });
});

test('rounds that the journal lacks are told of by one repair of the folder, or by one start', async () => {
  for (const settle of ['repair', 'start']) {
    const { data } = await folders.copy(killed);
    const journal = path.join(data, 'journal', '1');
    const content = await readFile(journal);
    await flip(journal, content.indexOf('MLJ1', content.indexOf('MLJ1') + 1) + 100);
    if (settle === 'repair') expect((await runCli(['log', 'repair', data])).code).toBe(7);
    else await (await Millrace.open(data)).close();
    expect((await verify(data)).code, settle).toBe(0);
    const broker = await Millrace.open(data);
    let records = 0;
    for await (const _ of broker.reader({ topic: 'orders', value: text, to: 'end' })) records += 1;
    expect(records, settle).toBeGreaterThanOrEqual(RECORDS - 1);
    await broker.close();
  }
});

test('a cluster ledger that is gone is damage, and nothing is repaired: no broker starts there', async () => {
  for (const gone of ['ledger', 'ledger/cluster']) {
    const { data } = await folders.copy(stopped);
    await rm(path.join(data, gone), { recursive: true });
    const { code, findings } = await verify(data);
    expect([gone, code, findings]).toMatchObject([gone, 7, [{ kind: 'damage', file: 'ledger/cluster' }]]);
    for (const flags of [[], ['--dry-run']]) {
      const repaired = await runCli(['log', 'repair', data, ...flags]);
      expect([gone, repaired.code, repaired.err]).toEqual([
        gone,
        5,
        expect.stringContaining('ledger/cluster are gone'),
      ]);
    }
    expect(await Millrace.open(data).catch((error: unknown) => error)).toMatchObject({ fault: 'damagedMetadata' });
  }
});

test('folders that are gone of a partition, a topic or the groups are named', async () => {
  const first = '0';
  const places: [of: string, gone: string, lost: string[]][] = [
    [stopped, 'ledger/groups', ['ledger/groups']],
    [stopped, 'topics', ['0', '1']],
    [stopped, first, [first]],
    // Here the journal alone knows that there were records.
    [killed, first, [first]],
  ];
  for (const [of, gone, lost] of places) {
    const { data, partition } = await folders.copy(of);
    const topic = path.relative(data, path.dirname(partition));
    const at = (name: string) => (/^\d$/.test(name) ? path.join(topic, name) : name);
    await rm(path.join(data, gone === 'topics' ? topic : at(gone)), { recursive: true });
    const { code, findings } = await verify(data);
    expect([of, gone, code, findings.map(({ file }) => file)]).toEqual([of, gone, 7, lost.map(at)]);
    expect((await runCli(['log', 'repair', data])).code).toBe(5);
  }
});

test('a topic whose folders were not made yet when its broker was killed has lost nothing', async () => {
  const data = path.join(folders.base, 'new');
  const copied = path.join(folders.base, 'new-killed');
  const broker = await Millrace.open(data);
  await broker.admin.createTopic({ name: 'orders' });
  await cp(data, copied, { recursive: true });
  await broker.close();
  await rm(path.join(copied, 'topics'), { recursive: true });
  await mkdir(path.join(copied, 'topics'));
  expect((await verify(copied)).code).toBe(0);
});

test('what a start would cut off is told as it is by verify and repair: with sound batches in it, as what may be lost', async () => {
  const data = path.join(folders.base, 'bulk');
  const broker = await Millrace.open(data);
  await broker.admin.createTopic({ name: 'orders' });
  const producer = broker.producer({ value: text, batchBytesMax: 200_000 });
  const sent = Array.from({ length: 5000 }, (_, i) =>
    producer.send({ topic: 'orders', value: `${i} ${'.'.repeat(200)}` }),
  );
  await Promise.all(sent);
  await producer.close();
  const { data: killed, partition } = await folders.copy(data);
  await broker.close();
  const [log] = await logsIn(partition);
  const content = await readFile(log!);
  const batches = Array.from(batchesIn(content));
  expect(batches.length).toBeGreaterThan(3);

  await flip(log!, batches[1]! + 100);
  const middle = await verify(killed);
  const repaired = await runCli(['log', 'repair', killed, '--dry-run']);
  const said = expect.stringMatching(/the next start takes all of it for a torn write/);
  expect([middle.code, middle.findings]).toMatchObject([7, [{ kind: 'damage', position: batches[1], what: said }]]);
  expect([repaired.code, repaired.out]).toEqual([7, said]);
  const [first] = middle.logs;

  // Of the last batch nothing tells it from what a crash leaves.
  await writeFile(log!, content);
  await flip(log!, batches.at(-1)! + 100);
  const last = await verify(killed);
  expect([last.code, last.findings]).toMatchObject([10, [{ kind: 'torn', position: batches.at(-1) }]]);

  await flip(log!, batches[1]! + 100);
  expect((await runCli(['log', 'repair', killed])).code).toBe(7);
  const after = await verify(killed);
  expect([after.code, after.logs[0]!.records]).toEqual([0, first!.records]);
  expect((await readFile(log!)).equals(content.subarray(0, batches[1]))).toBe(true);
});

test('what is damaged is called what it is', async () => {
  const checkpoint = await folders.copy(stopped);
  await flip(path.join(checkpoint.partition, 'checkpoint'), 12);
  const identity = await folders.copy(stopped);
  await rm(path.join(identity.data, 'millrace.json'));
  for (const { data } of [checkpoint, identity]) {
    const { code, out, err } = await runCli(['log', 'verify', data]);
    expect([code, err]).toEqual([
      7,
      expect.stringMatching(/^millrace: stored files are not what was written, or gone: 1 /),
    ]);
    expect(out).toMatch(
      /^damage: .*(checkpoint: it is not what was written|json: millrace.json is missing; put it back.*)$/m,
    );
  }
  const ledger = await folders.copy(stopped);
  await flip(path.join(ledger.data, 'ledger', 'cluster', '00000000000000000000.log'), 80);
  const failure = await Millrace.open(ledger.data).catch((error: unknown) => error as Error);
  expect(String(failure)).toMatch(/records are damaged; no stored record was changed.*: .*ledger\/cluster/);
  expect(String(failure)).not.toContain('record batch');
});
