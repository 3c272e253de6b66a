import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { Fault, isFault } from './base/faults.ts';
import { decodeMessagePack } from './base/message-pack.ts';
import { systemRandom } from './base/random.ts';
import { isUuid } from './base/shape.ts';
import { type ClusterEvent, ClusterState } from './broker/cluster-state.ts';
import { IDENTITY_FILE, loadIdentity } from './broker/identity.ts';
import type { Disk, DiskLock } from './disk/disk.ts';
import { OverlayDisk } from './disk/overlay-disk.ts';
import { realDisk } from './disk/real-disk.ts';
import { checkPresence } from './ledger/ledger.ts';
import { CHECKPOINT_FILE } from './log/checkpoint.ts';
import { Segment } from './log/segment.ts';
import { type ScannedPiece, scanSegment } from './log/segment-scan.ts';
import { walkBatches } from './log/segment-walk.ts';
import { recordsOf } from './record/records.ts';
import { type Finding, findingOf, type LogProofs, StoredProofs } from './stored-proofs.ts';

/** The files of one log. */
export interface StoredLog {
  readonly kind: 'partition' | 'ledger';
  /** For people: `orders-0`, or the folder where no topic is known. */
  readonly label: string;
  /** Null for a ledger, and where the name cannot be found out. */
  readonly topic: string | null;
  /** Null for a ledger. */
  readonly partition: number | null;
  /** Relative to the disk's root. */
  readonly folder: string;
  /** Whether the broker's own records know it, and it has no files. */
  readonly isLost: boolean;
  readonly segments: readonly Segment[];
  readonly proofs: LogProofs;
  /** False when only one file of the log was named. */
  readonly isWhole: boolean;
  /** Whether offsets may be missing in any segment: of files that are not Millrace's nothing is known. */
  readonly mayHaveGaps: boolean;
  readonly indexIntervalBytes: number;
}

/**
 * Files at rest, to be looked into and never changed. Of Millrace's, the logs have what the journal has of them, as they would
 * after a start; it is written over them in memory.
 */
export interface StoppedFolder {
  readonly disk: OverlayDisk;
  /** Where the files of the broker lie; null when they are not Millrace's. */
  readonly root: string | null;
  /** Whether the broker is kept out. */
  readonly isLocked: boolean;
  /** What is wrong with the broker's own records and the journal. */
  readonly findings: readonly Finding[];
  readonly journal: StoredProofs['journal'];
  /** Why no broker starts on it, where that is since files are gone. */
  readonly refusal: Fault | null;
  /** By topic and partition, then ledgers. None when there is no log at the place that was named. */
  readonly logs: readonly StoredLog[];
  /** What could not be found out, one sentence each. */
  readonly warnings: readonly string[];
  /** Gives the folder back to its broker. */
  close(): Promise<void>;
}

export type { ScannedPiece };

/** Kafka's default. */
const INDEX_INTERVAL_BYTES = 4096;
/** Folders that are gone, as many as are named. */
const NAMED_MAX = 20;
const CLUSTER_LEDGER = path.join('ledger', 'cluster');
const GROUPS_LEDGER = path.join('ledger', 'groups');
const SEGMENT_FILE = /^(\d{20})\.(?:log|index|timeindex)$/;
const PARTITION_FOLDER = /^topics[/\\]([^/\\]+)[/\\](\d+)$/;
const LEDGER_FOLDER = /^ledger[/\\][^/\\]+$/;

/**
 * Opens a data folder, a folder in it or one file of a log. Of Millrace's, the broker is kept out until `close`; those of an
 * Apache Kafka are read as well, but nobody is kept out of them. @throws Fault folderInUse, folderTooNew, diskError
 */
export async function openStoppedFolder(given: string): Promise<StoppedFolder> {
  const target = path.resolve(given);
  const isFile = statSync(target, { throwIfNoEntry: false })?.isFile() === true;
  const innermost = isFile ? path.dirname(target) : target;
  const root = dataFolderAbove(innermost);
  const disk = new OverlayDisk(realDisk(root ?? innermost));
  const warnings: string[] = [];
  const findings: Finding[] = [];
  const lock = root === null ? null : await takeLock(disk, root, { warnings, findings });
  try {
    const only = isFile ? SEGMENT_FILE.exec(path.basename(target))?.[1] : undefined;
    const namesFile = isFile && only === undefined;
    const proofs = await StoredProofs.read(disk, root !== null, findings);
    const cluster = root === null ? null : await readCluster(disk, proofs, warnings);
    const folders = namesFile ? [] : logFolders(root, innermost);
    const lost = root === null ? [] : await lostFolders(disk, proofs, cluster!);
    const lostHere = namesFile ? [] : lost.filter((folder) => isWithin(folder, path.relative(root!, innermost)));
    const logs = await Promise.all(
      [...new Set([...folders, ...lostHere])].map((folder) =>
        storedLog(disk, folder, { only, cluster, proofs, isLost: lostHere.includes(folder) }),
      ),
    );
    return {
      disk,
      root,
      isLocked: lock !== null,
      findings,
      journal: proofs.journal,
      refusal: await refusalFor(disk, lost),
      logs: logs
        .filter(({ segments, isLost, proofs: { proven } }) => segments.length > 0 || isLost || proven !== null)
        .sort(byPlace),
      warnings,
      async close() {
        for (const segment of logs.flatMap((log) => log.segments)) await segment.close();
        await lock?.release();
      },
    };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

/** Every byte of one of its segments in order: see `scanSegment`. */
export function piecesOf(log: Pick<StoredLog, 'mayHaveGaps'>, segment: Segment): AsyncGenerator<ScannedPiece> {
  return scanSegment(segment, { hasGaps: log.mayHaveGaps });
}

/** Also one that has lost its identity: its ledger of the cluster tells, or the topics' folders, which are named by ids. */
function dataFolderAbove(folder: string): string | null {
  for (let at = folder; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, IDENTITY_FILE)) || existsSync(path.join(at, CLUSTER_LEDGER))) return at;
    const topics = path.join(at, 'topics');
    if (statSync(topics, { throwIfNoEntry: false })?.isDirectory() && readdirSync(topics).some(isUuid)) return at;
    if (at === path.dirname(at)) return null;
  }
}

async function takeLock(
  disk: Disk,
  root: string,
  { warnings, findings }: { warnings: string[]; findings: Finding[] },
): Promise<DiskLock | null> {
  let lock: DiskLock | null = null;
  try {
    lock = await disk.lock('lock');
    if (lock === null) throw new Fault('folderInUse', { detail: root });
  } catch (error) {
    // A folder that we cannot write to, or that no broker would start on, can be looked into all the same.
    if (!isFault(error, 'readOnlyDisk')) throw error;
    warnings.push('the folder cannot be locked; make sure that no broker uses it');
  }
  try {
    await loadIdentity(disk, systemRandom);
  } catch (error) {
    const { fault } = error as Partial<Fault>;
    if (fault === 'damagedMetadata' || fault === 'diskError') findings.push(findingOf(error, IDENTITY_FILE));
    else {
      await lock?.release();
      throw error;
    }
  }
  return lock;
}

/** The folders, relative to the disk's root, in which logs may lie; of those of a data folder only the ones named. */
function logFolders(root: string | null, innermost: string): string[] {
  // Apache Kafka keeps partitions side by side, in folders named by topic and partition.
  if (root === null) return ['.', ...foldersIn(innermost)];
  const all = [
    ...foldersIn(path.join(root, 'topics')).flatMap((topic) =>
      foldersIn(path.join(root, 'topics', topic)).map((partition) => path.join('topics', topic, partition)),
    ),
    ...foldersIn(path.join(root, 'ledger')).map((name) => path.join('ledger', name)),
  ];
  const named = path.relative(root, innermost);
  return all.filter((folder) => isWithin(folder, named));
}

function isWithin(folder: string, named: string): boolean {
  return named === '' || folder === named || folder.startsWith(named + path.sep);
}

/** The folders of logs that must be there and have no files. Where there are topics, there was a ledger that knew them. */
async function lostFolders(disk: Disk, proofs: StoredProofs, cluster: ClusterState): Promise<string[]> {
  const hasTopics = (await disk.list('topics')).length > 0;
  const lost: string[] = [];
  const ledger = { folder: CLUSTER_LEDGER, isMade: hasTopics };
  for (const { folder, isMade } of [ledger, ...foldersKnownBy(cluster)]) {
    const names = await disk.list(folder);
    // With a checkpoint it is a log that lacks its files, which is found as that.
    if (names.some((name) => name.endsWith('.log') || name === CHECKPOINT_FILE)) continue;
    // The journal takes nothing for a log before its folder is there.
    if (isMade || (await proofs.of(folder)).proven !== null) lost.push(folder);
  }
  return lost;
}

/** Folders of logs that the cluster ledger knows, and whether it knows that they are made. */
function* foldersKnownBy({ topics, partitionsMade, groupsMade }: ClusterState) {
  for (const { id, partitions } of topics.values()) {
    for (let i = 0; i < partitions; i += 1) {
      yield { folder: path.join('topics', id, String(i)), isMade: i < (partitionsMade.get(id) ?? 0) };
    }
  }
  yield { folder: GROUPS_LEDGER, isMade: groupsMade };
}

async function refusalFor(disk: Disk, lost: readonly string[]): Promise<Fault | null> {
  const gone: string[] = [];
  // An empty one is made anew.
  for (const folder of lost) if ((await disk.size(folder)) === null) gone.push(folder.replaceAll('\\', '/'));
  if (gone.length > 0) {
    const named = gone.length > NAMED_MAX ? `${gone.slice(0, NAMED_MAX).join(', ')} and more` : gone.join(', ');
    return new Fault('damagedMetadata', { detail: `the files of ${named} are gone; put them back from a backup` });
  }
  try {
    await checkPresence(disk, 'ledger/cluster', (await disk.list('topics')).length === 0);
    return null;
  } catch (error) {
    if (error instanceof Fault && error.fault === 'damagedMetadata') return error;
    throw error;
  }
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

async function storedLog(
  disk: Disk,
  folder: string,
  context: {
    readonly only?: string | undefined;
    readonly cluster: ClusterState | null;
    readonly proofs: StoredProofs;
    readonly isLost?: boolean;
  },
): Promise<StoredLog> {
  const { isLost = false, only, cluster, proofs } = context;
  const proofsOfLog = await proofs.of(folder);
  const segments: Segment[] = [];
  for (const name of await disk.list(folder)) {
    const base = SEGMENT_FILE.exec(name)?.[1];
    if (base === undefined || !name.endsWith('.log') || (only !== undefined && base !== only)) continue;
    const sizeBytes = (await disk.size(path.join(folder, name))) ?? 0;
    const compacted = proofsOfLog.compacted.get(Number(base)) ?? null;
    segments.push(new Segment(disk, folder, Number(base), sizeBytes, 0, compacted));
  }
  const [, id, number] = PARTITION_FOLDER.exec(folder) ?? [];
  const record = id === undefined ? undefined : cluster?.topics.get(id);
  const kafka = cluster === null ? /^(.+)-(\d+)$/.exec(folder) : null;
  const topic = record?.name ?? kafka?.[1] ?? null;
  const partition = number ?? kafka?.[2];
  return {
    kind: LEDGER_FOLDER.test(folder) ? 'ledger' : 'partition',
    label: topic === null ? folder : `${topic}-${partition}`,
    topic,
    partition: partition === undefined ? null : Number(partition),
    folder,
    isLost,
    segments,
    proofs: proofsOfLog,
    isWhole: only === undefined,
    indexIntervalBytes: Number(
      record?.settings['index.interval.bytes'] ??
        cluster?.brokerSettings.get('log.index.interval.bytes') ??
        INDEX_INTERVAL_BYTES,
    ),
    mayHaveGaps: cluster === null,
  };
}

function byPlace(a: StoredLog, b: StoredLog): number {
  if (a.kind !== b.kind) return a.kind === 'partition' ? -1 : 1;
  const [nameA, nameB] = [a.topic ?? a.folder, b.topic ?? b.folder];
  return nameA === nameB ? (a.partition ?? 0) - (b.partition ?? 0) : nameA < nameB ? -1 : 1;
}

/** What the cluster ledger tells of topics and settings. It is read as it lies, without the repairs of a broker's start. */
async function readCluster(disk: Disk, proofs: StoredProofs, warnings: string[]): Promise<ClusterState> {
  const state = new ClusterState(new Map());
  const ledger = await storedLog(disk, CLUSTER_LEDGER, { cluster: state, proofs });
  try {
    for (const segment of ledger.segments) {
      await walkBatches(segment, 0, (batch) => {
        for (const { value } of recordsOf(batch)) {
          const event = decodeMessagePack(value!) as ClusterEvent;
          state.check(event);
          state.apply(event);
        }
        return true;
      });
    }
  } catch (error) {
    warnings.push(`not all names of topics can be read from ${ledger.folder}: ${(error as Error).message}`);
  } finally {
    for (const segment of ledger.segments) await segment.close();
  }
  return state;
}
