import { Session } from 'node:inspector';

/*
 * How often the blocks of our own code ran: work that does not hang on how fast, or how busy, a machine is. The engine counts, as
 * it does for test coverage. Import this before the code that is counted: what was compiled before is not counted in full.
 */
const session = new Session();
session.connect();
post('Profiler.enable');
post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

interface Coverage {
  result: { url: string; functions: { ranges: { count: number }[] }[] }[];
}

function post<Result>(method: string, params: object = {}): Result {
  let answer: unknown;
  // Answers of one's own process come before post returns.
  session.post(method, params, (error, result) => {
    if (error !== null) throw error;
    answer = result;
  });
  return answer as Result;
}

/** Block runs in src/ while an action runs. */
export function workOf(action: () => void): number {
  // Each look begins anew.
  blockRuns();
  action();
  return blockRuns();
}

function blockRuns(): number {
  const { result } = post<Coverage>('Profiler.takePreciseCoverage');
  let runs = 0;
  for (const { url, functions } of result) {
    if (!url.includes('/src/') || url.includes('node_modules')) continue;
    for (const { ranges } of functions) for (const { count } of ranges) runs += count;
  }
  return runs;
}
