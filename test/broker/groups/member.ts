import type { Broker } from '../../../src/broker/broker.ts';
import type { JoinAnswer, JoinRequest, SyncAnswer } from '../../../src/broker/groups/classic-member.ts';
import { consumerMetadata } from './consumer-metadata.ts';

/** Joins a group of a broker, as a client too old to be asked for its id does unless it is given. */
export function join(broker: Broker, group: string, wish: Partial<JoinRequest> = {}): Promise<JoinAnswer> {
  return broker.groups.join(group, {
    memberId: '',
    instanceId: null,
    clientId: 'test',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 30_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: consumerMetadata(['t']) }],
    newMemberId: broker.groups.newMemberId('test'),
    mustKnowId: false,
    maySkipAssignment: false,
    ...wish,
  });
}

export function sync(
  broker: Broker,
  group: string,
  { memberId, generation }: JoinAnswer,
  work = '',
): Promise<SyncAnswer> {
  const assignments = work === '' ? [] : [{ memberId, assignment: Buffer.from(work) }];
  const told = { instanceId: null, protocolType: null, protocolName: null };
  return broker.groups.sync(group, { memberId, generation, ...told, assignments });
}

/** A member that is at work. */
export async function atWork(broker: Broker, group: string, wish: Partial<JoinRequest> = {}): Promise<JoinAnswer> {
  const joined = await join(broker, group, wish);
  await sync(broker, group, joined, 'work');
  return joined;
}

/** Commits an offset for the first partition of a topic; from outside, or as a member. */
export function commit(
  broker: Broker,
  group: string,
  topic: string,
  offset: number,
  member: Pick<JoinAnswer, 'memberId' | 'generation'> = { memberId: '', generation: -1 },
): Promise<void> {
  const { memberId, generation } = member;
  const committer = { memberId, generation, instanceId: null, saysEpoch: true };
  const one = { topic: broker.topics.get(topic), partition: 0, offset, leaderEpoch: -1, metadata: null };
  return broker.groups.commit(group, committer, [one], null);
}

/** The offset that a group has committed for the first partition of a topic; null for none. */
export function committed(broker: Broker, group: string, topic: string): number | null {
  return broker.groups.offsets(group, null, -1).get(topic)?.get(0)?.offset ?? null;
}
