import { readFile } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { Fault } from '../base/faults.ts';
import type { Admin } from '../client/admin.ts';
import type { TopicPartitions } from '../client/assignment-bytes.ts';
import type { NewOffset } from '../client/group-offsets.ts';
import type { OffsetTarget } from '../client/list-offsets.ts';
import { brokerFlags, defineCommand, type Values } from './command.ts';
import { yesFlag } from './confirm.ts';
import { withAdmin } from './connect.ts';
import { parseDurationMs, parseMomentMs } from './duration.ts';
import { known } from './group-output.ts';
import { parseOffsets } from './offset-file.ts';
import { carryOut, planMoves, refuseActive } from './offset-moves.ts';
import { choosePartitions, topicFlag } from './topic-choice.ts';
import { UsageError } from './usage-error.ts';

const places = {
  'to-earliest': { type: 'boolean', default: false, describe: 'To the first record that is there' },
  'to-latest': { type: 'boolean', default: false, describe: 'To the end: only what comes from now on' },
  'to-offset': { type: 'number', requiresArg: true, describe: 'To this offset in each partition' },
  'shift-by': {
    type: 'number',
    requiresArg: true,
    describe: 'So many records on from the committed offset, or back: -100',
  },
  'to-time': {
    type: 'string',
    requiresArg: true,
    describe: 'To the first record from then on: 2026-05-01T12:00:00Z, milliseconds since 1970, or -2h',
  },
  ago: { type: 'string', requiresArg: true, describe: 'To the first record of the last so long: 90m, 2h, 7d' },
  'from-file': {
    type: 'string',
    requiresArg: true,
    describe: 'To what a file of group export, or kafka-consumer-groups, says',
  },
  'from-group': { type: 'string', requiresArg: true, describe: 'To where another group is' },
} as const;

const flags = {
  ...brokerFlags,
  ...places,
  ...topicFlag,
  'dry-run': { type: 'boolean', default: false, describe: 'Only show what would change' },
  ...yesFlag,
} as const;

type Args = Values<typeof flags>;

export const groupSeek = defineCommand({
  syntax: 'seek <group>',
  describe: 'Move where a group goes on',
  positionals: { group: { type: 'string', demandOption: true } },
  flags,
  examples: [
    { run: '$0 group seek billing --to-earliest --dry-run', does: 'Show what reading all again would change' },
    { run: '$0 group seek billing --ago 2h --topic orders', does: 'The last two hours of a topic again' },
    { run: '$0 group seek billing --shift-by -1 --topic orders:3', does: 'One record of a partition once more' },
    { run: '$0 group seek billing-2 --from-group billing', does: 'A second group that goes on where the first is' },
  ],
  notes:
    'Shows what changes, then asks at a terminal; a script is taken at its word. Without --topic every partition ' +
    'is moved in which the group has committed an offset. An offset that is not there is taken for the nearest ' +
    'that is. A group with members is refused: stop its consumers first. A group that is not there is made.',
  async run(args) {
    const place = placeOf(args);
    const file = args.fromFile === undefined ? null : await readFile(args.fromFile, 'utf8');
    await withAdmin(args, async (admin) => {
      await refuseActive(admin, [args.group]);
      const wanted = await wantedOffsets(admin, args.group, args, place, file);
      await carryOut(admin, [await planMoves(admin, args.group, wanted)], args);
    });
  },
});

/** The one flag of those that say where to. @throws UsageError */
function placeOf(args: Args): keyof typeof places {
  const given = (Object.keys(places) as (keyof typeof places)[]).filter(
    (name) => args[name] !== undefined && args[name] !== false,
  );
  const [first] = given;
  if (first !== undefined && given.length === 1) return first;
  const names = Object.keys(places).map((name) => `--${name}`);
  throw new UsageError(
    first === undefined ? `say where to: ${names.join(', ')}` : `--${given.join(' and --')} exclude each other`,
  );
}

async function wantedOffsets(
  admin: Admin,
  group: string,
  args: Args,
  place: keyof typeof places,
  file: string | null,
): Promise<NewOffset[]> {
  const chosen = await choosePartitions(admin, args.topic);
  if (file !== null) {
    const rows = parseOffsets(file, args.fromFile!).filter((row) => row.group === null || row.group === group);
    if (rows.length === 0) throw new UsageError(`${args.fromFile} says nothing of group ${group}`);
    return within(rows, chosen);
  }
  if (place === 'from-group') {
    const other = known((await admin.groups.offsets([args.fromGroup!])).get(args.fromGroup!), args.fromGroup!);
    if (other.length === 0)
      throw new Fault('groupNotFound', { detail: `group ${args.fromGroup} has committed no offsets` });
    return within(other, chosen);
  }
  const partitions = chosen ?? (await committedPartitions(admin, group));
  if (place === 'to-offset') return each(partitions, () => wholeNumber(args.toOffset!, '--to-offset'));
  if (place === 'shift-by') return shifted(admin, group, partitions, args.shiftBy!);
  return found(admin, partitions, targetOf(args, place));
}

function targetOf(args: Args, place: keyof typeof places): OffsetTarget {
  const nowMs = systemClock.wallMs();
  if (place === 'to-time') return { time: parseMomentMs(args.toTime!, nowMs, '--to-time') };
  if (place === 'ago') return { time: nowMs - parseDurationMs(args.ago!, '--ago') };
  return place === 'to-earliest' ? 'earliest' : 'latest';
}

function wholeNumber(value: number, flag: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new UsageError(`${flag} must be a whole number from 0 up`);
}

function within(offsets: readonly NewOffset[], chosen: readonly TopicPartitions[] | null): NewOffset[] {
  const kept = offsets.filter(
    ({ topic, partition }) =>
      chosen === null || chosen.some((one) => one.topic === topic && one.partitions.includes(partition)),
  );
  if (kept.length === 0) throw new UsageError('nothing is said of the partitions that --topic names');
  return kept;
}

async function committedPartitions(admin: Admin, group: string): Promise<TopicPartitions[]> {
  const offsets = known((await admin.groups.offsets([group])).get(group), group);
  if (offsets.length === 0)
    throw new UsageError(`group ${group} has committed no offsets; name the topics with --topic`);
  return offsets.map(({ topic, partition }) => ({ topic, partitions: [partition] }));
}

function each(topics: readonly TopicPartitions[], offsetOf: (topic: string, partition: number) => number): NewOffset[] {
  return topics.flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition, offset: offsetOf(topic, partition) })),
  );
}

async function shifted(
  admin: Admin,
  group: string,
  partitions: readonly TopicPartitions[],
  shift: number,
): Promise<NewOffset[]> {
  if (!Number.isSafeInteger(shift)) throw new UsageError('--shift-by must be a whole number');
  const committed = known((await admin.groups.offsets([group])).get(group), group);
  return each(partitions, (topic, partition) => {
    const old = committed.find((one) => one.topic === topic && one.partition === partition);
    if (old !== undefined && old.offset >= 0) return old.offset + shift;
    throw new UsageError(`group ${group} has committed no offset in topic ${topic}, partition ${partition} to shift`);
  });
}

/** Where there is no record that young, the group goes on at the end. */
async function found(admin: Admin, topics: readonly TopicPartitions[], target: OffsetTarget): Promise<NewOffset[]> {
  const wanted: NewOffset[] = [];
  for (const { topic, partitions } of topics) {
    const [at, latest] = await Promise.all([
      admin.offsets(topic, target, { partitions }),
      admin.offsets(topic, 'latest', { partitions }),
    ]);
    for (const partition of partitions) {
      const offset = at.get(partition)!.offset;
      wanted.push({ topic, partition, offset: offset < 0 ? latest.get(partition)!.offset : offset });
    }
  }
  return wanted;
}
