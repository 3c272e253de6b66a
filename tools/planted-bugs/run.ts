// Plants each bug of the list in a copy of the project, one at a time, and sees whether the harness catches it:
//   npm run planted-bugs -- [--only <text of a name>] [--jobs 2] [--every] [--sample <number> --seed <seed>] [--write]
import { availableParallelism } from 'node:os';
import { countOf, optionsOf, refuse } from '../../test/proof-options.ts';
import { writePage } from '../generate-docs.ts';
import { failuresWithoutBug, missed } from './catching.ts';
import { CopiedTree, placesOf } from './copied-tree.ts';
import { bugsNamed } from './list.ts';
import { type Catch, describeCatch, type PlantedBug } from './planted-bug.ts';

const COMPILE_TIME_LIMIT_MS = 3 * 60_000;

const options = optionsOf({
  /** Those bugs alone whose names contain this. */
  only: { type: 'string', default: '' },
  /** Bugs planted at once, each in a copy of its own. */
  jobs: { type: 'string', default: String(availableParallelism()) },
  /** Runs all that is to catch a bug, not only the first. */
  every: { type: 'boolean', default: false },
  /** So many of them, chosen by the seed. */
  sample: { type: 'string' },
  seed: { type: 'string', default: '1' },
  /** Writes docs/planted-bugs.md, if all were caught. */
  write: { type: 'boolean', default: false },
});
const jobs = countOf('jobs', options.jobs);
const sample = options.sample === undefined ? null : countOf('sample', options.sample);
const seed = countOf('seed', options.seed, 0);

process.exitCode = await run();

async function run(): Promise<number> {
  const bugs = chosen();
  const lost = bugs.filter((bug) => placesOf(bug) !== 1);
  for (const { name, file, find } of lost) console.error(`${name}: ${file} does not have, or has twice: ${find}`);
  if (lost.length > 0) return 1;
  const trees = Array.from({ length: Math.min(jobs, bugs.length) }, () => new CopiedTree());
  try {
    const complaint = (await complaintOfTypes(trees[0]!, bugs)) ?? (await complaintOfHarness(trees[0]!, bugs));
    if (complaint !== null) {
      console.error(complaint);
      return 1;
    }
    const queue = [...bugs];
    let caught = 0;
    const work = async (tree: CopiedTree): Promise<void> => {
      for (let bug = queue.shift(); bug !== undefined; bug = queue.shift()) {
        if (await isCaught(tree, bug)) caught += 1;
      }
    };
    await Promise.all(trees.map(work));
    console.log(`${caught} of ${bugs.length} caught`);
    if (caught < bugs.length) return 1;
    if (options.write) await writePage('docs/planted-bugs.md');
    return 0;
  } finally {
    for (const tree of trees) tree.remove();
  }
}

function chosen(): readonly PlantedBug[] {
  const bugs = bugsNamed(options.only);
  if (bugs.length === 0) refuse(`--only: no bug has ${JSON.stringify(options.only)} in its name`);
  if (sample === null) return bugs;
  // Spread over the list, whose neighbours are of one part: each seed begins elsewhere.
  const stride = Math.max(1, Math.floor(bugs.length / sample));
  return bugs.filter((_, i) => i % stride === seed % stride).slice(0, sample);
}

function catchesOf({ caughtBy }: PlantedBug): readonly Catch[] {
  return options.every ? caughtBy : caughtBy.slice(0, 1);
}

/** All of the harness must be green while nothing is wrong. */
async function complaintOfHarness(tree: CopiedTree, bugs: readonly PlantedBug[]): Promise<string | null> {
  const startedMs = performance.now();
  const distinct = [...new Map(bugs.flatMap(catchesOf).map((by) => [describeCatch(by), by])).values()];
  const failures = await failuresWithoutBug(tree, distinct, jobs);
  if (failures !== null) return `without a bug:\n${failures}`;
  console.log(`${distinct.length} tests and simulations are green without a bug (${seconds(startedMs)})`);
  return null;
}

/** Bugs that do not compile would be caught by every test. As many at once as are in files of their own. */
async function complaintOfTypes(tree: CopiedTree, bugs: readonly PlantedBug[]): Promise<string | null> {
  const startedMs = performance.now();
  for (let left = [...bugs]; left.length > 0; ) {
    const round = [...new Map(left.toReversed().map((bug) => [bug.file, bug])).values()];
    left = left.filter((bug) => !round.includes(bug));
    const { exitCode, output } = await tree.with(round, () => tree.run('tsc', ['--noEmit'], COMPILE_TIME_LIMIT_MS));
    if (exitCode !== 0) return `does not compile with ${round.map(({ name }) => name).join(', ')}\n${output}`;
  }
  console.log(`all of them compile (${seconds(startedMs)})`);
  return null;
}

async function isCaught(tree: CopiedTree, bug: PlantedBug): Promise<boolean> {
  const startedMs = performance.now();
  const complaints = await tree.with([bug], async () => {
    const found: string[] = [];
    for (const by of catchesOf(bug)) {
      const why = await missed(tree, by);
      if (why !== null) found.push(`${describeCatch(by)}\n    ${why}`);
    }
    return found;
  });
  console.log(`${complaints.length === 0 ? 'caught' : 'MISSED'}  ${bug.name} (${seconds(startedMs)})`);
  for (const complaint of complaints) console.log(`  ${complaint}`);
  return complaints.length === 0;
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}
