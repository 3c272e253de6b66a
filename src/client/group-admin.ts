import { Fault, faultFromKafka } from '../base/faults.ts';
import { kafkaErrors } from '../base/kafka-errors.ts';
import type { Cluster } from './cluster.ts';
import type { Connection } from './connection.ts';
import { GroupCoordinators, groupDetail, groupFault } from './group-coordinators.ts';
import { classicGroupOf, consumerGroupOf, type GroupDescription, type GroupSummary } from './group-description.ts';
import { type GroupLagOptions, lagOf, type PartitionLag } from './group-lag.ts';
import {
  type CommittedOffset,
  commitOffsets,
  deleteOffsets,
  type FetchOffsetsOptions,
  fetchOffsets,
  type NewOffset,
  type PartitionOfTopic,
  type PartitionOutcome,
} from './group-offsets.ts';
import { checkedOffset } from './whole-numbers.ts';

export interface ListGroupsOptions {
  /** Only groups in one of these states; Apache Kafka 2.6 or later. */
  readonly states?: readonly string[];
  /** Only groups of one of these types; Apache Kafka 3.8 or later. */
  readonly types?: readonly string[];
}

/** A static member by its instance id, or any by its member id. */
export type MemberName = { readonly instanceId: string } | { readonly memberId: string };

export type RemovedMember = MemberName & {
  /** Null when it was removed. */
  readonly fault: Fault | null;
};

const LANE = 'admin';
/** The first version that lets several members leave, and static ones. */
const STATIC_MEMBERS_VERSION = 3;

/**
 * Consumer groups: who is in them, how far they are, and where they go on. What concerns several groups or partitions says of each
 * how it went, so that one never fails another. A group's coordinator is found anew when it has changed, and waited for while it
 * loads, until the client's `callTimeoutMs` is over.
 */
export class GroupAdmin {
  readonly #cluster: Cluster;
  readonly #timeoutMs: number;
  readonly #coordinators: GroupCoordinators;

  constructor(cluster: Cluster, timeoutMs: number) {
    this.#cluster = cluster;
    this.#timeoutMs = timeoutMs;
    this.#coordinators = new GroupCoordinators(cluster, timeoutMs);
  }

  /** The groups of all brokers, in the order of their names. @throws Fault notSupportedByBroker for a filter that it is too old for. */
  async list({ states = [], types = [] }: ListGroupsOptions = {}): Promise<GroupSummary[]> {
    const groups = await this.#cluster.retrying('listing groups', this.#timeoutMs, async () => {
      const { brokers } = await this.#cluster.askMetadata([]);
      const asks = [...brokers.keys()].map(async (coordinator) => {
        const connection = await this.#cluster.connection(coordinator, LANE);
        checkFilters(connection, states, types);
        const asked = {
          ...(states.length > 0 && { statesFilter: states }),
          ...(types.length > 0 && { typesFilter: types }),
        };
        const response = await connection.request('ListGroups', asked);
        const fault = faultFromKafka(response.errorCode, `groups of broker ${coordinator}`);
        if (fault !== null) throw fault;
        return response.groups.map(({ groupId, protocolType, groupState, groupType }) => ({
          group: groupId,
          type: groupType.toLowerCase() || null,
          state: groupState || null,
          protocolType,
          coordinator,
        }));
      });
      return (await Promise.all(asks)).flat();
    });
    return groups.sort((a, b) => (a.group < b.group ? -1 : 1));
  }

  /** Each group with its members, or why it cannot be described: GROUP_ID_NOT_FOUND and others. */
  describe(groups: readonly string[]): Promise<Map<string, GroupDescription | Fault>> {
    return this.#coordinators.ask('describing groups', groups, async (connection, ofIt) => {
      const described = new Map<string, GroupDescription | Fault>();
      if (connection.offers('ConsumerGroupDescribe')) {
        const response = await connection.request('ConsumerGroupDescribe', { groupIds: ofIt });
        for (const group of response.groups) described.set(group.groupId, consumerGroupOf(group));
      }
      // A group of the other type is not found; only the second answer says whether it is there.
      const classic = ofIt.filter((group) => {
        const found = described.get(group);
        return found === undefined || (found instanceof Fault && found.kafka === 'GROUP_ID_NOT_FOUND');
      });
      if (classic.length === 0) return described;
      const response = await connection.request('DescribeGroups', { groups: classic });
      for (const group of response.groups) described.set(group.groupId, classicGroupOf(group));
      return described;
    });
  }

  /** What each group has committed, in the order of topics and partitions. A group that is not there has committed nothing. */
  offsets(
    groups: readonly string[],
    options: FetchOffsetsOptions = {},
  ): Promise<Map<string, readonly CommittedOffset[] | Fault>> {
    return this.#coordinators.ask('reading committed offsets', groups, (connection, ofIt) =>
      fetchOffsets(connection, ofIt, options),
    );
  }

  /**
   * How far a group is behind, in records and in time: each partition that it has committed an offset of, or that a member has.
   * @throws Fault what is said against the group.
   */
  async lag(group: string, options: GroupLagOptions = {}): Promise<PartitionLag[]> {
    const described = (await this.describe([group])).get(group);
    if (described instanceof Fault) throw described;
    const committed = (await this.offsets([group])).get(group) ?? [];
    if (committed instanceof Fault) throw committed;
    return lagOf(this.#cluster, this.#timeoutMs, committed, described?.members ?? [], options);
  }

  /**
   * Sets where a group goes on. The group is made where it is not there, and must have no members: their own commits would undo
   * it. @throws Fault nonEmptyGroup while it has members, and what else is said against the group.
   */
  async setOffsets(group: string, offsets: readonly NewOffset[]): Promise<PartitionOutcome[]> {
    if (offsets.length === 0) return [];
    for (const { offset } of offsets) checkedOffset(offset);
    return this.#coordinators.askOne(`setting offsets of group ${group}`, group, async (connection) => {
      try {
        return throwCommon(await commitOffsets(connection, group, offsets));
      } catch (error) {
        // Nobody's commit is taken for a member's while there are members.
        if (!(error instanceof Fault && error.kafka === 'UNKNOWN_MEMBER_ID')) throw error;
        throw new Fault('nonEmptyGroup', { detail: groupDetail(group), kafka: error.kafka, cause: error });
      }
    });
  }

  /** Forgets what the group has committed; a partition of a topic that a member subscribes is refused. @throws Fault what is said against the group. */
  async deleteOffsets(group: string, partitions: readonly PartitionOfTopic[]): Promise<PartitionOutcome[]> {
    if (partitions.length === 0) return [];
    return this.#coordinators.askOne(`deleting offsets of group ${group}`, group, async (connection) =>
      throwCommon(await deleteOffsets(connection, group, partitions)),
    );
  }

  /** Deletes groups without members, with their offsets. Each with null, or why it is still there: NON_EMPTY_GROUP and others. */
  delete(groups: readonly string[]): Promise<Map<string, Fault | null>> {
    return this.#coordinators.ask<null>('deleting groups', groups, async (connection, ofIt) => {
      const { results } = await connection.request('DeleteGroups', { groupsNames: ofIt });
      return new Map(
        results.map(({ groupId, errorCode, errorMessage }) => [groupId, groupFault(errorCode, groupId, errorMessage)]),
      );
    });
  }

  /**
   * Makes members leave, such as static ones that will not come back; one that still runs joins again. Default all.
   * @throws Fault what is said against the group.
   */
  async removeMembers(
    group: string,
    members?: readonly MemberName[],
    reason = 'removed by an admin',
  ): Promise<RemovedMember[]> {
    const named = members ?? (await this.#allMembers(group));
    if (named.length === 0) return [];
    return this.#coordinators.askOne(`removing members of group ${group}`, group, async (connection) => {
      if (connection.versionOf('LeaveGroup') < STATIC_MEMBERS_VERSION) {
        throw new Fault('notSupportedByBroker', { detail: 'removing members, since Apache Kafka 2.4' });
      }
      const identities = named.map((name) =>
        'instanceId' in name
          ? { memberId: '', groupInstanceId: name.instanceId, reason }
          : { memberId: name.memberId, groupInstanceId: null, reason },
      );
      const response = await connection.request('LeaveGroup', { groupId: group, members: identities });
      const fault = faultFromKafka(response.errorCode, groupDetail(group));
      if (fault !== null) throw fault;
      return named.map((name, index) => ({
        ...name,
        fault: faultFromKafka(response.members[index]?.errorCode ?? 0, groupDetail(group, textOf(name))),
      }));
    });
  }

  async #allMembers(group: string): Promise<MemberName[]> {
    const described = (await this.describe([group])).get(group);
    if (described instanceof Fault) throw described;
    return (described?.members ?? []).map(({ memberId, instanceId }) =>
      instanceId === null ? { memberId } : { instanceId },
    );
  }
}

function checkFilters(connection: Connection, states: readonly string[], types: readonly string[]): void {
  const version = connection.versionOf('ListGroups');
  if (states.length > 0 && version < 4) {
    throw new Fault('notSupportedByBroker', { detail: 'groups by state, since Apache Kafka 2.6' });
  }
  if (types.length > 0 && version < 5) {
    throw new Fault('notSupportedByBroker', { detail: 'groups by type, since Apache Kafka 3.8' });
  }
}

/** Where the protocol can say something of the group only at each of its partitions, the group's fault is thrown. */
function throwCommon(outcomes: PartitionOutcome[]): PartitionOutcome[] {
  const codes = new Set(outcomes.map(({ fault }) => fault?.code ?? 0));
  const [first] = outcomes;
  const [code] = codes;
  if (first?.fault != null && codes.size === 1 && groupCodes.has(code!)) throw first.fault;
  return outcomes;
}

/** What is said of a group, never of one partition. */
const groupCodes: ReadonlySet<number> = new Set(
  (
    [
      'COORDINATOR_LOAD_IN_PROGRESS',
      'COORDINATOR_NOT_AVAILABLE',
      'NOT_COORDINATOR',
      'ILLEGAL_GENERATION',
      'STALE_MEMBER_EPOCH',
      'UNKNOWN_MEMBER_ID',
      'REBALANCE_IN_PROGRESS',
      'INVALID_GROUP_ID',
      'GROUP_ID_NOT_FOUND',
      'GROUP_AUTHORIZATION_FAILED',
    ] as const
  ).map((name) => kafkaErrors[name].code),
);

function textOf(name: MemberName): string {
  return 'instanceId' in name ? `static member ${name.instanceId}` : `member ${name.memberId}`;
}
