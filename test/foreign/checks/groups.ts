import { setTimeout as sleep } from 'node:timers/promises';
import { Millrace } from '../../../src/client/millrace.ts';
import { type GroupClient, type GroupProtocol, groupClients } from '../clients/group-client.ts';
import { GroupMember } from '../group-member.ts';
import { Handled } from '../handled.ts';
import type { Suite } from '../suite.ts';

const PARTITIONS = 6;
/** To each partition at a time. */
const PAUSE_MS = 25;
const DOWN_MS = 500;
/** Longer than a session timeout and a broker's start on a busy machine. */
const PATIENCE_MS = 90_000;

/**
 * Members join, leave and are killed while a producer runs, and the broker is killed once: every record is handled at least once,
 * each member is given every partition's records in order, and none is stuck. The sets of one client run side by side.
 */
export async function checkGroups(suite: Suite): Promise<void> {
  for (const client of groupClients) {
    const name = `groups/${client.name}`;
    const protocols = client.protocols.filter((protocol) => suite.report.wants(`${name}/${protocol}`));
    const needed = client.needs ?? client.name;
    if (protocols.length === 0 || !suite.clients.some((one) => one.name === needed)) continue;
    await suite.report.check(
      `${name} (${protocols.join(', ')}) handles all, through churn and a kill of the broker`,
      () => churn(suite, client, protocols),
    );
  }
}

async function churn(suite: Suite, client: GroupClient, protocols: readonly GroupProtocol[]): Promise<string> {
  const { broker, topics } = suite;
  const sets = protocols.map((protocol) => new GroupSet(suite, client, protocol));
  for (const { topic } of sets) await topics.create(topic, PARTITIONS);
  const feed = new Feed(await Millrace.connect(broker.bootstrap, { clientId: 'feed' }), sets);
  const each = (step: (set: GroupSet) => Promise<void>): Promise<unknown> => Promise.all(sets.map(step));
  try {
    await each(async (set) => set.start('a'));
    await each((set) => set.allAtWork('the first member'));
    await each(async (set) => {
      set.start('b');
      set.start('c');
    });
    await each((set) => set.allAtWork('three members'));
    await each((set) => set.stop('b'));
    await each((set) => set.caughtUp('after one left'));
    await each((set) => set.kill('c'));
    await each((set) => set.caughtUp('after one was killed'));
    await each(async (set) => set.start('d'));
    await each((set) => set.allAtWork('a new member beside the old one'));
    await broker.kill();
    await sleep(DOWN_MS);
    await broker.restart();
    await each((set) => set.allAtWork('all after the broker was killed'));
    await feed.stop();
    await each((set) => set.caughtUp('at the end'));
    await each((set) => set.stop('a'));
    await each((set) => set.stop('d'));
    return sets.map((set) => set.remark()).join('; ');
  } finally {
    await feed.close();
    await each((set) => set.killAll());
    for (const { topic } of sets) await topics.delete(topic);
  }
}

/** The members of one group, and what they have handled of its topic. */
class GroupSet {
  readonly topic: string;
  readonly protocol: GroupProtocol;
  readonly #suite: Suite;
  readonly #client: GroupClient;
  readonly #handled = new Handled(PARTITIONS);
  readonly #members = new Map<string, GroupMember>();

  constructor(suite: Suite, client: GroupClient, protocol: GroupProtocol) {
    this.#suite = suite;
    this.#client = client;
    this.protocol = protocol;
    this.topic = `groups-${client.name.replaceAll(/[^a-z-]/g, '')}-${protocol}`;
  }

  start(name: string): void {
    const { topic, protocol } = this;
    const job = { bootstrap: this.#suite.broker.bootstrap, topic, group: topic, protocol };
    this.#members.set(name, new GroupMember(`member ${name} of ${topic}`, this.#client, job, this.#handled));
  }

  async stop(name: string): Promise<void> {
    await this.#take(name).stop();
  }

  async kill(name: string): Promise<void> {
    await this.#take(name).kill();
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#members.keys()].map((name) => this.kill(name)));
  }

  #take(name: string): GroupMember {
    const member = this.#members.get(name)!;
    this.#members.delete(name);
    return member;
  }

  /** Waits until every member has handled what was written after this moment. */
  async allAtWork(when: string): Promise<void> {
    const ends = await this.#ends();
    const isAtWork = ({ highest }: GroupMember): boolean =>
      [...highest].some(([partition, offset]) => offset >= ends[partition]!);
    await this.#until(when, () => {
      const idle = [...this.#members.values()].filter((member) => !isAtWork(member));
      return idle.length === 0 ? null : `no new record came to ${idle.map((one) => one.name).join(', ')}`;
    });
  }

  /** Waits until all that is written by now is handled. */
  async caughtUp(when: string): Promise<void> {
    const ends = await this.#ends();
    await this.#until(when, () => {
      const missing = this.#handled.missing(ends);
      return missing.length === 0 ? null : `nobody has handled ${missing.join(', ')} (partition:offset) and so on`;
    });
  }

  remark(): string {
    return `${this.protocol}: ${this.#handled.repeats} repeated`;
  }

  #ends(): Promise<number[]> {
    return this.#suite.topics.endsNext(this.topic, PARTITIONS);
  }

  /** Waits until there is nothing to complain of. */
  async #until(when: string, complaint: () => string | null): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      for (const member of this.#members.values()) member.check();
      const said = complaint();
      if (said === null) return;
      if (performance.now() > deadlineMs) throw new Error(`${this.topic}, ${when}: ${said}`);
      await sleep(50);
    }
  }
}

/** Writes a little to every partition of every topic all the time. */
class Feed {
  readonly #client: Millrace;
  #running = true;
  readonly #done: Promise<void>;

  constructor(client: Millrace, sets: readonly GroupSet[]) {
    this.#client = client;
    this.#done = this.#run(sets);
    // Whoever stops the feed hears of it.
    this.#done.catch(() => {});
  }

  async #run(sets: readonly GroupSet[]): Promise<void> {
    const producer = this.#client.producer<string, number>();
    for (let number = 0; this.#running; number += 1) {
      await producer.sendMany(
        sets.flatMap(({ topic }) =>
          Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition, value: number })),
        ),
      );
      await sleep(PAUSE_MS);
    }
    await producer.close();
  }

  /** Ends when all is stored. @throws Error what could not be */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async close(): Promise<void> {
    this.#running = false;
    await this.#client.close({ timeoutMs: 1000 });
  }
}
