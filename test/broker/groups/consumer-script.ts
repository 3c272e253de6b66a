import { Fault } from '../../../src/base/faults.ts';
import { NO_PARTITIONS, type TopicPartitions } from '../../../src/broker/groups/consumer/assignor.ts';
import {
  type ConsumerMember,
  type Holdings,
  partitionsIn,
} from '../../../src/broker/groups/consumer/consumer-member.ts';
import { beat, TestGroup } from './consumer-model.ts';

/*
 * Runs the scripts in consumer-transcripts/: one command a line, and below what comes of it. Partitions are written t:0,1.
 * Commands:
 *   topic NAME PARTITIONS            makes a topic, or gives it more partitions; 0 deletes it
 *   settings interval=1s size=2      consumer.assignment.interval.ms, group.consumer.max.size
 *   join NAME [topics=X,Y] [regex=R] [instance=I] [assignor=A] [rebalance=30s]
 *   beat NAME [epoch=N] [owns=t:0,1] [topics=X,Y]     with its epoch unless told otherwise; owns=- is none
 *   lost NAME …                      the same, but its answer never comes
 *   leave NAME [back]                back: a static member that means to return
 *   commit NAME t:0 [epoch=N]        or commit outside t:0
 *   wait 5s                          who misses a deadline is told
 *   restart
 *   show
 */

type Options = ReadonlyMap<string, string>;

export class ConsumerScript {
  readonly #group = new TestGroup();
  readonly #epochs = new Map<string, number>();
  readonly #instances = new Map<string, string>();

  run(line: string): string {
    const [command, ...words] = line.split(' ').filter((word) => word !== '');
    const options: Options = new Map(
      words.filter((word) => word.includes('=')).map((word) => word.split('=', 2) as [string, string]),
    );
    const names = words.filter((word) => !word.includes('='));
    try {
      return this.#command(command!, names, options) || '(nothing)';
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return `refused: ${error.fault}`;
    }
  }

  #command(command: string, [name = '', more = '']: readonly string[], options: Options): string {
    switch (command) {
      case 'topic':
        if (more === '0') this.#group.topics.delete(name);
        else this.#group.topics.make(name, Number(more));
        return '';
      case 'settings':
        this.#group.settings = {
          ...this.#group.settings,
          assignmentIntervalMs: ms(options.get('interval') ?? '0s'),
          sizeMax: Number(options.get('size') ?? 100),
        };
        return '';
      case 'join':
      case 'beat':
      case 'lost':
        return this.#beat(command, name, options);
      case 'leave': {
        const instanceId = this.#instances.get(name) ?? null;
        const memberEpoch = more === 'back' ? -2 : -1;
        return `epoch ${this.#group.leave(beat(name, { instanceId, memberEpoch })).memberEpoch}`;
      }
      case 'commit':
        return this.#commit(name, more, options);
      case 'wait':
        return this.#group
          .pass(ms(name))
          .map((id) => `${id} is removed`)
          .join('\n');
      case 'restart':
        this.#group.restart();
        return '';
      case 'show':
        return this.#show();
      default:
        throw new Error(`no command ${command}`);
    }
  }

  #beat(command: string, name: string, options: Options): string {
    const joins = command === 'join';
    const instance = options.get('instance') ?? this.#instances.get(name);
    if (instance !== undefined) this.#instances.set(name, instance);
    const list = (text: string | undefined) => text?.split(',').filter((word) => word !== '') ?? null;
    const owns = options.get('owns');
    const reply = this.#group.heartbeat(
      beat(name, {
        memberEpoch: joins ? 0 : Number(options.get('epoch') ?? this.#epochs.get(name)),
        instanceId: instance ?? null,
        topicNames: list(options.get('topics')) ?? (joins && !options.has('regex') ? [] : null),
        topicRegex: options.get('regex') ?? null,
        serverAssignor: options.get('assignor') ?? null,
        owned: joins ? NO_PARTITIONS : owns === undefined ? null : this.#partitions(owns),
        rebalanceTimeoutMs: joins ? ms(options.get('rebalance') ?? '30s') : -1,
      }),
    );
    if (command === 'lost') return '(lost)';
    this.#epochs.set(name, reply.memberEpoch);
    return `epoch ${reply.memberEpoch}${reply.assignment === null ? '' : `, has ${this.#told(reply.assignment)}`}`;
  }

  #commit(name: string, place: string, options: Options): string {
    const outside = name === 'outside';
    const [topic, partition] = place.split(':') as [string, string];
    const { id } = this.#group.topics.find(topic)!;
    const generation = outside ? -1 : Number(options.get('epoch') ?? this.#epochs.get(name));
    const committer = { generation, memberId: outside ? '' : name, instanceId: null, saysEpoch: true };
    this.#group.live.checkCommit(committer, this.#group.nowMs, [{ topic: { id }, partition: Number(partition) }]);
    return 'may commit';
  }

  #show(): string {
    const { group } = this.#group;
    const lines = Array.from(group.members.values(), (member) => this.#described(member));
    return [`${group.stateName}, epoch ${group.epoch}, target of ${group.targetEpoch}`, ...lines.sort()].join('\n');
  }

  #described({ memberId, epoch, state, assigned, revoking }: ConsumerMember): string {
    const gives = revoking.size === 0 ? '' : `, gives up ${this.#held(revoking)}`;
    const target = this.#told(this.#group.group.target(memberId));
    return `  ${memberId} ${state} at ${epoch}: has ${this.#held(assigned)}${gives}; target ${target}`;
  }

  #held(holdings: Holdings): string {
    return this.#told(partitionsIn(holdings));
  }

  #told(partitions: TopicPartitions): string {
    if (partitions.size === 0) return 'nothing';
    return Array.from(
      partitions,
      ([id, some]) => `${this.#group.topics.nameOf(id) ?? 'a deleted topic'}:${some.join()}`,
    )
      .sort()
      .join(' ');
  }

  #partitions(text: string): TopicPartitions {
    if (text === '-') return NO_PARTITIONS;
    return new Map(
      text.split('+').map((each) => {
        const [topic, partitions] = each.split(':') as [string, string];
        return [this.#group.topics.find(topic)!.id, partitions.split(',').map(Number)];
      }),
    );
  }
}

function ms(text: string): number {
  return Number(text.slice(0, -1)) * 1000;
}

/** A script with what comes of each command, instead of what stood there. */
export function playedConsumer(script: string): string {
  const runner = new ConsumerScript();
  const paragraphs = script.split('\n\n').map((paragraph) => {
    const lines = paragraph.split('\n').filter((line) => line !== '');
    const end = lines.indexOf('----');
    const asked = end === -1 ? lines : lines.slice(0, end);
    const commands = asked.filter((line) => !line.startsWith('#'));
    if (commands.length === 0) return asked.join('\n');
    return [...asked, '----', ...commands.map((command) => runner.run(command))].join('\n');
  });
  return `${paragraphs.join('\n\n')}\n`;
}
