import { expect, test } from 'vitest';
import { tell } from './tell.ts';
import { simulate } from './world.ts';

/** MILLRACE_SEEDS makes it more; `npm run simulate` is made for many. */
const SEEDS = Number(process.env['MILLRACE_SEEDS'] ?? 16);
const FIRST_SEED = 1;

test('whatever happens to the broker, what it told its clients holds', { timeout: 300_000 }, async () => {
  const injected = new Map<string, number>();
  const answers = new Set<string>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    const run = await simulate({ seed });
    expect(run.failures.length === 0 ? '' : `seed ${seed}: ${tell(run)}`).toBe('');
    for (const op of run.history.operations) answers.add(`${op.kind} ${op.outcome === 'ok' ? 'ok' : op.error}`);
    for (const [what, times] of run.injected) injected.set(what, (injected.get(what) ?? 0) + times);
  }
  // Each of them took place: in a simulation that lost one, nothing would fail.
  const kinds = [
    /^power cut, (all|nothing|prefix|torn|reordered)$/,
    /^kill$/,
    /in recovery$/,
    /^EIO/,
    /^disk full/,
    /^clock/,
  ];
  for (const kind of kinds)
    expect(
      [...injected.keys()].some((what) => kind.test(what)),
      String(kind),
    ).toBe(true);
  // So did what groups are tried with: zombies that commit, static members that are replaced, groups and offsets that go.
  const told = [
    ...['commit ok', 'commit UNKNOWN_MEMBER_ID', 'heartbeat FENCED_INSTANCE_ID', 'join UNRELEASED_INSTANCE_ID'],
    ...['leave ok', 'deleteOffsets ok', 'deleteGroup ok', 'quiet ok', 'mayExpireOffsets ok'],
  ];
  expect(told.filter((answer) => !answers.has(answer))).toEqual([]);
});

test('a seed replays to the same trace, byte for byte', async () => {
  const first = await simulate({ seed: 7, keepsTrace: true });
  const second = await simulate({ seed: 7, keepsTrace: true });
  expect(second.trace).toBe(first.trace);
  expect(second.digest).toBe(first.digest);
  expect((await simulate({ seed: 8 })).digest).not.toBe(first.digest);
});
