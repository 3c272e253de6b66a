import type { Fold } from '../../ledger/ledger.ts';
import { CommittedOffsets } from './committed-offsets.ts';
import { ConsumerGroup } from './consumer/consumer-group.ts';
import type { ClassicGroupRecord, GroupEvent } from './group-events.ts';
import { checkGroupEvent } from './stored-group-event.ts';

/** What the groups' ledger makes: all that is durable about groups. */
export class GroupState implements Fold<GroupEvent> {
  readonly offsets = new CommittedOffsets();
  readonly classicGroups = new Map<string, ClassicGroupRecord>();
  readonly consumerGroups = new Map<string, ConsumerGroup>();
  uptimeMs = 0;

  check(event: GroupEvent): void {
    checkGroupEvent(event, this);
  }

  apply(event: GroupEvent): void {
    switch (event.type) {
      case 'offsets':
        this.offsets.commit(event);
        return;
      case 'offsetsRemoved':
        this.offsets.remove(event);
        return;
      case 'allOffsetsRemoved':
        this.offsets.removeAll(event.group);
        return;
      case 'classicGroup': {
        const { type: _, group, ...record } = event;
        this.#dropConsumerGroup(group);
        this.classicGroups.set(group, record);
        return;
      }
      case 'consumerEpoch':
      case 'consumerTarget':
      case 'consumerMember':
      case 'consumerMemberRemoved':
        this.#consumerGroup(event.group).apply(event);
        return;
      case 'groupRemoved':
        this.classicGroups.delete(event.group);
        this.#dropConsumerGroup(event.group);
        return;
      case 'uptime':
        this.uptimeMs = Math.max(this.uptimeMs, event.ms);
        return;
    }
  }

  *live(): Generator<GroupEvent> {
    yield { type: 'uptime', ms: this.uptimeMs };
    for (const [group, record] of this.classicGroups) yield { type: 'classicGroup', group, ...record };
    for (const group of this.consumerGroups.values()) yield* group.live();
    yield* this.offsets.live();
  }

  #consumerGroup(id: string): ConsumerGroup {
    let group = this.consumerGroups.get(id);
    if (group === undefined) {
      this.classicGroups.delete(id);
      this.consumerGroups.set(id, (group = new ConsumerGroup(id)));
    }
    return group;
  }

  #dropConsumerGroup(id: string): void {
    this.consumerGroups.get(id)?.drop();
    this.consumerGroups.delete(id);
  }
}
