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
/** In the name of a segment that compaction is writing, or has just written. */
const INTERIM = '.log.cleaned-';
/** Turns of the event loop in which a pass of compaction ends. */
const TURNS_MAX = 2_000;

/** A folder with a compacted topic: several segments that compaction wrote, one with more than one block, and one that is written to. */
export async function prepareCompacted(): Promise<Folder> {
  const { opened, disk, stored, newest } = await openTopic();
  for (let step = 0; step < STEPS; step += 1) {
    await sendStep({ opened, stored, newest }, step, step === 3 ? LARGE_BYTES : 0);
    if (step === STEPS / 2) await compacted(opened, disk);
  }
  await compacted(opened, disk);
  await noteWhatIsLeft(opened, stored, newest);
  await opened.broker.close();
  return { name: 'compacted', files: disk.files(), stored };
}

/** A compacted topic of a process that was killed when the new segment counted and did not have its name yet. */
export async function prepareSwap(): Promise<Folder> {
  const { opened, disk, stored, newest } = await openTopic();
  for (let step = 0; step < STEPS / 2; step += 1) await sendStep({ opened, stored, newest }, step, 0);
  disk.fail({
    fault: 'EIO',
    of: (call, path) => call === 'rename' && path.endsWith('.log'),
    from: 0,
    forEver: true,
  });
  await compacted(opened, disk);
  await noteWhatIsLeft(opened, stored, newest);
  // With the journal, whose proofs tell that a log has lost its end.
  const files = disk.afterKill().files();
  if (![...files.keys()].some((path) => path.includes(INTERIM))) throw new Error('the new segment has its name');
  return { name: 'swapping', files, stored, damaged: (path) => path.startsWith('topics/') };
}

interface Topic {
  readonly opened: OpenedBroker;
  readonly stored: Stored;
  /** By key. */
  readonly newest: Map<string, string>;
}

async function openTopic(): Promise<Topic & { disk: SimulatedDisk }> {
  const stored = new Stored();
  const disk = new SimulatedDisk(new SeededRandom(9));
  const opened = await openOn(disk);
  stored.clusterId = opened.broker.identity.clusterId;
  await opened.broker.topics.create({ name: TOPIC, partitions: 1, replicationFactor: -1, settings: SETTINGS });
  return { opened, disk, stored, newest: new Map() };
}

async function sendStep({ opened, stored, newest }: Topic, step: number, bytes: number): Promise<void> {
  opened.clock.advance(150);
  const key = bytes > 0 ? 'large' : `key ${step % 5}`;
  const value = `${step}.${'x'.repeat(bytes)}`;
  newest.set(key, value);
  await send(opened, stored, TOPIC, 0, [value], { key, producerId: 7, sequence: step });
}

/** From here on it is what readers find now that must be there. */
async function noteWhatIsLeft(opened: OpenedBroker, stored: Stored, newest: Map<string, string>): Promise<void> {
  const log = opened.broker.topics.get(TOPIC).partition(0);
  const { values, refused } = await everythingIn(log, { lost: 0, missing: 0, broken: [] });
  const left = [...values.values()];
  const isWhole = refused.size === 0 && [...newest.values()].every((value) => left.includes(value));
  if (!isWhole || left.length >= stored.ofPartition(TOPIC, 0).length) throw new Error(`compaction left ${left}`);
  stored.records.set(TOPIC, [Array.from(values, ([offset, value]) => ({ offset, value }))]);
}

/** Lets time go by until compaction has come to the end of a pass. */
async function compacted({ clock }: OpenedBroker, disk: SimulatedDisk): Promise<void> {
  const [, before = Buffer.alloc(0)] = [...disk.files()].find(([path]) => path.endsWith('/compacted')) ?? [];
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    clock.advance(200);
    await new Promise((resolve) => setImmediate(resolve));
    const files = [...disk.files()];
    const isOver = disk.isFailing || !files.some(([path]) => path.includes(INTERIM));
    if (isOver && files.some(([path, bytes]) => path.endsWith('/compacted') && !bytes.equals(before))) return;
  }
  throw new Error('a pass of compaction does not end');
}
