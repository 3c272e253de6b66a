import { Fault } from '../base/faults.ts';
import type { Admin } from '../client/admin.ts';
import type { GroupMember } from '../client/group-description.ts';
import { byTopic, inOrder, type NewOffset, type PartitionOutcome } from '../client/group-offsets.ts';
import { confirm } from './confirm.ts';
import { countText, faultJson, known, memberText, outcomesOr, reportFaults } from './group-output.ts';
import { note, write, writeJson } from './output.ts';
import { table } from './table.ts';

/** What is to become of a group's offset in one partition. */
export interface Move extends Required<NewOffset> {
  /** Null: none is committed. */
  readonly from: number | null;
  readonly earliest: number;
  readonly latest: number;
  /** What else there is to know of it; null mostly. */
  readonly note: string | null;
}

export interface GroupMoves {
  readonly group: string;
  readonly moves: readonly Move[];
}

export interface MoveChoice {
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
}

const MEMBERS_NAMED_MAX = 3;

/**
 * A group's members go on from where they are and commit over whatever is set, so nothing is moved under them; says who they are
 * and what to do. @throws Fault nonEmptyGroup
 */
export async function refuseActive(admin: Admin, groups: readonly string[]): Promise<void> {
  const described = await admin.groups.describe(groups);
  for (const group of groups) {
    const found = described.get(group);
    if (found === undefined || (found instanceof Fault && found.kafka === 'GROUP_ID_NOT_FOUND')) {
      note(`group ${group} is not there yet; its first offset makes it`);
      continue;
    }
    const { state, members } = known(found, group);
    if (members.length === 0) continue;
    const named = members.slice(0, MEMBERS_NAMED_MAX).map(whereText);
    const more = members.length - named.length;
    throw new Fault('nonEmptyGroup', {
      detail:
        `group ${group} is ${state} with ${countText(members.length, 'member')}: ${named.join(', ')}` +
        `${more > 0 ? ` and ${more} more` : ''}. One that has crashed is taken off when its session times out; ` +
        `a static one that will not come back: millrace group members ${group} --remove NAME`,
    });
  }
}

function whereText(member: GroupMember): string {
  return `${memberText(member)} at ${member.host}`;
}

/** Where a group would go on, kept within what the partitions hold. @throws Fault unknownTopic, invalidArgument and others */
export async function planMoves(admin: Admin, group: string, wanted: readonly NewOffset[]): Promise<GroupMoves> {
  const topics = [...byTopic(wanted)].map(([topic, ofTopic]) => ({
    topic,
    partitions: ofTopic.map(({ partition }) => partition),
  }));
  const committed = known((await admin.groups.offsets([group], { partitions: topics })).get(group), group);
  const moves: Move[] = [];
  for (const { topic, partitions } of topics) {
    const [earliest, latest] = await Promise.all([
      admin.offsets(topic, 'earliest', { partitions }),
      admin.offsets(topic, 'latest', { partitions }),
    ]);
    for (const one of wanted) {
      if (one.topic !== topic) continue;
      const { offset: from = -1 } =
        committed.find((old) => old.topic === topic && old.partition === one.partition) ?? {};
      const first = earliest.get(one.partition)!.offset;
      const next = latest.get(one.partition)!.offset;
      moves.push(moveOf(one, from < 0 ? null : from, first, next));
    }
  }
  return { group, moves: inOrder(moves) };
}

function moveOf(wanted: NewOffset, from: number | null, earliest: number, latest: number): Move {
  const { offset: asked, leaderEpoch = -1, metadata = '' } = wanted;
  const offset = Math.min(Math.max(asked, earliest), latest);
  const text =
    asked < earliest ? `${asked} is before the earliest` : asked > latest ? `${asked} is past the end` : null;
  return { ...wanted, offset, leaderEpoch, metadata, from, earliest, latest, note: text };
}

/** Shows what would change; unless that is all, asks at a terminal and changes it. A partition that fails fails alone. */
export async function carryOut(admin: Admin, plans: readonly GroupMoves[], choice: MoveChoice): Promise<void> {
  const { dryRun, yes, json } = choice;
  if (!json) await write(plans.map(planText).join('\n'));
  const outcomes: PartitionOutcome[][] = [];
  if (!dryRun) {
    await confirm(`Move the offsets of ${plans.map(({ group }) => group).join(', ')}?`, yes);
    for (const { group, moves } of plans) {
      outcomes.push(await outcomesOr(moves, () => admin.groups.setOffsets(group, moves)));
    }
  }
  const all = outcomes.flat();
  const done = all.filter(({ fault }) => fault === null).length;
  if (json) await writeJson({ dryRun, groups: plans.map((plan, index) => planJson(plan, outcomes[index] ?? [])) });
  else if (dryRun) note('a dry run: nothing was changed');
  else await write(`\nmoved ${countText(done, 'offset')}\n`);
  reportFaults(all, choice.verbose);
}

function planText({ group, moves }: GroupMoves): string {
  const rows = moves.map((one) => [
    one.topic,
    one.partition,
    one.from,
    one.offset,
    one.from === null ? null : signed(one.offset - one.from),
    one.earliest,
    one.latest,
    one.note,
  ]);
  const headings = ['TOPIC', 'PARTITION', 'OFFSET', 'NEW', 'CHANGE', 'EARLIEST', 'LATEST', 'NOTE'];
  return `group ${group}\n\n${table(headings, rows)}`;
}

function signed(change: number): string {
  return change > 0 ? `+${change}` : String(change);
}

function planJson({ group, moves }: GroupMoves, outcomes: readonly PartitionOutcome[]): object {
  const faultOf = ({ topic, partition }: Move): Fault | null =>
    outcomes.find((one) => one.topic === topic && one.partition === partition)?.fault ?? null;
  const shown = moves.map((move) => ({
    topic: move.topic,
    partition: move.partition,
    from: move.from,
    to: move.offset,
    earliest: move.earliest,
    latest: move.latest,
    note: move.note,
    fault: faultJson(faultOf(move)),
  }));
  return { group, moves: shown };
}
