import { Fault } from '../base/faults.ts';
import { assignors } from './assignors/index.ts';
import { ClassicMember } from './classic-member.ts';
import { ConsumerMember } from './consumer-member.ts';
import type { GroupProtocol, GroupSettings } from './consumer-options.ts';
import type { GroupLink } from './group-link.ts';
import type { GroupMember, PartitionOwner } from './group-member.ts';

/** The first version whose members subscribe by pattern. */
const PATTERN_VERSION = 1;

/**
 * Joins by the protocol that was named, else by the newest that the broker serves, and stays until the member is stopped.
 * @throws what ends the membership.
 */
export async function joinGroup(
  link: GroupLink,
  owner: PartitionOwner,
  settings: GroupSettings,
  onMember: (member: GroupMember) => void,
): Promise<void> {
  const protocol = settings.protocol ?? (await newestProtocol(link, settings));
  const member = memberOf(protocol, link, owner, settings);
  onMember(member);
  try {
    await member.run();
  } catch (error) {
    // A broker may know the newer protocol and still be told not to serve it.
    const isRefused = error instanceof Fault && error.kafka === 'UNSUPPORTED_VERSION';
    if (settings.protocol !== null || protocol === 'classic' || !isRefused || owner.owned.length > 0) throw error;
    const classic = memberOf('classic', link, owner, settings);
    onMember(classic);
    await classic.run();
  }
}

function memberOf(
  protocol: GroupProtocol,
  link: GroupLink,
  owner: PartitionOwner,
  settings: GroupSettings,
): GroupMember {
  const { subscription, instanceId, serverAssignor, rebalanceTimeoutMs } = settings;
  if (protocol === 'consumer') {
    return new ConsumerMember({ link, owner, subscription, instanceId, serverAssignor, rebalanceTimeoutMs });
  }
  const { sessionTimeoutMs, heartbeatIntervalMs, topicsMaxAgeMs } = settings;
  return new ClassicMember({
    ...{ link, owner, subscription, instanceId, rebalanceTimeoutMs },
    ...{ sessionTimeoutMs, heartbeatIntervalMs, topicsMaxAgeMs },
    assignors: settings.assignors.map((name) => assignors[name]),
  });
}

async function newestProtocol(link: GroupLink, { group, subscription }: GroupSettings): Promise<GroupProtocol> {
  return link.cluster.retrying(`finding the coordinator of group ${group}`, link.callTimeoutMs, async () => {
    const connection = await link.connection();
    if (!connection.offers('ConsumerGroupHeartbeat')) return 'classic';
    const isTooOld = 'pattern' in subscription && connection.versionOf('ConsumerGroupHeartbeat') < PATTERN_VERSION;
    return isTooOld ? 'classic' : 'consumer';
  });
}
