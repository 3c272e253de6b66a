import { loadChecksum } from '../../src/log/checksum.ts';
import { SimulatedDisk } from '../disk/simulated-disk.ts';
import { SeededRandom } from '../seeded-random.ts';
import { prepareCompacted, prepareSwap } from './compacted-folder.ts';
import { commit, everythingIn, makeTopic, type OpenedBroker, openOn, Stored, send } from './stored.ts';

/** A data folder at rest, and what its users were told is in it. */
export interface Folder {
  readonly name: string;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly stored: Stored;
  /** Which files are to be damaged. Default all. */
  readonly damaged?: (path: string) => boolean;
}

const PRODUCER_ID = 7;

/** Sends to two topics, with a producer that numbers its batches, and commits for a group. */
async function work(opened: OpenedBroker, stored: Stored, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i += 1) {
    opened.clock.advance(i === from ? from * 150 : 150);
    await send(opened, stored, 'orders', 0, [`a${i}`, `b${i}`], { producerId: PRODUCER_ID, sequence: i * 2 });
    await send(opened, stored, i % 3 === 0 ? 'clicks' : 'orders', i % 3 === 0 ? 0 : 1, [`c${i}`]);
    // The journal's checksum is loaded by the machine, not by the simulated disk.
    await new Promise((resolve) => setImmediate(resolve));
    if (i % 4 === 0) await commit(opened, stored, 'readers', 'orders', i);
  }
}

/**
 * Folders that hold files of every kind: one of a clean stop; one of a killed process, of which the page cache is whole; one
 * after a power cut, of which the journal alone has the youngest records; one with a compacted topic; and one in
 * which compaction was about to put a segment in the place of others.
 */
export async function prepareFolders(): Promise<Folder[]> {
  // Loaded by another thread, in a time of its own: the folders of two threads would differ.
  await loadChecksum();
  const random = new SeededRandom(5);
  const stored = new Stored();
  let disk = new SimulatedDisk(random);
  let opened = await openOn(disk);
  stored.clusterId = opened.broker.identity.clusterId;
  await makeTopic(opened, stored, 'orders', 2);
  await makeTopic(opened, stored, 'clicks', 1);
  await makeTopic(opened, stored, 'gone', 1);
  await send(opened, stored, 'gone', 0, ['x']);
  await opened.broker.changeSettings(new Map([['log.retention.bytes', '77000']]));
  await work(opened, stored, 0, 6);
  // An end that leaves a torn tail behind, which the next start puts into quarantine.
  disk = disk.afterKill();
  await tear(disk, opened);
  opened = await openOn(disk);
  await opened.broker.topics.delete('gone');
  stored.records.delete('gone');
  stored.deletedTopics.add('gone');
  await work(opened, stored, 6, 14);
  const killed = { name: 'killed', files: disk.files(), stored: copyOfStored(stored) };
  await work(opened, stored, 20, 3);
  const powerless = disk.afterPowerCut('nothing');
  const cut = { name: 'power cut', files: powerless.files(), stored: copyOfStored(stored) };
  opened = await openOn(powerless, 2);
  await work(opened, stored, 23, 2);
  await makeTopic(opened, stored, 'rotten', 1);
  for (const value of ['before', 'lost', 'after']) await send(opened, stored, 'rotten', 0, [value]);
  await opened.broker.close();
  await rot(powerless, stored);
  return [
    { name: 'stopped', files: powerless.files(), stored },
    killed,
    cut,
    await prepareCompacted(),
    await prepareSwap(),
  ];
}

/** Damages a record and lets a reader come upon it, so that the list of damaged places is there. */
async function rot(disk: SimulatedDisk, stored: Stored): Promise<void> {
  const opened = await openOn(disk);
  const log = opened.broker.topics.get('rotten').partition(0);
  const [segment] = log.segments;
  disk.flip(segment!.logPath, Math.floor(segment!.sizeBytes / 2), 1);
  const { refused } = await everythingIn(log, { lost: 0, missing: 0, broken: [] });
  if (refused.size !== 1) throw new Error('the damage was not found');
  await opened.broker.close();
  stored.records.set('rotten', [stored.ofPartition('rotten', 0).filter(({ value }) => value !== 'lost')]);
}

async function tear(disk: SimulatedDisk, { broker }: OpenedBroker): Promise<void> {
  const { segments } = broker.topics.get('orders').partition(0);
  const active = segments.at(-1)!;
  const file = await disk.open(active.logPath, 'write');
  await file.write([Buffer.from('a write that a crash has torn')], active.sizeBytes);
  await file.close();
}

export function copyOfStored(stored: Stored): Stored {
  const copy = new Stored();
  copy.clusterId = stored.clusterId;
  for (const [topic, partitions] of stored.records)
    copy.records.set(
      topic,
      partitions.map((records) => [...records]),
    );
  for (const topic of stored.deletedTopics) copy.deletedTopics.add(topic);
  for (const [key, offset] of stored.offsets) copy.offsets.set(key, offset);
  for (const [key, batch] of stored.lastBatches) copy.lastBatches.set(key, batch);
  return copy;
}
