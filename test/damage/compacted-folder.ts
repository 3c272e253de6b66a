import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { Folder } from './folders.ts';
import { everythingIn, type OpenedBroker, openOn, SMALL_SEGMENTS, Stored, send } from './stored.ts';

const TOPIC = 'state';
const SETTINGS = new Map([
  ...SMALL_SEGMENTS,
  ['cleanup.policy', 'compact'],
  ['min.cleanable.dirty.ratio', '0'],
  // One segment is filled by the large record: what comes after it becomes another.
  ['segment.bytes', '17500'],
]);
/** Larger than a block of a .sums file, so that there is one of several. */
const LARGE_BYTES = 16_500;
const STEPS = 40;
/** Turns of the event loop in which a pass of compaction ends. */
const TURNS_MAX = 2_000;

/** A folder with a compacted topic: several segments that compaction wrote, one with more than one block, and one that is written to. */
export async function prepareCompacted(): Promise<Folder> {
  const stored = new Stored();
  const disk = new SimulatedDisk(new SeededRandom(9));
  const opened = await openOn(disk);
  stored.clusterId = opened.broker.identity.clusterId;
  await opened.broker.topics.create({ name: TOPIC, partitions: 1, replicationFactor: -1, settings: SETTINGS });
  const newest = new Map<string, string>();
  for (let step = 0; step < STEPS; step += 1) {
    opened.clock.advance(150);
    const key = step === 3 ? 'large' : `key ${step % 5}`;
    const value = `${step}.${step === 3 ? 'x'.repeat(LARGE_BYTES) : ''}`;
    newest.set(key, value);
    await send(opened, stored, TOPIC, 0, [value], { key, producerId: 7, sequence: step });
    if (step === STEPS / 2) await compacted(opened, disk);
  }
  await compacted(opened, disk);
  const log = opened.broker.topics.get(TOPIC).partition(0);
  const { values, refused } = await everythingIn(log, { lost: 0, missing: 0, broken: [] });
  const isWhole = refused.size === 0 && [...newest.values()].every((value) => [...values.values()].includes(value));
  if (!isWhole || values.size >= STEPS) throw new Error(`compaction left ${[...values.values()]}`);
  stored.records.set(TOPIC, [Array.from(values, ([offset, value]) => ({ offset, value }))]);
  await opened.broker.close();
  return { name: 'compacted', files: disk.files(), stored };
}

/** Lets time go by until compaction has come to the end of a pass. */
async function compacted({ clock }: OpenedBroker, disk: SimulatedDisk): Promise<void> {
  const [, before = Buffer.alloc(0)] = [...disk.files()].find(([path]) => path.endsWith('/compacted')) ?? [];
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    clock.advance(200);
    await new Promise((resolve) => setImmediate(resolve));
    const files = [...disk.files()];
    const isOver = !files.some(([path]) => path.includes('.cleaned-'));
    if (isOver && files.some(([path, bytes]) => path.endsWith('/compacted') && !bytes.equals(before))) return;
  }
  throw new Error('a pass of compaction does not end');
}
