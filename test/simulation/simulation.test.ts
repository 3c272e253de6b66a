import { expect, test } from 'vitest';
import { tell } from './tell.ts';
import { MUST_TAKE_PLACE } from './took-place.ts';
import { simulate } from './world.ts';

/** MILLRACE_SEEDS makes it more; `npm run simulate` is made for many. */
const SEEDS = Number(process.env['MILLRACE_SEEDS'] ?? 16);
const FIRST_SEED = 1;
/** Of which some more are run until all of it has taken place. */
const MORE_SEEDS = 64;

/** What must take place, in a simulation that lost one of which nothing would fail. */
const INJECTED = [
  /^power cut, (all|nothing|prefix|torn|reordered)$/,
  /^kill$/,
  /in recovery$/,
  /^EIO/,
  /^disk full/,
  /^clock/,
  /^bit flipped in/,
];
/** So must what groups are tried with: zombies that commit, static members that are replaced, groups and offsets that go. */
const ANSWERS = [
  ...['commit ok', 'commit UNKNOWN_MEMBER_ID', 'heartbeat FENCED_INSTANCE_ID', 'join UNRELEASED_INSTANCE_ID'],
  ...['leave ok', 'deleteOffsets ok', 'deleteGroup ok', 'quiet ok', 'mayExpireOffsets ok'],
];

test('whatever happens to the broker, what it told its clients holds', { timeout: 300_000 }, async () => {
  const injected = new Set<string>();
  const answers = new Set<string>();
  const events = new Set<string>();
  const missing = (): string[] => [
    ...MUST_TAKE_PLACE.filter((event) => !events.has(event)),
    ...INJECTED.filter((kind) => ![...injected].some((what) => kind.test(what))).map(String),
    ...ANSWERS.filter((answer) => !answers.has(answer)),
  ];
  for (let count = 0; count < SEEDS || (count < SEEDS + MORE_SEEDS && missing().length > 0); count += 1) {
    const seed = FIRST_SEED + count;
    const run = await simulate({ seed });
    expect(run.failures.length === 0 ? '' : `seed ${seed}: ${tell(run)}`).toBe('');
    for (const op of run.history.operations) answers.add(`${op.kind} ${op.outcome === 'ok' ? 'ok' : op.error}`);
    for (const what of run.injected.keys()) injected.add(what);
    for (const event of run.tookPlace.keys()) events.add(event);
  }
  expect(missing()).toEqual([]);
});

test('a seed replays to the same trace, byte for byte', async () => {
  const first = await simulate({ seed: 7, keepsTrace: true });
  const second = await simulate({ seed: 7, keepsTrace: true });
  expect(second.trace).toBe(first.trace);
  expect(second.digest).toBe(first.digest);
  expect((await simulate({ seed: 8 })).digest).not.toBe(first.digest);
});
