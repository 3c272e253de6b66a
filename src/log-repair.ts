import type { Clock } from './base/clock.ts';
import { Fault } from './base/faults.ts';
import type { Logger } from './base/logger.ts';
import { systemRandom } from './base/random.ts';
import { loadIdentity } from './broker/identity.ts';
import type { Disk } from './disk/disk.ts';
import { type OverlayChange, OverlayDisk } from './disk/overlay-disk.ts';
import { realDisk } from './disk/real-disk.ts';
import { IndexCheck } from './index-check.ts';
import { writeProofs } from './log/journal-proofs.ts';
import { JournalReplay } from './log/journal-replay.ts';
import { writeProducers } from './log/producer-snapshot.ts';
import type { QuarantinedPlace } from './log/quarantine.ts';
import { type RecoveredLog, recoverLog } from './log/recovery.ts';
import { readSealedCache } from './log/sealed-file.ts';
import type { Segment } from './log/segment.ts';
import { segmentName } from './log/segment-files.ts';
import { damageIn, scanSegment } from './log/segment-scan.ts';
import { readSums } from './log/segment-sums.ts';
import type { StoredLog } from './stopped-folder.ts';
import type { Finding } from './stored-proofs.ts';

/** What is told of one thing that was done, as a broker would log it. */
export interface Told {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly facts: object;
}

export interface RepairedLog {
  readonly log: StoredLog;
  /** The offset after its last record. */
  readonly endNext: number;
  /** Bytes of a crash's torn tail, now in `quarantine/`. */
  readonly cutBytes: number;
  /** Damaged places: their bytes stay where they are, and readers may be led past them. */
  readonly damaged: readonly QuarantinedPlace[];
  readonly told: readonly Told[];
}

export interface Repair {
  /** What is told of the journal. */
  readonly journal: readonly Told[];
  readonly logs: readonly RepairedLog[];
  /** Every file that is made, changed, moved or removed: first those that hold records, last the caches. */
  readonly changes: readonly OverlayChange[];
}

export interface RepairOptions {
  readonly dryRun: boolean;
  readonly nowMs: number;
  /** Whether these are all logs of the folder. */
  readonly areAllLogs: boolean;
}

/**
 * Does to the logs of a stopped folder what the next start would do, reads all of them for damage, and makes their caches
 * right. First in memory: what stands in the way is found before anything is done, and all that `dryRun` leaves undone is known.
 * @throws Fault damagedMetadata, and those of the disk
 */
export async function repair(root: string, logs: readonly StoredLog[], options: RepairOptions): Promise<Repair> {
  const overlay = new OverlayDisk(realDisk(root));
  const planned = await repairLogs(overlay, logs, options);
  const changes = (await overlay.changes()).sort((one, other) => weightOf(one) - weightOf(other));
  if (options.dryRun || changes.length === 0) return { ...planned, changes };
  return { ...(await repairLogs(realDisk(root), logs, options)), changes };
}

/** The less, the more it matters to who looks for records. */
function weightOf({ path }: OverlayChange): number {
  if (/\/quarantine\/|\.log$/.test(path)) return 0;
  return /\.(index|timeindex|producers|sums)$/.test(path) ? 2 : 1;
}

async function repairLogs(
  disk: Disk,
  logs: readonly StoredLog[],
  { nowMs, areAllLogs }: RepairOptions,
): Promise<Omit<Repair, 'changes'>> {
  await loadIdentity(disk, systemRandom);
  const journal: Told[] = [];
  const replay = await JournalReplay.read(disk, tellingTo(journal));
  const repaired: RepairedLog[] = [];
  for (const log of logs) repaired.push(await new LogRepair(disk, log, nowMs).run(replay));
  await replay.keepTorn();
  // All logs are proven by now. What the journal lacks was told, and is no news for the next start.
  if (replay.isIncomplete && areAllLogs) {
    const { generation, lastNumber } = replay.found;
    await writeProofs(disk, { releasedBefore: generation + 1, logs: {}, firstNumber: lastNumber + 1, inUse: {} });
  }
  return { journal, logs: repaired };
}

class LogRepair {
  readonly #disk: Disk;
  readonly #log: StoredLog;
  readonly #clock: Clock;
  readonly #told: Told[] = [];

  constructor(disk: Disk, log: StoredLog, nowMs: number) {
    this.#disk = disk;
    this.#log = log;
    // It stands still, so that what is kept aside is named as it was planned.
    this.#clock = { wallMs: () => nowMs, monotonicMs: () => 0, after: () => () => {} };
  }

  async run(replay: JournalReplay): Promise<RepairedLog> {
    const { folder, kind, indexIntervalBytes } = this.#log;
    const context = { disk: this.#disk, clock: this.#clock, logger: tellingTo(this.#told), replay, mustKeepTorn: true };
    const settings = { indexIntervalBytes, mustBeWhole: kind === 'ledger' };
    const damagedSums = await this.#damagedSums();
    const recovered = await recoverLog(context, folder.replaceAll('\\', '/'), settings);
    try {
      for (const segment of recovered.segments) {
        await this.#quarantine(recovered, segment);
        await this.#mendIndex(segment, segment === recovered.segments.at(-1));
        await this.#mendProducers(recovered, segment);
        // Whoever reads the segment makes them again.
        if (damagedSums.has(segment.sumsPath)) {
          this.#tell('the checksums of a compacted segment were damaged; they are made again', {
            file: segment.sumsPath,
          });
        }
      }
    } finally {
      for (const segment of recovered.segments) await segment.close();
    }
    const { endNext, cutBytes, quarantine } = recovered;
    return { log: this.#log, endNext, cutBytes, damaged: quarantine.places, told: this.#told };
  }

  async #damagedSums(): Promise<Set<string>> {
    const damaged = new Set<string>();
    for (const segment of this.#log.segments) {
      if (segment.compacted === null) continue;
      const sums = await readSums(this.#disk, segment, segment.sumsPath);
      if (sums === 'damaged') damaged.add(segment.sumsPath);
    }
    return damaged;
  }

  /** Notes all damage there is, so that readers need not come upon it. @throws Fault damagedMetadata for that of a ledger */
  async #quarantine(
    { segments, logStart, endNext, epochs, quarantine }: RecoveredLog,
    segment: Segment,
  ): Promise<void> {
    const damaged = await damageIn(segment, {
      endNext: segments[segments.indexOf(segment) + 1]?.baseOffset ?? endNext,
      hasGaps: this.#log.mayHaveGaps,
      epochsAt: (offset) => epochs.knownAt(offset),
    });
    for (const damage of damaged) {
      if (damage.nextOffset <= logStart) continue;
      if (this.#log.kind === 'ledger') {
        const { position, what } = damage;
        const where = `${segment.logPath} at byte ${position}: ${what}`;
        throw new Fault('damagedMetadata', { detail: `${where}; put the ledger back from a backup` });
      }
      await quarantine.add(segment, damage);
    }
  }

  /** Writes an index again that says wrong, or that a finished segment lacks. */
  async #mendIndex(segment: Segment, isActive: boolean): Promise<void> {
    const check = await IndexCheck.of(this.#disk, segment);
    for await (const { batch, position } of scanSegment(segment, { hasGaps: this.#log.mayHaveGaps })) {
      if (batch !== null) check.note(batch, position);
    }
    check.end();
    const isWrong =
      check.files.some(({ unusable }) => unusable !== null) || check.entries.some(({ wrong }) => wrong !== null);
    const isMissing = check.files.length < 2 && !isActive;
    if (!isWrong && !isMissing) return;
    for (const { path } of check.files) await this.#disk.remove(path);
    await segment.rest();
    await segment.index.write();
    this.#tell(`an index ${isWrong ? 'was wrong' : 'was missing'}; it is built again`, { file: segment.logPath });
  }

  /** Removes a snapshot of producers that is not what was written; that of the end is written again. */
  async #mendProducers({ segments, endNext, producers }: RecoveredLog, segment: Segment): Promise<void> {
    if ((await readSealedCache(this.#disk, segment.producersPath)) !== 'damaged') return;
    await this.#disk.remove(segment.producersPath);
    const place = { nextOffset: endNext, position: segment.sizeBytes };
    if (segment === segments.at(-1)) await writeProducers(this.#disk, segment, producers.snapshot(), place);
    this.#tell('a snapshot of the producers was damaged; the log says the same', { file: segment.producersPath });
  }

  #tell(message: string, facts: object): void {
    this.#told.push({ level: 'info', message, facts });
  }
}

/** The damaged places of a log, as verify tells of them. */
export function findingsOf({ log, damaged }: RepairedLog): Finding[] {
  return damaged.map(({ segmentBase, position, what }) => {
    return { kind: 'damage', file: `${log.folder}/${segmentName(segmentBase)}.log`, position, what };
  });
}

function tellingTo(told: Told[]): Logger {
  const note =
    (level: Told['level']) =>
    (facts: object, message: string): void =>
      void told.push({ level, message, facts });
  return { debug() {}, info: note('info'), warn: note('warn'), error: note('error') };
}
