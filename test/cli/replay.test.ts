import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { besideEachBroker } from './broker-targets.ts';
import { isOneLine } from './run-cli.ts';

besideEachBroker('millrace replay', ({ name: brokerName, folder, cli, done }) => {
  let topics = 0;

  /** A topic with records `NUMBER` of keys a, b, c in turn, half of them in each of two partitions. */
  const filled = async (count: number): Promise<string> => {
    const name = `replayed-${++topics}`;
    await done(['topic', 'create', name, '--partitions', '2']);
    for (const partition of [0, 1]) {
      const lines = Array.from({ length: count / 2 }, (_, index) => `${'abc'[index % 3]}:${index * 2 + partition}\n`);
      const args = ['produce', name, '-p', String(partition), '-k', ':', '-H', `half=${partition}`];
      await done(args, { input: lines.join('') });
    }
    return name;
  };
  const FORMAT = ['-f', '%p:%o %k=%s\\n'];

  test('records of a range are printed as consume prints them', async () => {
    const name = await filled(20);
    const all = (await done(['replay', name, '-K', ':'])).out.split('\n').sort();
    expect(all).toEqual((await done(['consume', name, '-e', '-q', '-K', ':'])).out.split('\n').sort());
    const range = await done(['replay', name, '--from', '0=8', '--from', '-1', '--to', '0=9', ...FORMAT]);
    expect(range.out).toBe('0:8 c=16\n1:9 a=19\n');
    const recent = await done(['replay', name, '--from', '-1h', '--to', '2h', '-p', '1', '-c', '1', ...FORMAT]).catch(
      (error: Error) => error.message,
    );
    expect(recent).toContain('--to: "2h" is no place');
    expect((await done(['replay', name, '--from', '-1h', '-p', '1', '-c', '1', ...FORMAT])).out).toBe('1:0 a=1\n');
    expect((await done(['replay', name, '--to', '-1h'])).out).toBe('');
    const filtered = await done(['replay', name, '--key', 'b', '-H', 'half=?', '--count', '2', '-p', '0', ...FORMAT]);
    expect(filtered.out).toBe('0:1 b=2\n0:4 b=8\n');
    const json = (await done(['replay', name, '--from', '1=9', '-p', '1', '-J'])).out;
    expect(JSON.parse(json)).toMatchObject({ topic: name, partition: 1, offset: 9, key: 'a', payload: '19' });
  });

  test('a range from beyond the end is refused, and an empty one is said to be', async () => {
    const name = await filled(20);
    for (const more of [[], ['--dry-run'], ['--to-topic', 'never-made', '--create', '--checkpoint', 'beyond.json']]) {
      const { code, out, err } = await cli(['replay', name, '--from', '11', ...more]);
      expect([more, code, out, isOneLine(err)]).toEqual([more, 4, '', true]);
      expect(err).toContain('ends at 10, before 11');
    }
    expect(await readFile(path.join(folder(), 'beyond.json')).catch(() => null)).toBeNull();
    const empty = 'nothing to replay: the range is empty in every partition';
    const printed = await done(['replay', name, '--from', '3', '--to', '3']);
    expect([printed.out, printed.err]).toEqual(['', expect.stringContaining(empty)]);
    const sent = await done(['replay', name, '--from', 'end', '--to-topic', `${name}-again`, '--create']);
    expect(sent.err).toContain(empty);
    expect((await done(['replay', name, '--from', '9', ...FORMAT])).err).not.toContain(empty);
  });

  test('a command is given the records, in lines or in frames, as fast as it reads, and its exit code counts', async () => {
    const name = await filled(20_000);
    const slow = await done(['replay', name, '--exec', 'sleep 1; wc -l > lines']);
    expect([slow.out, (await readFile(path.join(folder(), 'lines'), 'utf8')).trim()]).toEqual(['', '20000']);
    await done(['replay', name, '--from', '0=9999', '-p', '0', '--frame', '--pipe-to', 'cat > framed']);
    expect(await readFile(path.join(folder(), 'framed'))).toEqual(Buffer.from('\0\0\0\x0519998', 'latin1'));
    const failed = await cli(['replay', name, '--exec', 'head -c 10 > /dev/null; exit 3']);
    expect([failed.code, isOneLine(failed.err)]).toEqual([9, true]);
    expect(failed.err).toContain('exit code 3');
    const few = await done(['replay', name, '-p', '0', '--exec', 'head -n 2']);
    expect(few.out).toBe('0\n2\n');
    expect((await cli(['replay', name, '--exec', 'no-such-command'])).code).toBe(9);
  });

  test('a dry run shows partitions, ranges, bytes and target, and makes nothing', async () => {
    const name = await filled(100);
    const args = ['replay', name, '--from', '1=40', '--to-topic', 'never-made', '--create', '--dry-run'];
    const { out } = await done(args);
    expect(out).toMatch(/^PARTITION {2}FROM {2}TO {2}RECORDS MAX {2}BYTES +TARGET\n/);
    expect(out).toMatch(/^ +0 +0 +50 +50 {2}\d+ B +topic never-made$/m);
    expect(out).toMatch(/^ +1 +40 +50 +10 {2}- +topic never-made$/m);
    expect(JSON.parse((await done([...args, '--json'])).out).partitions).toHaveLength(2);
    expect((await cli(['topic', 'describe', 'never-made'])).code).toBe(4);
  });

  test('another topic gets them, with partitions kept or mapped, and a checkpoint remembers that', async () => {
    const name = await filled(100);
    const again = `${name}-again`;
    const args = ['replay', name, '--to-topic', again, '--create', '--map', '0=1', '--map', '1=0'];
    const first = JSON.parse((await done([...args, '--checkpoint', 'again.json', '--json'])).out);
    expect(first).toMatchObject({ topic: name, records: 100, foundInTarget: 0 });
    const mapped = await done(['consume', again, '-p', '0', '-e', '-q', ...FORMAT]);
    expect(mapped.out.split('\n')[1]).toBe('0:1 b=3');
    await done([...args, '--checkpoint', 'again.json']);
    expect(JSON.parse((await done(['offsets', again, '--json'])).out).partitions[0].latest).toBe(50);
    const other = await cli([...args, '--checkpoint', 'again.json', '--key', 'a']);
    expect([other.code, isOneLine(other.err)]).toEqual([2, true]);
  });

  test('a bar shows how far it is, the rate, and the time left', async () => {
    const name = await filled(60);
    const { err } = await done([
      'replay',
      name,
      '--to-topic',
      `${name}-slow`,
      '--create',
      '--rate',
      '20',
      '--progress',
    ]);
    expect(err).toMatch(/\[#+ +\] +\d+ % {2}\d+ records, \d+ B, \d+ records\/s, \d+ s left/);
    expect(err).toMatch(/60 records, .* in \d+\.\d s to topic/);
  });

  // Which broker it is makes no difference.
  test.skipIf(brokerName !== 'Millrace')('what makes no sense is refused with exit code 2 and one line', async () => {
    const name = await filled(2);
    const wrong = [
      ['--to-topic', name],
      ['--to-topic', 'x', '--exec', 'cat'],
      ['--checkpoint', 'file.json'],
      ['--create'],
      ['--map', '0=1'],
      ['--to-topic', 'x', '--map', '0'],
      ['--rate', '1', '--pace', '1'],
      ['--rate', '-1'],
      ['--from', '1', '--to', '0'],
      ['--from', '-1h', '--to', '-2h'],
      ['--from', 'soon'],
      ['--from', '7=earliest'],
      ['--from', '1', '--from', '2'],
      ['--from', '0=1', '--from', '0=2'],
    ];
    for (const args of wrong) {
      const { code, out, err } = await cli(['replay', name, ...args]);
      expect([args, code, out, isOneLine(err)]).toEqual([args, 2, '', true]);
    }
    for (const flag of ['--rate', '--pace']) {
      expect((await cli(['replay', name, flag, '0'])).err).toContain(`${flag} must be above 0, not 0`);
    }
    expect((await cli(['replay', name, '--count', '-1'])).err).toContain('--count must be a whole number');
    await done(['replay', name, '--to-topic', name, '--into-itself']);
  });
});
