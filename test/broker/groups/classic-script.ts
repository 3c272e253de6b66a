import { Fault } from '../../../src/base/faults.ts';
import { ClassicGroup } from '../../../src/broker/groups/classic-group.ts';
import type { JoinAnswer, SyncAnswer } from '../../../src/broker/groups/classic-member.ts';
import type { Ask, Effect } from '../../../src/broker/groups/group.ts';
import type { ClassicGroupRecord } from '../../../src/broker/groups/group-events.ts';
import { consumerMetadata } from './consumer-metadata.ts';

/*
 * Runs the scripts in transcripts/: one command a line, and below what comes of it. Members go by the names that the script
 * gives them; a name stands for the member id that it was last given. Commands:
 *   settings delay=3s size=2         initial rebalance delay, group.max.size
 *   join NAME [new] [instance=I] [type=T] [protocols=A,B] [topics=X,Y] [session=10s] [rebalance=30s] [version=9]
 *   sync NAME [generation=N] [NAME=WORK …]     the leader divides the work
 *   beat NAME [generation=N] [instance=I]
 *   leave NAME …                     instance=I for one that is removed by its instance's name
 *   commit NAME [generation=N]       or commit outside
 *   stored, refused                  how the oldest store ends
 *   wait 5s
 *   restart                          from what is stored
 *   show
 */

type Options = ReadonlyMap<string, string>;

/** `stores` resolves the group's stores by hand. */
export class ClassicScript {
  #settings = { initialRebalanceDelayMs: 0, membersMax: 1000 };
  #group = new ClassicGroup('g', this.#settings);
  #nowMs = 0;
  #stored: ClassicGroupRecord | null = null;
  #stores: Extract<Effect, { type: 'store' }>[] = [];
  readonly #ids = new Map<string, string>();
  #idNext = 1;
  #out: string[] = [];

  run(line: string): string {
    const [command, ...words] = line.split(' ').filter((word) => word !== '');
    const options: Options = new Map(
      words.map((word): [string, string] =>
        word.includes('=') ? (word.split('=', 2) as [string, string]) : [word, ''],
      ),
    );
    const names = words.filter((word) => !word.includes('=') && word !== 'new');
    this.#out = [];
    try {
      this.#command(command!, names, options);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#out.push(`refused: ${error.fault}`);
    }
    return this.#out.length === 0 ? '(nothing)' : this.#out.join('\n');
  }

  #command(command: string, names: readonly string[], options: Options): void {
    const [name = ''] = names;
    switch (command) {
      case 'settings':
        this.#settings.initialRebalanceDelayMs = ms(options.get('delay') ?? '0s');
        this.#settings.membersMax = Number(options.get('size') ?? 1000);
        return;
      case 'join':
        this.#join(name, options);
        return;
      case 'sync':
        this.#sync(name, options);
        return;
      case 'beat': {
        const generation = this.#generation(options);
        this.#group.heartbeat(this.#id(name), options.get('instance') ?? null, generation, this.#nowMs);
        this.#out.push('alive');
        return;
      }
      case 'leave':
        this.#leave(names, options);
        return;
      case 'commit': {
        const generation = name === 'outside' ? -1 : this.#generation(options);
        const memberId = name === 'outside' ? '' : this.#id(name);
        this.#group.checkCommit(
          { generation, memberId, instanceId: options.get('instance') ?? null, saysEpoch: true },
          this.#nowMs,
        );
        this.#out.push('may commit');
        return;
      }
      default:
        this.#control(command, name);
    }
  }

  #control(command: string, name: string): void {
    switch (command) {
      case 'stored':
      case 'refused': {
        const store = this.#stores.shift()!;
        const [event] = store.events;
        if (command === 'stored') this.#stored = event as ClassicGroupRecord & { type: 'classicGroup' };
        this.#perform(store.then(command === 'stored' ? null : new Fault('coordinatorNotAvailable'), this.#nowMs));
        return;
      }
      case 'wait': {
        const untilMs = this.#nowMs + ms(name);
        while (this.#group.wakeAtMs <= untilMs) {
          this.#nowMs = Math.max(this.#nowMs, this.#group.wakeAtMs);
          const before = this.#out.length;
          this.#perform(this.#group.wake(this.#nowMs));
          if (this.#out.length > before) this.#out.splice(before, 0, `at ${this.#nowMs / 1000}s:`);
        }
        this.#nowMs = untilMs;
        return;
      }
      case 'restart':
        this.#stores = [];
        this.#group =
          this.#stored === null
            ? new ClassicGroup('g', this.#settings)
            : ClassicGroup.load('g', this.#stored, this.#settings, this.#nowMs);
        this.#perform(this.#group.takeUp(this.#nowMs));
        return;
      case 'show': {
        const { stateName, generation, members } = this.#group;
        const told = Array.from(members, ({ memberId }) => this.#name(memberId)).join(' ');
        this.#out.push(`${stateName}, generation ${generation}${told === '' ? '' : `: ${told}`}`);
        return;
      }
      default:
        throw new Error(`no command ${command}`);
    }
  }

  #join(name: string, options: Options): void {
    const version = Number(options.get('version') ?? 9);
    const ask: Ask<JoinAnswer> = {
      answered: (answer) => {
        if (answer.memberId !== '') this.#ids.set(name, answer.memberId);
        else this.#ids.delete(name);
        this.#out.push(`${name} joins: ${this.#joined(answer)}`);
      },
    };
    const topics = (options.get('topics') ?? '').split(',').filter((topic) => topic !== '');
    const protocols = (options.get('protocols') ?? 'range').split(',').filter((protocol) => protocol !== '');
    const request = {
      memberId: options.has('new') ? '' : this.#id(name),
      instanceId: options.get('instance') ?? null,
      clientId: name,
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: ms(options.get('session') ?? '10s'),
      rebalanceTimeoutMs: ms(options.get('rebalance') ?? '30s'),
      protocolType: options.get('type') ?? 'consumer',
      protocols: protocols.map((protocol) => ({ name: protocol, metadata: consumerMetadata(topics) })),
      newMemberId: `${name}-${this.#idNext++}`,
      mustKnowId: version >= 4,
      maySkipAssignment: version >= 9,
    };
    if (request.memberId === '' && !(request.mustKnowId && request.instanceId === null)) {
      this.#ids.set(name, request.newMemberId);
    }
    this.#perform(this.#group.join(ask, request, this.#nowMs));
  }

  #joined(answer: JoinAnswer): string {
    if (answer.refused !== null) return `refused, ${answer.refused.fault}`;
    const members = answer.members.map(({ memberId }) => this.#name(memberId)).join(' ');
    const role = members === '' ? `follows ${this.#name(answer.leader)}` : `leads ${members}`;
    return `generation ${answer.generation}, ${answer.protocolName}, ${role}${answer.skipAssignment ? ', need not assign' : ''}`;
  }

  #sync(name: string, options: Options): void {
    const ask: Ask<SyncAnswer> = {
      answered: ({ refused, assignment }) => {
        const told = refused === null ? `gets "${Buffer.from(assignment).toString()}"` : `refused, ${refused.fault}`;
        this.#out.push(`${name} syncs: ${told}`);
      },
    };
    const work = Array.from(options).filter(
      ([key]) => key !== 'generation' && key !== 'instance' && this.#ids.has(key),
    );
    const request = {
      memberId: this.#id(name),
      instanceId: options.get('instance') ?? null,
      generation: this.#generation(options),
      protocolType: null,
      protocolName: null,
      assignments: work
        .filter(([, assignment]) => assignment !== '')
        .map(([member, assignment]) => ({ memberId: this.#id(member), assignment: Buffer.from(assignment) })),
    };
    this.#perform(this.#group.sync(ask, request, this.#nowMs));
  }

  #leave(names: readonly string[], options: Options): void {
    const instance = options.get('instance');
    const leavers =
      instance === undefined
        ? names.map((name) => ({ memberId: this.#id(name), instanceId: null }))
        : [{ memberId: '', instanceId: instance }];
    const { refusals, effects } = this.#group.leave(leavers, this.#nowMs);
    this.#out.push(...refusals.map((fault) => (fault === null ? 'left' : `refused: ${fault.fault}`)));
    this.#perform(effects);
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === 'answer') {
        (effect.ask.answered as (answer: object) => void)(effect.answer);
        continue;
      }
      this.#stores.push(effect);
      const record = effect.events[0] as ClassicGroupRecord & { type: 'classicGroup' };
      const work = record.members.map(
        ({ memberId, assignment }) => `${this.#name(memberId)}="${Buffer.from(assignment)}"`,
      );
      this.#out.push(`stores generation ${record.generation}: ${work.length === 0 ? 'empty' : work.join(' ')}`);
    }
  }

  #generation(options: Options): number {
    return Number(options.get('generation') ?? this.#group.generation);
  }

  #id(name: string): string {
    return this.#ids.get(name) ?? '';
  }

  #name(memberId: string): string {
    return Array.from(this.#ids).find(([, id]) => id === memberId)?.[0] ?? memberId;
  }
}

function ms(text: string): number {
  return Number(text.replace('s', '')) * 1000;
}

/** The script with what it really comes to: equal to the file, if all is as it says. */
export function played(text: string): string {
  const script = new ClassicScript();
  const lines: string[] = [];
  let expected = false;
  for (const line of text.split('\n')) {
    if (expected && line !== '') continue;
    expected = line === '----';
    lines.push(line);
    if (expected) {
      const from = lines.lastIndexOf('') + 1;
      const commands = lines.slice(from, -1).filter((each) => !each.startsWith('#'));
      lines.push(...commands.flatMap((command) => script.run(command).split('\n')));
    }
  }
  return lines.join('\n');
}
