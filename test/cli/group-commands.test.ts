import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Millrace } from '../../src/millrace.ts';
import { joinClassic } from '../client/group-members.ts';
import { type Beside, besideEachBroker } from './broker-targets.ts';
import { type CliOptions, isOneLine, runCli, startCli } from './run-cli.ts';

besideEachBroker('the commands of groups', (beside) => {
  let client: Millrace;
  let names = 0;

  beforeAll(async () => {
    client = await Millrace.connect(beside.broker(), { clientId: 'test' });
  });
  afterAll(() => client?.close());

  const cli: Beside['cli'] = (args, options) => beside.cli(['group', ...args], options);
  const done: Beside['done'] = (args, options) => beside.done(['group', ...args], options);
  const json = async (args: readonly string[]) => JSON.parse((await done([...args, '--json'])).out);
  const newName = (what: string): string => `${what}-${++names}`;
  /** Two partitions: ten records, an hour apart up to now, and none. */
  const filledTopic = async (): Promise<string> => {
    const topic = newName('topic');
    await client.admin.createTopic({ name: topic, partitions: 2 });
    const nowMs = Date.now();
    await using producer = client.producer();
    await producer.sendMany(
      Array.from({ length: 10 }, (_, n) => ({
        topic,
        partition: 0,
        value: n,
        timestampMs: nowMs - (9 - n) * 3_600_000,
      })),
    );
    return topic;
  };
  const offsetsOf = async (group: string): Promise<(number | null)[]> =>
    (await json(['offsets', group])).offsets.map((one: { offset: number | null }) => one.offset);

  test('a group is listed, described and told how far it is behind', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    await client.admin.groups.setOffsets(group, [{ topic, partition: 0, offset: 4, metadata: 'by\thand' }]);
    const { memberId } = await joinClassic(client, group, topic, [0, 1], 'desk-1');

    expect(await json(['list', '--state', 'Stable'])).toContainEqual(
      expect.objectContaining({ group, type: 'classic', state: 'Stable', protocolType: 'consumer' }),
    );
    expect((await done(['list'])).out).toMatch(new RegExp(`^${group} +classic +Stable +consumer +\\d+$`, 'm'));
    expect((await json(['members', group])).members).toMatchObject([{ memberId, instanceId: 'desk-1' }]);
    expect((await done(['members', group])).out).toContain(`${topic}:0,1`);
    expect((await done(['offsets', group])).out).toMatch(/ 0 +4 +- +by\\thand$/m);

    const lag = await json(['lag', group]);
    expect(lag.groups[0]).toMatchObject({ group, records: 6 });
    expect(lag.groups[0].partitions[0]).toMatchObject({ offset: 4, latest: 10, records: 6, member: { memberId } });
    expect(lag.groups[0].partitions[0].behindMs).toBeGreaterThanOrEqual(5 * 3_600_000);
    expect((await done(['lag', group, '--by', 'member'])).out).toMatch(/^desk-1 +2 +6 +\d+h \d\dm$/m);
    expect((await done(['lag', group, '--by', 'topic'])).out).toMatch(new RegExp(`^${topic} +2 +6 `, 'm'));
    const described = (await done(['describe', group])).out;
    expect(described).toMatch(new RegExp(`^group ${group}, classic, Stable, 1 member, assignor range\n`));
    expect(described).toMatch(new RegExp(`^${topic} +0 +4 +10 +6 +.* desk-1 `, 'm'));
    expect((await json(['describe', group]))[0]).toMatchObject({ group, lag: [{ records: 6 }, { records: null }] });
  });

  test('lag is watched until Ctrl-C', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    await client.admin.groups.setOffsets(group, [{ topic, partition: 0, offset: 4 }]);
    const args = ['group', 'lag', group, '--json', '--watch', '--interval', '50ms'];
    const child = startCli(args, { env: { MILLRACE_BROKER: beside.broker() } });
    const seen: number[] = [];
    for await (const line of createInterface({ input: child.stdout! })) {
      seen.push(JSON.parse(line).groups[0].records);
      if (seen.length === 1) await client.admin.groups.setOffsets(group, [{ topic, partition: 0, offset: 9 }]);
      // A second one would end it at once.
      if (seen.at(-1) === 1 && !child.killed) child.kill('SIGINT');
    }
    if (child.exitCode === null) await once(child, 'exit');
    expect([seen[0], seen.at(-1), child.exitCode]).toEqual([6, 1, 130]);
  });

  test('a group that is not there hides none of the others that were asked for', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    await client.admin.groups.setOffsets(group, [{ topic, partition: 0, offset: 4 }]);
    for (const command of ['describe', 'lag']) {
      const { code, out, err } = await cli([command, 'nobody', group]);
      expect(code).toBe(4);
      expect(out).toContain(`group ${group}`);
      expect(err).toContain('no such group');
    }
    expect(await cli(['lag', 'nobody'])).toMatchObject({ code: 4, out: '' });
  });

  test('a group without offsets is said to have none, and an export that lacks one fails', async () => {
    const topic = await filledTopic();
    const [group, idle] = [newName('group'), newName('idle')];
    await client.admin.groups.setOffsets(group, [{ topic, partition: 0, offset: 4 }]);
    await joinClassic(client, idle, topic, [0, 1], 'desk-1');
    const absent = [
      ['nobody', 'there is no group nobody; check the name'],
      [idle, `group ${idle} has committed no offsets`],
    ] as const;
    for (const [name, text] of absent) {
      expect((await done(['offsets', name])).err).toBe(`${text}\n`);
      expect((await done(['offsets', name, '--topic', topic])).err).toBe(`${text}\n`);
      expect(await json(['offsets', name])).toEqual({ group: name, offsets: [] });
      const exported = { code: 4, out: `${group},${topic},0,4\n`, err: `${text}\n` };
      expect(await cli(['export', group, name])).toMatchObject(exported);
      expect(await cli(['export', name, '--json'])).toMatchObject({ code: 4, out: '', err: `${text}\n` });
    }
    expect((await done(['offsets', group])).err).toBe('');
  });

  test('what is said against a group names it once, and says nothing twice', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    await joinClassic(client, group, topic, [0, 1], 'desk-1');
    const inUse = (await cli(['delete', group])).err;
    expect(inUse).toMatch(new RegExp(`^millrace: the group has members; stop them first: group ${group}\\b`));
    expect(inUse.split('the group has members')).toHaveLength(2);
    for (const command of ['delete', 'describe', 'lag', 'members']) {
      const { err } = await cli([command, 'nobody']);
      expect([command, err.split(/nobody/).length]).toEqual([command, 2]);
      expect(err).toMatch(/^millrace: no such group; check the name: group nobody/i);
    }
  });

  test('a group with members is left alone, and the reason says who they are and what to do', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    await joinClassic(client, group, topic, [0, 1], 'desk-1');
    for (const args of [
      ['seek', group, '--to-earliest', '--topic', topic],
      ['seek', group, '--to-earliest', '--topic', topic, '--dry-run'],
    ]) {
      const { code, out, err } = await cli(args);
      expect([code, out, isOneLine(err)]).toEqual([4, '', true]);
      expect(err).toContain(`group ${group} is Stable with 1 member: desk-1 at `);
      expect(err).toContain(`millrace group members ${group} --remove`);
    }
    expect((await cli(['delete', group])).code).toBe(4);
    expect((await cli(['members', group, '--remove', 'nobody'])).code).toBe(4);
    expect((await done(['members', group, '--remove', 'desk-1'])).out).toBe('removed desk-1\n');
    await done(['seek', group, '--to-latest', '--topic', topic]);
    expect(await offsetsOf(group)).toEqual([10, 0]);
  });

  test('a group is moved to every kind of place, and a dry run only shows it', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    const dry = await json(['seek', group, '--to-earliest', '--topic', topic, '--dry-run']);
    expect(dry).toEqual({
      dryRun: true,
      groups: [
        {
          group,
          moves: [
            { topic, partition: 0, from: null, to: 0, earliest: 0, latest: 10, note: null, fault: null },
            { topic, partition: 1, from: null, to: 0, earliest: 0, latest: 0, note: null, fault: null },
          ],
        },
      ],
    });
    expect(await offsetsOf(group)).toEqual([]);
    const first = `${topic}:0`;
    const seek = async (...args: string[]): Promise<(number | null)[]> => {
      await done(['seek', group, ...args]);
      return offsetsOf(group);
    };
    expect(await seek('--to-earliest', '--topic', topic)).toEqual([0, 0]);
    expect(await seek('--to-latest')).toEqual([10, 0]);
    expect(await seek('--shift-by', '-3', '--topic', first)).toEqual([7, 0]);
    expect(await seek('--shift-by', '+1', '--topic', first)).toEqual([8, 0]);
    expect(await seek('--to-offset', '2', '--topic', first)).toEqual([2, 0]);
    expect(await seek('--ago', '330m')).toEqual([4, 0]);
    expect(await seek('--to-time', '-30m')).toEqual([9, 0]);
    expect(await seek('--to-time', '2100-01-01')).toEqual([10, 0]);
    expect(await seek('--to-offset', '99', '--topic', first)).toEqual([10, 0]);
    const shown = (await done(['seek', group, '--shift-by=-20', '--topic', first, '--dry-run'])).out;
    expect(shown).toMatch(new RegExp(`^${topic} +0 +10 +0 +-10 +0 +10 +-10 is before the earliest$`, 'm'));
  });

  test('offsets go from group to group, and through files and back', async () => {
    const topic = await filledTopic();
    const [one, two] = [newName('group'), newName('group')];
    await client.admin.groups.setOffsets(one, [
      { topic, partition: 0, offset: 4, metadata: 'by "hand", twice', leaderEpoch: 0 },
      { topic, partition: 1, offset: 0 },
    ]);
    await done(['seek', two, '--from-group', one, '--topic', `${topic}:0`]);
    expect(await offsetsOf(two)).toEqual([4]);
    const file = path.join(beside.folder(), 'offsets');
    for (const flags of [[], ['--json']]) {
      const exported = (await done(['export', one, two, ...flags])).stdout;
      await done(['delete', one, two]);
      expect(await offsetsOf(one)).toEqual([]);
      await writeFile(file, exported);
      await done(['import', file]);
      expect((await done(['export', one, two, ...flags])).out).toBe(exported.toString());
    }
    const { out } = await done(['export', one]);
    expect(out).toBe(`${topic},0,4\n${topic},1,0\n`);
    await done(['import', '--group', two], { input: out });
    expect(await offsetsOf(two)).toEqual([4, 0]);
    await writeFile(file, `${topic},0,1\r\n"${topic}",1,0\r\n`);
    await done(['seek', two, '--from-file', file, '--topic', `${topic}:0`]);
    expect(await offsetsOf(two)).toEqual([1, 0]);
    expect((await done(['delete', two, '--topic', topic])).out).toBe(`deleted 2 offsets of ${two}\n`);
    expect(await offsetsOf(two)).toEqual([]);
  });

  test('a shell completes the names of groups', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    await client.admin.groups.setOffsets(group, [{ topic, partition: 0, offset: 4 }]);
    const complete = async (...words: string[]): Promise<string[]> => {
      const args = ['--get-yargs-completions', 'millrace', 'group', ...words];
      const { out } = await runCli(args, { env: { MILLRACE_BROKER: beside.broker() } });
      return out.trimEnd().split('\n');
    };
    expect(await complete('lag', group.slice(0, -1))).toContain(group);
    expect(await complete('seek', '')).toContain(group);
  });

  test('what the broker refuses is exit code 4, and what cannot be meant is 2', async () => {
    const topic = await filledTopic();
    const group = newName('group');
    await client.admin.groups.setOffsets(group, [{ topic, partition: 0, offset: 4 }]);
    const cases: [number, string[], CliOptions?][] = [
      [4, ['describe', 'nowhere']],
      [4, ['lag', group, 'nowhere']],
      [4, ['members', 'nowhere']],
      [4, ['delete', 'nowhere']],
      [4, ['seek', group, '--to-earliest', '--topic', 'nowhere']],
      [4, ['seek', group, '--from-group', 'nowhere']],
      [2, ['seek', group]],
      [2, ['seek', group, '--to-earliest', '--to-latest']],
      [2, ['seek', group, '--to-earliest', '--topic', `${topic}:7`]],
      [2, ['seek', group, '--to-earliest', '--topic', `${topic}:x`]],
      [2, ['seek', group, '--shift-by', '1', '--topic', topic]],
      [2, ['seek', group, '--to-offset', '-1']],
      [2, ['lag', group, '--interval', '0']],
      [2, ['import'], { input: `${topic},0,4\n` }],
      [2, ['import', '--group', group], { input: `${topic},0\n` }],
      [2, ['import', '--group', group], { input: `${topic},0,4\n${topic},0,5\n` }],
      [2, ['import'], { input: '{"groups":[{"group":"x","offsets":[{"topic":"t"}]}]}' }],
      [1, ['seek', group, '--from-file', '/no/such/file']],
    ];
    for (const [code, args, options] of cases) {
      const result = await cli(args, options);
      expect([args, result.code, isOneLine(result.err)]).toEqual([args, code, true]);
    }
    // Several are deleted as far as they can be.
    const both = await cli(['delete', 'nowhere', group]);
    expect([both.code, both.out]).toEqual([4, `deleted ${group}\n`]);
  });
});
