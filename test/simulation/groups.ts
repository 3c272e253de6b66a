import type { SeededRandom } from '../seeded-random.ts';
import { ClassicMember } from './classic-member.ts';
import { ConsumerMember } from './consumer-member.ts';
import { GroupAdministrator } from './group-administrator.ts';
import type { GroupMember, MemberSetup } from './group-member.ts';
import { REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS } from './group-member.ts';
import type { Place } from './history.ts';
import { forgetsGroups } from './machine.ts';
import { oneIn, pick } from './random-streams.ts';
import type { TopicPlan } from './topic-plans.ts';
import { rest, type Workload, type WorkloadContext } from './workload.ts';

/** In mixed ones each member speaks one of the two protocols, so that the group migrates from one to the other and back. */
const MIXED_FLOWS = ['mixed eager', 'mixed cooperative'] as const;
const PURE_FLOWS = ['eager', 'cooperative', 'consumer'] as const;
type Flow = (typeof MIXED_FLOWS | typeof PURE_FLOWS)[number];

const HOUR_MS = 3_600_000;
const CLOCK_JUMPS_MS = [HOUR_MS, -HOUR_MS, 87_660 * HOUR_MS, -87_660 * HOUR_MS];
/** By then whoever is dead was missed, and those who live have their work. */
const SETTLING_MS = 2 * (SESSION_TIMEOUT_MS + REBALANCE_TIMEOUT_MS);
/** Members that come to rest. */
const CALM_MS = { min: 0, max: SESSION_TIMEOUT_MS / 2 };
/** Members that are heard just in time: whatever ends sessions early ends theirs. */
const SLOW_MS = { min: 0.7 * SESSION_TIMEOUT_MS, max: 0.8 * SESSION_TIMEOUT_MS };
const LEAPS = 4;

/** A group of one flow, and all who are or were its members. */
class SimulatedGroup {
  readonly name: string;
  readonly #context: WorkloadContext;
  readonly #random: SeededRandom;
  readonly #flow: Flow;
  readonly #plans: readonly TopicPlan[];
  #members = 0;
  /** Until then nobody is a member: what is only done to an empty group can be done. */
  #closedUntilMs = 0;

  constructor(context: WorkloadContext, flow: Flow, plans: readonly TopicPlan[]) {
    this.name = `${flow} group`;
    this.#context = context;
    this.#random = context.streams.of(this.name);
    this.#flow = flow;
    this.#plans = plans;
  }

  get places(): Place[] {
    return this.#plans.flatMap(({ name: topic, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
    );
  }

  /** Places in the group, each taken by one process after the other, until it is over. */
  async run(): Promise<void> {
    const slots = 2 + this.#random.below(2);
    await Promise.all(Array.from({ length: slots }, (_, slot) => this.#occupy(slot)));
  }

  async #occupy(slot: number): Promise<void> {
    const random = this.#context.streams.of(`${this.name} ${slot}`);
    const instance = oneIn(random, 3) ? `${this.name} instance ${slot}` : null;
    const zombies: Promise<void>[] = [];
    await rest(this.#context, random, 500);
    while (!this.#context.isOver()) {
      while (this.#isClosed && !this.#context.isOver()) await rest(this.#context, random, 300);
      const member = this.#newMember(instance);
      const running = member.run();
      let isRunning = true;
      void running.then(() => {
        isRunning = false;
      });
      const untilMs = this.#context.scheduler.nowMs + 300 + random.below(3_000);
      while (isRunning && !this.#isClosed && !this.#context.isOver() && this.#context.scheduler.nowMs < untilMs) {
        await rest(this.#context, random, 300);
      }
      if (this.#isClosed) member.end('leave');
      else if (oneIn(random, 8)) this.#closedUntilMs = this.#context.scheduler.nowMs + 2 * SESSION_TIMEOUT_MS;
      // One that sleeps beyond its session has a successor before it wakes.
      if (oneIn(random, 2)) member.pause(SESSION_TIMEOUT_MS * (1 + random.below(3)));
      else member.end(pick(random, ['leave', 'kill']));
      zombies.push(this.#endLater(member, running, random));
      if (instance === null || oneIn(random, 2)) await rest(this.#context, random, 600);
    }
    await Promise.all(zombies);
  }

  get #isClosed(): boolean {
    return this.#context.scheduler.nowMs < this.#closedUntilMs;
  }

  /** After its pause it lives on a while beside its successor. */
  async #endLater(member: GroupMember, running: Promise<void>, random: SeededRandom): Promise<void> {
    const untilMs = this.#context.scheduler.nowMs + SESSION_TIMEOUT_MS * 4;
    while (!this.#context.isOver() && this.#context.scheduler.nowMs < untilMs) await rest(this.#context, random, 500);
    member.end(pick(random, ['leave', 'kill']));
    await running;
  }

  #newMember(instance: string | null): GroupMember {
    const name = `${this.name} member ${this.#members++}`;
    const random = this.#context.streams.of(name);
    const [context, group, plans] = [this.#context, this.name, this.#plans];
    const setup: MemberSetup = { context, random, group, plans, instance };
    const isConsumer = this.#flow === 'consumer' || (this.#flow.startsWith('mixed') && oneIn(random, 2));
    if (isConsumer) return new ConsumerMember(setup);
    return new ClassicMember(setup, this.#flow.endsWith('eager') ? 'eager' : 'cooperative');
  }

  /** Left alone, members come to rest with an owner for each partition, whatever the time of day does meanwhile. */
  async comeToRest(): Promise<void> {
    const { scheduler, wall } = this.#context;
    const members = Array.from({ length: 2 + this.#random.below(2) }, () => this.#newMember(null));
    const running = members.map((member) => member.run());
    for (const member of members) member.slowDown(CALM_MS);
    await scheduler.sleep(SETTLING_MS);
    await this.#stayQuiet(async () => {
      for (const member of members) member.slowDown(SLOW_MS);
      for (let leap = 0; leap < LEAPS; leap += 1) {
        wall.jump(pick(this.#random, CLOCK_JUMPS_MS));
        await scheduler.sleep(SESSION_TIMEOUT_MS);
      }
    });
    // One that dies is missed, though the clock tells that no time has passed since it was heard.
    members[0]!.end('kill');
    await running[0];
    wall.jump(-HOUR_MS);
    await scheduler.sleep(SETTLING_MS);
    await this.#stayQuiet(() => Promise.resolve());
    wall.setRight();
    for (const member of members) member.end('leave');
    await Promise.all(running);
  }

  async #stayQuiet(meanwhile: () => Promise<void>): Promise<void> {
    const { history, newProcess } = this.#context;
    const quiet = history.invoke(newProcess(), 'quiet', { group: this.name, places: this.places });
    await meanwhile();
    quiet.ok({});
  }
}

/** Groups of each protocol on topics of their own, members of all fates, and somebody who looks after their offsets. */
export function groupWorkload(): Workload {
  const groups: SimulatedGroup[] = [];
  let administrator: GroupAdministrator;
  return {
    name: 'groups',
    async prepare(context) {
      const random = context.streams.of('groups');
      const client = context.connect('group topics');
      const process = context.newProcess();
      const plans: TopicPlan[] = [];
      for (const partitions of [2, 3]) {
        const plan = await context.topics.create(client, process, 'kept', partitions);
        if (plan === null) throw new Error('a topic for groups could not be made though nothing disturbed it');
        plans.push(plan);
      }
      client.close();
      const mixed = pick(random, MIXED_FLOWS);
      const others = PURE_FLOWS.toSpliced(random.below(PURE_FLOWS.length), 1);
      // As many as there is time for.
      const flows = oneIn(random, 4) ? [...others, mixed] : [pick(random, others), mixed];
      for (const flow of flows) groups.push(new SimulatedGroup(context, flow, plans));
      for (const { name: group } of forgetsGroups(context.streams) ? groups : []) {
        context.history.invoke(process, 'mayForget', { group });
      }
      administrator = new GroupAdministrator(context, groups, plans);
    },
    async run() {
      await Promise.all([...groups.map((group) => group.run()), administrator.run()]);
    },
    async finish(context) {
      await administrator.readAll();
      await Promise.all(groups.map((group) => group.comeToRest()));
      if (oneIn(context.streams.of('expiry'), 4)) await administrator.letExpire();
      administrator.close();
    },
  };
}
