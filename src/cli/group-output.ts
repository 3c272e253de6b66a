import { Fault } from '../base/faults.ts';
import type { Admin } from '../client/admin.ts';
import type { TopicPartitions } from '../client/assignment-bytes.ts';
import type { GroupDescription, GroupMember } from '../client/group-description.ts';
import type { PartitionOfTopic, PartitionOutcome } from '../client/group-offsets.ts';
import { exitCodes } from './exit-codes.ts';
import { failureText } from './failure.ts';

/** @throws Fault groupNotFound and others */
export async function describeGroup(admin: Admin, group: string): Promise<GroupDescription> {
  return known((await admin.groups.describe([group])).get(group), group);
}

/** What was said of a group. @throws Fault */
export function known<T>(answer: T | Fault | undefined, group: string): T {
  if (answer === undefined) throw new Fault('groupNotFound', { detail: `group ${group}` });
  if (answer instanceof Fault) throw answer;
  return answer;
}

/** Why there is nothing to be shown of a group's offsets. @throws Fault */
export async function noOffsetsText(admin: Admin, group: string): Promise<string> {
  const described = (await admin.groups.describe([group])).get(group);
  const isThere = described !== undefined && !(described instanceof Fault && described.fault === 'groupNotFound');
  if (!isThere) return `there is no group ${group}; check the name`;
  known(described, group);
  return `group ${group} has committed no offsets`;
}

/** What is found out of each group; one that is not there is told of and left out. @throws Fault groupNotFound where none is there, and others */
export async function ofThoseThere<T>(
  groups: readonly string[],
  verbose: boolean,
  ask: (group: string) => Promise<T>,
): Promise<T[]> {
  const missing: Fault[] = [];
  const answers = await Promise.all(
    groups.map(async (group) => {
      try {
        return [await ask(group)];
      } catch (fault) {
        if (!(fault instanceof Fault) || fault.fault !== 'groupNotFound') throw fault;
        missing.push(fault);
        return [];
      }
    }),
  );
  const found = answers.flat();
  if (found.length === 0 && missing.length > 0) throw missing[0];
  reportFaults(
    missing.map((fault) => ({ fault })),
    verbose,
  );
  return found;
}

/** As JSON shows it. */
export function faultJson(fault: Fault | null): { fault: string; kafka: string; message: string } | null {
  return fault === null ? null : { fault: fault.fault, kafka: fault.kafka, message: fault.message };
}

/** Tells of each partition that failed and makes the exit code say that some did; those that did not are none the worse. */
export function reportFaults(outcomes: readonly Pick<PartitionOutcome, 'fault'>[], verbose: boolean): void {
  // What is said of a whole group is the same at each of its partitions.
  for (const fault of new Set(outcomes.map((one) => one.fault))) {
    if (fault === null) continue;
    process.stderr.write(failureText(fault, verbose));
    process.exitCode = exitCodes.refused;
  }
}

/** How it went with each of a group's partitions; what is said against the group is said of all of them, and of no other group's. */
export async function outcomesOr(
  partitions: readonly PartitionOfTopic[],
  operation: () => Promise<PartitionOutcome[]>,
): Promise<PartitionOutcome[]> {
  try {
    return await operation();
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    return partitions.map(({ topic, partition }) => ({ topic, partition, fault }));
  }
}

/** `orders:0,2 payments:1`; empty where there is nothing. */
export function partitionsText(topics: readonly TopicPartitions[]): string {
  return topics.map(({ topic, partitions }) => `${topic}:${partitions.join(',')}`).join(' ');
}

/** How people tell members apart: a static one by its own name. */
export function memberText({ instanceId, memberId }: GroupMember): string {
  return instanceId ?? memberId;
}

/** `3 members`, `1 member`. */
export function countText(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
}
