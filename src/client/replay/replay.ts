import { sleep } from '../../base/clock.ts';
import { Fault } from '../../base/faults.ts';
import { type Prepared, plan, prepare, type ReplayClients } from './preparation.ts';
import { checkReplayOptions, type ReplayOptions, type ReplayPlan, type ReplayResult } from './replay-options.ts';
import { ReplayRun } from './replay-run.ts';

/** A late request of an ended run can be in the way of a new one; looking again finds what it stored. */
const ATTEMPTS = 3;
const ATTEMPT_PAUSE_MS = 1000;

/** Use the client's `replay`, whose faults these are. */
export async function replay<K, V>(options: ReplayOptions<K, V>, clients: ReplayClients): Promise<ReplayResult> {
  checkReplayOptions(options as unknown as ReplayOptions<never, never>);
  options.signal?.throwIfAborted();
  let prepared = await prepare(options, clients);
  if (prepared.state.done) return resultOf(prepared);
  for (let attempt = 1; ; attempt++) {
    const run = new ReplayRun(options, prepared, clients);
    try {
      return await run.run();
    } catch (error) {
      const mayHeal = error instanceof Fault && error.fault === 'replayDiverged' && error.cause instanceof Fault;
      if (!mayHeal || attempt === ATTEMPTS) throw error;
      await sleep(clients.source.side.cluster.clock, ATTEMPT_PAUSE_MS);
      prepared = { ...prepared, state: run.safe };
    }
  }
}

export function planReplay<K, V>(options: ReplayOptions<K, V>, clients: ReplayClients): Promise<ReplayPlan> {
  checkReplayOptions(options as unknown as ReplayOptions<never, never>);
  return plan(options, clients);
}

/** Of a replay that an earlier run ended. */
function resultOf({ state: { records, bytes, filtered, source } }: Prepared): ReplayResult {
  const total = source.reduce((sum, { startNext, endNext }) => sum + endNext - startNext, 0);
  const done = source.reduce((sum, { startNext, next }) => sum + next - startNext, 0);
  const partitions = source.map(({ partition, startNext: fromOffset, endNext: toOffset, next: nextOffset }) => ({
    partition,
    fromOffset,
    toOffset,
    nextOffset,
  }));
  return { records, bytes, filtered, offsetsDone: done, offsetsTotal: total, foundInTarget: 0, partitions };
}
