import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { besideEachBroker } from './broker-targets.ts';
import { isOneLine, startCli } from './run-cli.ts';

besideEachBroker('the commands', ({ name: brokerName, broker, folder, cli, done }) => {
  let topics = 0;

  const json = async (args: readonly string[]) => JSON.parse((await done([...args, '--json'])).out);
  const newTopic = async (...flags: string[]): Promise<string> => {
    const name = `topic-${++topics}`;
    await done(['topic', 'create', name, ...flags]);
    return name;
  };

  test('a topic is made, listed, described, altered, enlarged, trimmed and deleted', async () => {
    const name = await newTopic('--partitions', '2', '--set', 'retention.ms=100000');
    expect(await json(['topic', 'list'])).toContainEqual(expect.objectContaining({ name, partitions: 2 }));
    expect((await done(['topic', 'list'])).out).toMatch(new RegExp(`^${name} +2 `, 'm'));

    await done(['topic', 'alter', name, '--set', 'max.message.bytes=2000', '--unset', 'retention.ms']);
    await done(['topic', 'add-partitions', name, '--to', '3']);
    await done(['produce', name, '-p', '0'], { input: 'a\nb\nc\n' });
    const { partitions, settings } = await json(['topic', 'describe', name]);
    expect(settings).toEqual([expect.objectContaining({ name: 'max.message.bytes', value: '2000', source: 'topic' })]);
    expect(partitions).toHaveLength(3);
    expect(partitions[0]).toMatchObject({ partition: 0, earliest: 0, latest: 3, bytes: expect.any(Number) });
    expect(partitions[0].bytes).toBeGreaterThan(0);
    expect((await done(['topic', 'describe', name, '--all'])).out).toMatch(/^cleanup\.policy +delete +default$/m);

    expect(await json(['topic', 'trim', name, '-p', '0', '--before', '2'])).toMatchObject({
      partitions: [{ partition: 0, earliest: 2 }],
    });
    const pastEnd = await cli(['topic', 'trim', name, '-p', '0', '--before', '4000']);
    expect([pastEnd.code, pastEnd.err]).toEqual([4, expect.stringMatching(/partition 0.* ends .*offset 3.* 4000/)]);
    expect(pastEnd.err).not.toContain('reset');
    await done(['topic', 'trim', name, '--before', 'end']);
    expect((await json(['offsets', name])).partitions[0]).toEqual({ partition: 0, earliest: 3, latest: 3, count: 0 });

    expect((await done(['topic', 'delete', name])).out).toBe(`deleted ${name}\n`);
    expect((await cli(['topic', 'describe', name])).code).toBe(4);
  });

  test('a trim of a topic that is only compacted is refused with the reason', async () => {
    const name = await newTopic('--set', 'cleanup.policy=compact');
    await done(['produce', name, '-K', ':'], { input: 'k:v\n' });
    const { code, err } = await cli(['topic', 'trim', name, '--before', '1']);
    expect([code, isOneLine(err), err]).toEqual([4, true, expect.stringMatching(/cleanup\.policy.*delete/)]);
  });

  test('what follows "--" is names for every command, also where it looks like flags', async () => {
    const [one, dashed] = [`topic-${++topics}`, `--topic-${++topics}`];
    await done(['topic', 'create', '--partitions', '2', '--', one, dashed]);
    const described = await done(['topic', 'describe', '--json', '--', dashed]);
    expect(JSON.parse(described.out).partitions).toHaveLength(2);
    await done(['produce', '--', dashed], { input: 'a\nb\n' });
    expect((await done(['consume', '-e', '-q', '--', dashed])).out.split('\n').sort()).toEqual(['', 'a', 'b']);
    expect((await done(['topic', 'delete', '--yes', '--', one, dashed])).out).toBe(
      `deleted ${one}\ndeleted ${dashed}\n`,
    );
    const extra = await cli(['topic', 'describe', '--', one, '--more']);
    expect([extra.code, extra.err]).toEqual([2, expect.stringContaining('unknown argument: --more;')]);
    const valueless = await cli(['topic', 'create', one, '--set', '--', 'a=b']);
    expect([valueless.code, valueless.err]).toEqual([2, expect.stringContaining('--set needs a value')]);
  });

  test('a name is said once in what is said against it, however long it is', async () => {
    const name = await newTopic();
    const long = 'x'.repeat(250);
    const times = (text: string, part: string): number => text.split(part).length - 1;
    const there = await cli(['topic', 'create', name]);
    const tooLong = await cli(['topic', 'create', long]);
    const gone = await cli(['topic', 'delete', 'not-there', '--yes']);
    expect([times(there.err, name), times(tooLong.err, long), times(gone.err, 'not-there')]).toEqual([1, 1, 1]);
    expect([there.code, tooLong.code, gone.code]).toEqual([4, 4, 4]);
    expect(tooLong.err).toContain('a topic name is 1 to 249 letters');
  });

  test.runIf(brokerName === 'Millrace')('a name that differs only in "." and "_" is refused for that', async () => {
    await done(['topic', 'create', 'near.by']);
    const { code, err } = await cli(['topic', 'create', 'near_by']);
    expect([code, err]).toEqual([
      4,
      'millrace: a topic exists whose name differs only in "." and "_"; choose a name that differs in more: near_by, and there is near.by\n',
    ]);
  });

  test('a dry run changes nothing, and a topic that is there can be passed over', async () => {
    await done(['topic', 'create', 'never-made', '--dry-run']);
    expect((await cli(['topic', 'describe', 'never-made'])).code).toBe(4);
    const name = await newTopic();
    await done(['topic', 'alter', name, '--set', 'retention.ms=1', '--dry-run']);
    expect((await json(['topic', 'describe', name])).settings).toEqual([]);
    await done(['topic', 'create', name, '--if-missing']);
  });

  test('the files behind the offsets are shown, by Millrace alone', async () => {
    if (brokerName !== 'Millrace') {
      const refused = await cli(['offsets', await newTopic(), '--segments']);
      expect([refused.code, isOneLine(refused.err)]).toEqual([4, true]);
      expect(refused.err).toContain('Apache Kafka');
      return;
    }
    const name = await newTopic('--set', 'segment.bytes=16384', '--set', 'index.interval.bytes=1000');
    for (let i = 0; i < 12; i++) await done(['produce', name, '-D', ';'], { input: `${'x'.repeat(4000)};y;` });
    const { partitions } = await json(['offsets', name, '--segments', '--at', '21']);
    const { segments, place } = partitions[0];
    expect(segments.length).toBeGreaterThan(2);
    for (const [i, segment] of segments.entries()) {
      expect(segment.endNext).toBe(segments[i + 1]?.baseOffset ?? 24);
      expect(segment.sizeBytes).toBeGreaterThan(0);
    }
    expect(place.segment).toBe(segments.findLast((one: { baseOffset: number }) => one.baseOffset <= 21).baseOffset);
    expect(place.offsetEntry.offset).toBeLessThanOrEqual(21);
    expect(place.offsetEntry.position).toBeLessThanOrEqual(place.batch.position);
    expect(place.timeEntry.offset).toBeLessThanOrEqual(21);
    expect(place.batch).toMatchObject({ baseOffset: 20, lastOffset: 21, records: 2, compression: 'none' });
    const { out } = await done(['offsets', name, '--at', '21']);
    expect(out).toMatch(new RegExp(`^batch +offsets 20 to 21, at byte ${place.batch.position}, `, 'm'));
    expect((await done(['offsets', name, '--segments'])).out).toMatch(/^0{20}\.log +0 /m);
    expect((await cli(['offsets', name, '--at', '24'])).code).toBe(4);
    expect((await cli(['offsets', name, '--at', '-1'])).code).toBe(2);
  });

  test('a number that no request can carry is one line and exit code 2', async () => {
    for (const flags of [
      ['--partitions', '1.5'],
      ['--partitions', '99999999999'],
      ['--replicas', '99999'],
    ]) {
      const result = await cli(['topic', 'create', 'unmade', ...flags]);
      expect([flags, result.code, isOneLine(result.err)]).toEqual([flags, 2, true]);
      expect(result.err).toContain('an argument is out of range');
    }
  });

  test('what the broker refuses is one line and exit code 4', async () => {
    const name = await newTopic();
    const refused = [
      ['topic', 'create', name],
      ['topic', 'create', 'no such name'],
      ['topic', 'create', 'unmade', '--set', 'no.such.setting=1'],
      ['topic', 'describe', 'nowhere'],
      ['topic', 'delete', 'nowhere'],
      ['topic', 'alter', name, '--set', 'retention.ms=soon'],
      ['topic', 'add-partitions', name, '--to', '1'],
      ['offsets', 'nowhere'],
      ['consume', 'nowhere', '-e'],
    ];
    for (const args of refused) {
      const result = await cli(args);
      expect([args, result.code, isOneLine(result.err)]).toEqual([args, 4, true]);
      expect(result.out).toBe('');
    }
  });

  test('lines come back as the bytes they were, empty ones and a last one without end too', async () => {
    const name = await newTopic();
    const lines = ['plain', '', 'ü — 日本', '\xff\xfe', 'a\tb\r', '', 'no end'];
    const input = Buffer.from(lines.map((line) => Buffer.from(line, 'latin1').toString('latin1')).join('\n'), 'latin1');
    const report = JSON.parse((await done(['produce', name, '--json'], { input })).out);
    expect(report).toMatchObject({ records: lines.length, bytes: input.length });
    const { stdout } = await done(['consume', name, '-e', '-q']);
    expect(stdout).toEqual(Buffer.concat([input, Buffer.from('\n')]));
  });

  test('keys, headers, nulls and partitions are what the flags make of them', async () => {
    const name = await newTopic('--partitions', '2');
    const input = 'k1=v1;nokey;k2=;=v3;k4=a=b;';
    await done(['produce', name, '-k=', '-D', ';', '-Z', '-p', '1', '-H', 'h=1', '-H', 'x=y=z'], { input });
    const { out } = await done(['consume', name, '-e', '-q', '-f', '%p %o %K|%k|%S|%s|%h\\n']);
    expect(out.split('\n')).toEqual([
      '1 0 2|k1|2|v1|h=1,x=y=z',
      '1 1 -1||5|nokey|h=1,x=y=z',
      '1 2 2|k2|-1||h=1,x=y=z',
      '1 3 -1||2|v3|h=1,x=y=z',
      '1 4 2|k4|3|a=b|h=1,x=y=z',
      '',
    ]);
    expect((await done(['consume', name, '-eqZ', '-K', '\\t', '-c', '3'])).out).toBe('k1\tv1\nNULL\tnokey\nk2\tNULL\n');
  });

  test('every compression and every kind of acks stores the same records', async () => {
    const name = await newTopic();
    const input = 'one line\n'.repeat(1000);
    for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
      await done(['produce', name, '-z', compression], { input });
    }
    await done(['produce', name, '--acks', '1', '--linger', '0'], { input });
    expect((await json(['offsets', name])).partitions[0].count).toBe(6000);
    expect((await done(['consume', name, '-e', '-q'])).out).toBe(input.repeat(6));
  });

  test('a file of many lines arrives whole and in order', async () => {
    const name = await newTopic();
    const file = path.join(folder(), 'lines.txt');
    const lines = Array.from({ length: 50_000 }, (_, line) => `line ${line} ${'x'.repeat(line % 200)}`);
    await writeFile(file, `${lines.join('\n')}\n`);
    const { out } = await done(['produce', name, file, '--json']);
    expect(JSON.parse(out)).toMatchObject({ records: lines.length, partitions: [{ partition: 0, firstOffset: 0 }] });
    expect((await done(['consume', name, '-e', '-q'])).out).toBe(`${lines.join('\n')}\n`);
  });

  test('a file that is not there, or that is a folder, is one clear line', async () => {
    const name = await newTopic();
    const missing = await cli(['produce', name, path.join(folder(), 'no-such.txt')]);
    expect(missing.err).toBe(
      `millrace: cannot open ${path.join(folder(), 'no-such.txt')}: no such file or directory\n`,
    );
    expect(missing.code).toBe(1);
    const directory = await cli(['produce', name, folder()]);
    expect(directory.err).toBe(`millrace: cannot read ${folder()}: it is a folder\n`);
    expect(directory.code).toBe(2);
  });

  test('an offset beyond the end of a partition is refused, not waited for', async () => {
    const name = await newTopic();
    await done(['produce', name], { input: 'a\nb\n' });
    for (const flags of [[], ['-e']]) {
      const { code, err, out } = await cli(['consume', name, '-o', '3', ...flags]);
      expect({ code, out }).toEqual({ code: 4, out: '' });
      expect(err).toContain(`topic ${name}, partition 0 ends at 2, before 3`);
      expect(isOneLine(err)).toBe(true);
    }
    expect((await done(['consume', name, '-o', '2', '-e', '-q'])).out).toBe('');
  });

  test('reading starts and stops where -o, -c and -e say', async () => {
    const name = await newTopic();
    await done(['produce', name], { input: 'a\nb\nc\nd\n' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const betweenMs = Date.now();
    await done(['produce', name], { input: 'e\nf\n' });
    const read = async (...flags: string[]) => (await done(['consume', name, '-q', '-D', ' ', ...flags])).out.trimEnd();
    expect(await read('-e')).toBe('a b c d e f');
    expect(await read('-o', 'beginning', '-c', '2')).toBe('a b');
    expect(await read('-o', '3', '-e')).toBe('d e f');
    expect(await read('-o-2', '-e')).toBe('e f');
    expect(await read('-o', '-99', '-e')).toBe('a b c d e f');
    expect(await read('-o', 'end', '-e')).toBe('');
    expect(await read('-o', `s@${betweenMs}`, '-e')).toBe('e f');
    expect(await read('-o', `e@${betweenMs}`)).toBe('a b c d');
    expect(await read('-o', '1', '-o', `e@${betweenMs}`)).toBe('b c d');
    expect(await read('-c', '0')).toBe('');
    const { partitions } = await json(['offsets', name, '--time', String(betweenMs)]);
    expect(partitions[0]).toMatchObject({ earliest: 0, latest: 6, count: 6, atTime: 4 });
    expect((await json(['offsets', name, '--time', '2200-01-01'])).partitions[0].atTime).toBe(null);
  });

  test('where the end was reached is said, unless quiet', async () => {
    const name = await newTopic();
    await done(['produce', name], { input: 'a\n' });
    expect((await done(['consume', name, '-e'])).err).toBe(`% Reached end of topic ${name} [0] at offset 1\n`);
    expect((await done(['consume', name, '-e', '-q'])).err).toBe('');
  });

  test('the end is said of each partition, empty ones too, and of none when reading stops before', async () => {
    const name = await newTopic('--partitions', '3');
    await done(['produce', name, '-p', '1'], { input: 'a\nb\nc\n' });
    const ends = (...at: [number, number][]) =>
      at.map(([partition, offset]) => `% Reached end of topic ${name} [${partition}] at offset ${offset}\n`).join('');
    const told = async (...flags: string[]) => (await done(['consume', name, ...flags])).err;
    expect(await told('-e')).toBe(ends([0, 0], [1, 3], [2, 0]));
    expect(await told('-e', '-o', 'end')).toBe(ends([0, 0], [1, 3], [2, 0]));
    expect(await told('-e', '-p', '2', '-p', '1')).toBe(ends([1, 3], [2, 0]));
    expect(await told('-e', '-c', '9')).toBe(ends([0, 0], [1, 3], [2, 0]));
    expect(await told('-e', '-c', '2')).toBe('');
    expect(await told('-e', '-o', 'e@1')).toBe('');
  });

  test('-J prints an object per record, as kcat does', async () => {
    const name = await newTopic();
    await done(['produce', name, '-k', ':', '-H', 'a=1'], { input: 'k:v\n' });
    const { out } = await done(['consume', name, '-e', '-q', '-J']);
    expect(JSON.parse(out)).toEqual({
      topic: name,
      partition: 0,
      offset: 0,
      tstype: 'create',
      ts: expect.any(Number),
      broker: expect.any(Number),
      headers: ['a', '1'],
      key: 'k',
      payload: 'v',
    });
  });

  test('records are printed as they come, and Ctrl-C ends it with 130', async () => {
    const name = await newTopic();
    const reader = startCli(['consume', name], { env: { MILLRACE_BROKER: broker() } });
    const firstLine = once(reader.stdout!, 'data');
    await done(['produce', name], { input: 'live\n' });
    expect(String((await firstLine)[0])).toBe('live\n');
    reader.kill('SIGINT');
    expect(await once(reader, 'exit')).toEqual([130, null]);
  });

  test('a reader of the output that goes away is no failure', async () => {
    const name = await newTopic();
    await done(['produce', name], { input: 'line\n'.repeat(100_000) });
    const reader = startCli(['consume', name, '-e'], { env: { MILLRACE_BROKER: broker() } });
    const errors: string[] = [];
    reader.stderr!.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
    reader.stdout!.once('data', () => reader.stdout!.destroy());
    expect(await once(reader, 'close')).toEqual([0, null]);
    expect(errors.join('')).toBe('');
  });

  test('a record that is refused ends the sending with its reason', async () => {
    const name = await newTopic('--set', 'max.message.bytes=1000');
    const result = await cli(['produce', name], { input: `${'x'.repeat(5000)}\n` });
    expect([result.code, isOneLine(result.err)]).toEqual([4, true]);
    const outOfRange = await cli(['produce', name, '-p', '7'], { input: 'x\n' });
    expect([outOfRange.code, isOneLine(outOfRange.err)]).toEqual([2, true]);
    const compacted = await newTopic('--set', 'cleanup.policy=compact');
    const keyless = await cli(['produce', compacted], { input: 'x\n' });
    expect([keyless.code, isOneLine(keyless.err)]).toEqual([4, true]);
    expect(keyless.err).toMatch(/refuses the record: .*key/);
  });

  test('a shell completes the names of topics', async () => {
    const name = await newTopic();
    const complete = async (...words: string[]) =>
      (await done(['--get-yargs-completions', 'millrace', ...words])).out.trimEnd().split('\n');
    expect(await complete('consume', name.slice(0, -1))).toContain(name);
    expect(await complete('topic', 'describe', '')).toContain(name);
  });
});
