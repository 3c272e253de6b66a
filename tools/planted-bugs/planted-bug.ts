/** One change of the source that breaks a promise, and what of the harness must notice. */
export interface PlantedBug {
  /** How it is called in the document and with `--only`. */
  readonly name: string;
  /** What is wrong then, and what a user would come to see. */
  readonly wrong: string;
  readonly file: string;
  /** Text that the file has exactly once, and what takes its place. */
  readonly find: string;
  readonly replace: string;
  /** Each must fail; the first is the fastest. */
  readonly caughtBy: readonly [Catch, ...Catch[]];
}

export type Catch = CatchingTest | CatchingSimulation;

/** A test of the suite: its file, and its full name, with that of the `describe` around it before it. */
export interface CatchingTest {
  readonly kind: 'test';
  readonly file: string;
  readonly name: string;
  /** Whether it fails by waiting for what never comes: else one that comes to no end catches nothing. */
  readonly hangs: boolean;
}

export interface CatchingSimulation {
  readonly kind: 'simulation';
  readonly from: number;
  readonly seeds: number;
}

export function test(file: string, name: string): CatchingTest {
  return { kind: 'test', file: `test/${file}.test.ts`, name, hangs: false };
}

/** The same, of one that waits for what never comes then. */
export function hangingTest(file: string, name: string): CatchingTest {
  return { ...test(file, name), hangs: true };
}

/** Some runs of the whole broker: `npm run simulate`. */
export function simulation(from: number, seeds = 1): CatchingSimulation {
  return { kind: 'simulation', from, seeds };
}

export function describeCatch(by: Catch): string {
  if (by.kind === 'test') return `${by.file}: ${by.name}`;
  return `npm run simulate -- --seeds ${by.seeds} --from ${by.from}`;
}
