import { Fault } from '../../src/base/faults.ts';
import { loadChecksum } from '../../src/log/checksum.ts';
import { type FailingCall, type Failure, POWER_CUTS, type PowerCut, SimulatedDisk } from '../disk/simulated-disk.ts';
import { count } from '../long-run.ts';
import { SeededRandom } from '../seeded-random.ts';
import { History } from './history.ts';
import { type OpenedBroker, openOn } from './stored.ts';

/**
 * What a call fails in: two lives of a broker, with a stop between them; or the start after the process was killed in the middle
 * of writes, of which the journal and the logs have torn ends, and what a broker does then.
 */
const SCRIPTS = ['two lives', 'recovery'] as const;
type Script = (typeof SCRIPTS)[number];

/** The truncation is a write's second thought: in a life in which all goes well there is none. */
const FAILING_CALLS: readonly FailingCall[] = [
  'open',
  'read',
  'write',
  'sync',
  'rename',
  'remove',
  'syncFolder',
  'folder',
];
const CALLS_OF = { 'two lives': FAILING_CALLS, recovery: [...FAILING_CALLS, 'truncate'] } as const;
/** What takes a failed write back fails with these, too. */
const TRUNCATION_FAULTS = ['EIO', 'ENOSPC'] as const;

const FAULTS: readonly Failure['fault'][] = ['EIO', 'ENOSPC', 'EMFILE'];

/** Turns of the event loop, and time on a busy machine, after which what has not come never will. */
const TURNS_MAX = 5_000;
const HANG_MS = 20_000;
/** Of each life of the script. */
const STEPS = 14;

/** Waits while time goes on; what takes for ever is found out. */
async function settled<T>(work: Promise<T>, clock?: OpenedBroker['clock']): Promise<T> {
  let isSettled = false;
  const end = (): void => {
    isSettled = true;
  };
  work.then(end, end);
  const startMs = performance.now();
  for (let turn = 0; !isSettled; turn += 1) {
    if (turn > TURNS_MAX && performance.now() - startMs > HANG_MS) throw new Error('hangs');
    await new Promise((resolve) => setImmediate(resolve));
    clock?.advance(5);
  }
  return work;
}

/** A refusal is to be expected of a disk that fails; anything else is a bug. */
async function refusedOrDone(work: Promise<unknown>, clock: OpenedBroker['clock']): Promise<void> {
  try {
    await settled(work, clock);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
  }
}

/** What the script is told of the disk. */
interface Watch {
  /** Whether a sync after which the broker must stop has failed since it was opened. */
  syncFailed: boolean;
}

/** All that a broker does with a disk, twice: topics, records, commits, rolls, deletions, retention, and a stop between. */
async function script(disk: SimulatedDisk, history: History, watch: Watch): Promise<void> {
  // Loaded by another thread, in a time of its own: the first script of a process would go another way.
  await loadChecksum();
  for (let life = 0; life < 2; life += 1) {
    const opened = await openedOrNull(disk);
    watch.syncFailed = false;
    if (opened === null) continue;
    const { broker, clock } = opened;
    const does = async (work: () => Promise<unknown>): Promise<void> => {
      const [{ acks }, { syncFailed }] = [history, watch];
      await refusedOrDone(work(), clock);
      if (syncFailed && history.acks > acks) throw new Error('acknowledged after a failed sync');
    };
    if (life === 0) {
      await does(() => history.makeTopic(opened, 'orders', 2));
      await does(() => history.makeTopic(opened, 'clicks', 1));
    }
    for (let step = 0; step < STEPS; step += 1) {
      await does(() =>
        allSettled([
          history.send(opened, 'orders', 0),
          history.send(opened, 'orders', 1, step % 2 === 0 ? 1 : -1),
          history.send(opened, 'clicks', 0),
          history.commit(opened, 'readers', 'orders'),
        ]),
      );
      clock.advance(step % 5 === 4 ? 1500 : 100);
      if (step === 8) await does(() => history.trim(opened, 'orders', 9 + life * 20));
      if (step === 3) await does(() => history.makeTopic(opened, `extra${life}`, 1));
      if (step === 10) await does(() => history.deleteTopic(opened, `extra${life}`));
    }
    // A look of the retention, which finds nothing over its limit.
    clock.advance(30_000);
    await does(() => history.send(opened, 'clicks', 0));
    if (life === 0) await does(() => broker.close());
  }
}

/** What a broker leaves that is killed while it writes: the page cache is whole, and the ends of its files are not. */
async function killedInWrites(history: History): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk(new SeededRandom(1));
  await script(disk, history, { syncFailed: false });
  const next = disk.afterKill();
  const names = [...next.files().keys()];
  const lastOf = (pattern: RegExp): string[] => {
    const found = names.filter((name) => pattern.test(name)).sort();
    return [...Map.groupBy(found, (name) => name.slice(0, name.lastIndexOf('/'))).values()].map((some) => some.at(-1)!);
  };
  for (const path of lastOf(/^topics\/.*\.log$/)) {
    const file = await next.open(path, 'write');
    await file.write([Buffer.from('a write that was not done')], await file.size());
    await file.close();
  }
  return next;
}

/** A start that has much to mend, and a little work after it. */
async function recoveryScript(disk: SimulatedDisk, history: History, watch: Watch): Promise<void> {
  const opened = await openedOrNull(disk);
  watch.syncFailed = false;
  if (opened === null) return;
  const { clock } = opened;
  for (let step = 0; step < 3; step += 1) {
    const { acks } = history;
    const { syncFailed } = watch;
    const sends = [0, 1].map((partition) => history.send(opened, 'orders', partition));
    await refusedOrDone(allSettled([...sends, history.commit(opened, 'readers', 'orders')]), clock);
    if (syncFailed && history.acks > acks) throw new Error('acknowledged after a failed sync');
    clock.advance(1500);
  }
}

/** Runs a script on a disk of its own, of which `fail` lets a call fail; returns that disk. */
async function run(
  name: Script,
  history: History,
  watch: Watch,
  fail: (disk: SimulatedDisk) => void,
): Promise<SimulatedDisk> {
  const disk = name === 'recovery' ? await killedInWrites(history) : new SimulatedDisk(new SeededRandom(1));
  fail(disk);
  await (name === 'recovery' ? recoveryScript : script)(disk, history, watch);
  return disk;
}

/** Waits for all. @throws what is no Fault */
async function allSettled(works: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) {
    if (outcome.status === 'rejected' && !(outcome.reason instanceof Fault)) throw outcome.reason;
  }
}

/** As whoever runs it does: when a start is refused, it is tried once more. */
async function openedOrNull(disk: SimulatedDisk): Promise<OpenedBroker | null> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      return await settled(openOn(disk, attempt));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
  }
  return null;
}

export type CallCounts = ReadonlyMap<Script, ReadonlyMap<FailingCall, number>>;

/** How often each call is made when none fails. */
export async function countCalls(): Promise<CallCounts> {
  const all = new Map<Script, ReadonlyMap<FailingCall, number>>();
  for (const script of SCRIPTS) {
    const counts = new Map<FailingCall, number>(CALLS_OF[script].map((call) => [call, 0]));
    const of = (call: FailingCall): boolean => {
      if (counts.has(call)) counts.set(call, counts.get(call)! + 1);
      return false;
    };
    const history = new History();
    await run(script, history, { syncFailed: false }, (disk) =>
      disk.fail({ fault: 'EIO', of, from: 0, forEver: true }),
    );
    const expected = 2 * (STEPS * 4 + 1) + (script === 'recovery' ? 9 : 0);
    if (history.acks !== expected) throw new Error(`only ${history.acks} acknowledged on a sound disk`);
    all.set(script, counts);
  }
  return all;
}

export interface FailingState {
  readonly script: Script;
  readonly call: FailingCall;
  readonly nth: number;
  readonly fault: Failure['fault'];
  readonly forEver: boolean;
  /** What the truncation fails with that is to take a failed write back; null: it succeeds. */
  readonly truncation: (typeof TRUNCATION_FAULTS)[number] | null;
  readonly end: PowerCut | 'kill';
}

/** Every state there is: each call of the script, failed in each way, and each end in turn. */
export function* failingStates(all: CallCounts): Generator<FailingState> {
  let turn = 0;
  const ends = ['kill', ...POWER_CUTS] as const;
  for (const [script, counts] of all) {
    for (const [call, times] of counts) {
      for (let nth = 0; nth < times; nth += 1) {
        for (const fault of FAULTS) {
          for (const forEver of [false, true]) {
            const state = { script, call, nth, fault, forEver, end: ends[turn++ % ends.length]! };
            yield { ...state, truncation: null };
            if (call !== 'write' || forEver) continue;
            for (const truncation of TRUNCATION_FAULTS) yield { ...state, truncation };
          }
        }
      }
    }
  }
}

export function textOf({ script, call, nth, fault, forEver, truncation, end }: FailingState): string {
  const which = `${script}: ${call} ${nth} ${fault} ${forEver ? 'for ever' : 'once'}`;
  return `${which}${truncation === null ? '' : `, each truncation after it ${truncation}`}, then ${end}`;
}

const CAME_ABOUT = 'the failure came about';

/** Tries a state; counts it by its kind. @throws Error what breaks the promise */
export async function tryState(state: FailingState, counts: Map<string, number>): Promise<void> {
  const { script, call, fault, forEver } = state;
  count(counts, `${script}: ${call} ${fault} ${forEver ? 'for ever' : 'once'}`);
  if ((await runState(state)) > 0) count(counts, CAME_ABOUT);
}

/** What was to take place in the states that were counted, and did not. */
export function missingCalls(counts: ReadonlyMap<string, number>): string[] {
  let states = 0;
  for (const [what, times] of counts) if (what !== CAME_ABOUT) states += times;
  // The last of them may come in one run and not in another: a round is shared by what arrives in time.
  return (counts.get(CAME_ABOUT) ?? 0) > states * 0.9 ? [] : [`${CAME_ABOUT} in nine of ten states`];
}

/**
 * One run of the script in which a call fails, then the end, a sound disk and another start; more is sent then, and it
 * is started once more. Returns how often the failure came about. @throws Error what breaks the promise
 */
async function runState(state: FailingState): Promise<number> {
  const history = new History();
  const watch: Watch = { syncFailed: false };
  let hits = (): number => 0;
  const disk = await run(state.script, history, watch, (sound) => {
    hits = failOn(sound, state, watch);
  });
  disk.heal();
  const { end } = state;
  const next = end === 'kill' ? disk.afterKill() : disk.afterPowerCut(end);
  const opened = await settled(openOn(next, 3));
  const broken = await history.judge(opened, end === 'kill' ? 'the process' : 'power');
  if (broken.length > 0) throw new Error(broken.slice(0, 4).join('; '));
  if (opened.broker.topics.find('orders') !== null) await settled(history.send(opened, 'orders', 0), opened.clock);
  await settled(opened.broker.close(), opened.clock);
  const again = await settled(openOn(next, 4));
  const brokenLater = await history.judge(again, 'power');
  if (brokenLater.length > 0) throw new Error(`at the start after it: ${brokenLater.slice(0, 4).join('; ')}`);
  return hits();
}

function failOn(
  disk: SimulatedDisk,
  { call: failing, nth, fault, forEver, truncation }: FailingState,
  watch: Watch,
): () => number {
  let seen = 0;
  let hits = 0;
  const isSync = failing === 'sync' || failing === 'syncFolder';
  const of = (call: FailingCall, path: string): boolean => {
    if (call !== failing) return false;
    const fails = forEver ? seen >= nth : seen === nth;
    seen += 1;
    if (fails) hits += 1;
    // One that finds no room is survived where a file is replaced as a whole; a folder that cannot be opened was not synced.
    if (fails && ((call === 'sync' && path.endsWith('.log')) || (isSync && fault === 'EIO'))) watch.syncFailed = true;
    return fails;
  };
  disk.fail({ fault, of, from: 0, forEver: true });
  const takesBack = (call: FailingCall): boolean => call === 'truncate' && hits > 0;
  if (truncation !== null) disk.fail({ fault: truncation, of: takesBack, from: 0, forEver: true });
  return () => hits;
}
