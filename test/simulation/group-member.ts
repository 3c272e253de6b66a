import type { SeededRandom } from '../seeded-random.ts';
import { Unanswered } from './client.ts';
import { errorName } from './error-names.ts';
import { type Answer, GroupReader } from './group-reader.ts';
import type { Membership, Place } from './history.ts';
import { oneIn } from './random-streams.ts';
import type { TopicPlan } from './topic-plans.ts';
import { rest, type WorkloadContext } from './workload.ts';

/** In virtual time. Short, so that a run has many of them. */
export const SESSION_TIMEOUT_MS = 800;
export const REBALANCE_TIMEOUT_MS = 1200;

/** Who a member is. */
export interface MemberSetup {
  readonly context: WorkloadContext;
  readonly random: SeededRandom;
  readonly group: string;
  readonly plans: readonly TopicPlan[];
  /** `group.instance.id`; null for a dynamic member. */
  readonly instance: string | null;
}

/** How a member's life ends: it says so, or it is killed; a static one may say that it will be back. */
export type MemberEnd = 'leave' | 'kill';

/** One process that is a member of a group, from its first join to its end, through whatever becomes of the broker. */
export abstract class GroupMember {
  protected readonly context: WorkloadContext;
  protected readonly random: SeededRandom;
  protected readonly reader: GroupReader;
  protected readonly setup: MemberSetup;
  protected memberId = '';
  #generation = -1;
  /** What it was in the generation before, which may be before it lost its place. */
  #before: Membership | null = null;
  #end: MemberEnd | null = null;
  #sleepsUntilMs = 0;
  #restMs = { min: 0, max: 100 };
  #wasAsleep = false;
  /** Was told that another process has its place. */
  protected isFenced = false;

  constructor(setup: MemberSetup) {
    this.setup = setup;
    this.context = setup.context;
    this.random = setup.random;
    this.reader = new GroupReader(setup.context, setup.random, setup.group, setup.plans);
  }

  get places(): readonly Place[] {
    return this.reader.places;
  }

  get hasJoined(): boolean {
    return this.generation >= 0;
  }

  protected get generation(): number {
    return this.#generation;
  }

  protected set generation(generation: number) {
    if (generation !== this.#generation && this.hasJoined) this.#before = this.as;
    this.#generation = generation;
  }

  protected get as(): Membership {
    const { group, instance } = this.setup;
    return { group, member: this.memberId, generation: this.generation, ...(instance === null ? {} : { instance }) };
  }

  /** Ends it, soon. */
  end(how: MemberEnd): void {
    this.#end ??= how;
  }

  /** It stops for a while in whatever it does, and then goes on as if nothing had been: a zombie, if that was too long. */
  pause(forMs: number): void {
    this.#sleepsUntilMs = this.context.scheduler.nowMs + forMs;
  }

  /** How long it rests from now on after each round of what it does. */
  slowDown(restMs: { readonly min: number; readonly max: number }): void {
    this.#restMs = restMs;
  }

  async run(): Promise<void> {
    while (this.#end === null && !this.isFenced) {
      await this.#wakeUp();
      if (!this.hasJoined) await this.join();
      else await this.#work();
      await this.context.scheduler.sleep(this.#restMs.min);
      await rest(this.context, this.random, this.#restMs.max - this.#restMs.min);
    }
    if (this.#end === 'leave' && this.hasJoined && !this.isFenced) await this.#leave();
    this.reader.hold([], this.as);
    this.reader.client.close();
  }

  async #wakeUp(): Promise<void> {
    const leftMs = this.#sleepsUntilMs - this.context.scheduler.nowMs;
    this.#wasAsleep = leftMs > 0;
    if (leftMs > 0) await this.context.scheduler.sleep(leftMs);
  }

  async #work(): Promise<void> {
    // Who has slept goes on where it was: with its commit, before it hears anything.
    if (this.#wasAsleep) await this.#take(await this.reader.commit(this.as, this.places, true));
    if (this.hasJoined && !this.#wasAsleep) await this.heartbeat();
    if (this.hasJoined && !oneIn(this.random, 3)) await this.#take(await this.reader.readOn(this.as));
    if (this.hasJoined && oneIn(this.random, 2)) await this.#take(await this.reader.commit(this.as));
    if (this.hasJoined && oneIn(this.random, 8)) await this.#commitLate();
  }

  /** A commit from before the last rebalance comes late, beside all that it does now. It does not listen to the answer. */
  async #commitLate(): Promise<void> {
    const before = this.#before;
    if (before === null || before.member !== this.memberId || before.generation >= this.generation) return;
    await this.reader.commit(before, this.places, true);
  }

  async #take(answer: Answer): Promise<void> {
    if (typeof answer === 'object') await this.refused(answer.error);
  }

  async #leave(): Promise<void> {
    if ((await this.reader.commit(this.as)) === 'unanswered') return;
    this.reader.hold([], this.as);
    const pending = this.context.history.invoke(this.reader.process, 'leave', this.as);
    try {
      const errorCode = await this.askToLeave();
      if (errorCode === 0) pending.ok({});
      else pending.fail(errorName(errorCode));
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      pending.info(error.message);
    }
  }

  /** It is no member any more, as far as it knows: it has nothing, and begins anew. */
  protected lost(): void {
    this.reader.hold([], this.as);
    this.generation = -1;
  }

  protected abstract join(): Promise<void>;
  protected abstract heartbeat(): Promise<void>;
  /** Returns the error code of the answer. */
  protected abstract askToLeave(): Promise<number>;
  /** A request was refused for what the member is. */
  protected abstract refused(error: string): Promise<void>;
}
