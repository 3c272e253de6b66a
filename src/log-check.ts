import { Fault, isFault } from './base/faults.ts';
import type { Disk } from './disk/disk.ts';
import { IndexCheck } from './index-check.ts';
import { CHECKPOINT_IS_GONE, mustHaveCheckpoint } from './log/checkpoint.ts';
import { LeaderEpochs } from './log/leader-epochs.ts';
import { readSealedCache } from './log/sealed-file.ts';
import type { Segment } from './log/segment.ts';
import type { DamagedBytes } from './log/segment-scan.ts';
import { readSums } from './log/segment-sums.ts';
import { baseOffset, isControl, leaderEpoch, nextOffset } from './record/batch.ts';
import { recordsOfAsync } from './record/records.ts';
import { RecordsDigest } from './records-digest.ts';
import { piecesOf, type ScannedPiece, type StoppedFolder, type StoredLog } from './stopped-folder.ts';
import { type Finding, findingOf, type Proven } from './stored-proofs.ts';

export interface LogReport {
  readonly log: StoredLog;
  readonly batches: number;
  /** Of users: the broker's own markers are not counted. */
  readonly records: number;
  readonly bytes: number;
  /** Records before it were deleted, though their file may still be there. */
  readonly logStart: number;
  /** The first offset by the batches that are sound, and the next one; null when there is none. */
  readonly firstOffset: number | null;
  readonly offsetNext: number | null;
  /** XXH64 of the records that are sound; see records-digest.ts. */
  readonly digest: string;
  /** Bytes that only the journal has, and that the next start writes into the files. */
  readonly bytesInJournal: number;
  /** Bytes of the files that are other than the journal's, which the next start writes over them. */
  readonly bytesDiffering: number;
  /** What was cut off, or found damaged, and is kept aside. */
  readonly quarantine: readonly { readonly file: string; readonly bytes: number }[];
  readonly findings: readonly Finding[];
}

/** Reads all of a log's files and holds them against each other: batches, offsets, leader epochs, indexes, what is proven. */
export async function checkLog(folder: StoppedFolder, log: StoredLog): Promise<LogReport> {
  const check = new LogCheck(log, await RecordsDigest.create());
  for (const segment of log.segments) await check.segment(folder, segment);
  const paths = new Set(log.segments.map(({ logPath }) => logPath.replaceAll('\\', '/')));
  const changes = (await folder.disk.changes()).filter(({ path }) => paths.has(path));
  const bytesInJournal = changes.reduce((sum, one) => sum + (one.bytesAfter ?? 0) - (one.bytesBefore ?? 0), 0);
  const bytesDiffering = changes.reduce((sum, { bytesReplaced }) => sum + bytesReplaced, 0);
  return { ...check.report(), bytesInJournal, bytesDiffering, quarantine: await quarantineOf(folder, log) };
}

async function quarantineOf({ disk }: StoppedFolder, log: StoredLog): Promise<LogReport['quarantine']> {
  const kept: { file: string; bytes: number }[] = [];
  for (const name of await disk.list(`${log.folder}/quarantine`)) {
    const file = `${log.folder}/quarantine/${name}`;
    kept.push({ file, bytes: (await disk.size(file)) ?? 0 });
  }
  return kept;
}

class LogCheck {
  readonly #log: StoredLog;
  readonly #epochs: LeaderEpochs;
  readonly #findings: Finding[];
  readonly #digest: RecordsDigest;
  #batches = 0;
  #records = 0;
  #firstOffset: number | null = null;
  #offsetNext: number | null = null;
  /** What the next batch must begin with; null where damage before it leaves that open. */
  #expectedOffset: number | null;
  #provenPlaceSeen = false;
  /** How much of a segment's file was read. */
  #readUpTo = 0;
  #latestEpoch: number;
  /** Where the next start ends the log, and what it cuts off; null when it has found no reason to. */
  #cut: { segment: Segment; position: number; what: string; bytes: number; soundBatches: number } | null = null;

  constructor(log: StoredLog, digest: RecordsDigest) {
    this.#log = log;
    this.#epochs = new LeaderEpochs(log.proofs.checkpoint?.epochs);
    this.#latestEpoch = this.#epochs.latest;
    this.#findings = [...log.proofs.findings];
    this.#digest = digest;
    this.#expectedOffset = log.segments[0]?.baseOffset ?? null;
  }

  /** What the disk cannot read is told as damage, and ends the look at its file. */
  async segment({ disk }: StoppedFolder, segment: Segment): Promise<void> {
    this.#readUpTo = 0;
    try {
      await this.#segment(disk, segment);
    } catch (error) {
      if (!isFault(error, 'diskError')) throw error;
      this.#findings.push({ ...findingOf(error, segment.logPath), position: this.#readUpTo });
      // Nobody can tell what it holds.
      this.#expectedOffset = null;
      if (this.#log.proofs.proven?.segmentBase === segment.baseOffset) this.#provenPlaceSeen = true;
    }
  }

  async #segment(disk: Disk, segment: Segment): Promise<void> {
    // Also an empty one, which would not be read.
    await (await disk.open(segment.logPath, 'read')).close();
    const index = await IndexCheck.of(disk, segment);
    // Before the segment is read: what is damaged is made again then.
    if (segment.compacted !== null && (await readSums(disk, segment, segment.sumsPath)) === 'damaged') {
      this.#add('cache', segment.sumsPath, null, 'it is not what compaction wrote; it is made again from the log');
    }
    this.#checkBase(segment);
    for await (const { position, batch, damage } of piecesOf(this.#log, segment)) {
      this.#readUpTo = position + (batch?.length ?? damage!.bytes);
      this.#checkPlace(segment, position);
      if (damage === null) index.note(batch, position);
      this.#considerCut(segment, position, { batch, damage });
      if (this.#cut !== null) {
        this.#cut.bytes += batch?.length ?? damage!.bytes;
        if (batch !== null) this.#cut.soundBatches += 1;
      } else if (damage !== null) this.#damaged(segment, damage);
      else await this.#sound(segment, batch, position);
    }
    this.#checkPlace(segment, segment.sizeBytes);
    index.end();
    if ((await readSealedCache(disk, segment.producersPath)) === 'damaged') {
      this.#add('cache', segment.producersPath, null, 'it is not what was written; the log says the same');
    }
    for (const { path, unusable } of index.files) if (unusable !== null) this.#add('cache', path, null, unusable);
    for (const { kind, entry, offset, wrong } of index.entries) {
      const path = kind === 'offset' ? segment.index.offsetsPath : segment.index.timesPath;
      if (wrong !== null) this.#add('cache', path, null, `entry ${entry}, offset ${offset}: ${wrong}`);
    }
  }

  report(): Omit<LogReport, 'bytesInJournal' | 'bytesDiffering' | 'quarantine'> {
    const { segments } = this.#log;
    this.#checkStart();
    this.#tellCut();
    this.#checkProvenPlace();
    return {
      log: this.#log,
      batches: this.#batches,
      records: this.#records,
      bytes: segments.reduce((sum, segment) => sum + segment.sizeBytes, 0),
      logStart: Math.max(segments[0]?.baseOffset ?? 0, this.#log.proofs.checkpoint?.logStart ?? 0),
      firstOffset: this.#firstOffset,
      offsetNext: this.#offsetNext && Math.max(this.#offsetNext, segments.at(-1)!.baseOffset),
      digest: this.#digest.end(),
      findings: this.#findings,
    };
  }

  /** Nobody can tell whether the records before the oldest file were deleted: on a full disk they go before the checkpoint says so. */
  #checkStart(): void {
    const { folder, segments, isWhole, mayHaveGaps, proofs } = this.#log;
    const startsAt = segments[0]?.baseOffset;
    // One that is damaged is told of by itself.
    if (startsAt === undefined || !isWhole || mayHaveGaps || proofs.isCheckpointDamaged) return;
    if (proofs.checkpoint === null) {
      // An empty one that others follow is what a roll left that failed.
      const held = segments.filter((segment, i) => segment.sizeBytes > 0 || i === segments.length - 1);
      if (mustHaveCheckpoint(held)) this.#add('damage', folder, null, CHECKPOINT_IS_GONE);
      return;
    }
    const { logStart } = proofs.checkpoint;
    if (startsAt <= logStart) return;
    const what = `it starts with offset ${startsAt}, later than its checkpoint says, ${logStart}: records were deleted on a full disk, or a log file is lost`;
    this.#add('damage', folder, null, what);
  }

  #checkProvenPlace(): void {
    const { isLost, folder, proofs } = this.#log;
    const { proven } = proofs;
    if (isLost) this.#add('damage', folder, null, 'the broker’s own records know it, and its files are gone');
    if (isLost || proven === null || this.#provenPlaceSeen) return;
    const segment = this.#log.segments.find((one) => one.baseOffset === proven.segmentBase);
    if (segment === undefined && !this.#log.isWhole) return;
    const place = `byte ${proven.position} of segment ${proven.segmentBase}`;
    const found =
      segment === undefined ? 'no such file' : `${segment.sizeBytes} bytes, and no batch that starts or ends there`;
    this.#add('damage', this.#proofFile(proven), null, `all is durable up to ${place}; found ${found}`);
  }

  /** Past the proven end a start takes what follows on without a break, and cuts off the rest: so does this. */
  #considerCut(segment: Segment, position: number, { batch, damage }: Pick<ScannedPiece, 'batch' | 'damage'>): void {
    if (this.#cut !== null || !this.#isPastProven(segment, position)) return;
    let what: string;
    if (batch === null) what = damage!.what;
    else if (this.#expectedOffset !== null && baseOffset(batch, 0) !== this.#expectedOffset) {
      what = `expected offset ${this.#expectedOffset}, found ${baseOffset(batch, 0)}`;
    } else if (leaderEpoch(batch, 0) < this.#latestEpoch) {
      what = `expected leader epoch ${this.#latestEpoch} or later, found ${leaderEpoch(batch, 0)}`;
    } else return;
    this.#cut = { segment, position, what, bytes: 0, soundBatches: 0 };
  }

  /** Whether nothing says that these bytes are durable, of a log of which all files are as the start finds them. */
  #isPastProven(segment: Segment, position: number): boolean {
    const { segments, isWhole, mayHaveGaps, proofs } = this.#log;
    if (!isWhole || mayHaveGaps || proofs.isCheckpointDamaged) return false;
    if (proofs.proven === null) return true;
    const isProvenPlaceThere = this.#provenPlaceSeen || proofs.proven.segmentBase < segments[0]!.baseOffset;
    return isProvenPlaceThere && this.#isUnproven(segment, position, 0);
  }

  #tellCut(): void {
    if (this.#cut === null) return;
    const { segment, position, what, bytes, soundBatches } = this.#cut;
    // A crash leaves this as well, where it kept a later write and not an earlier one; a disk that changed a byte since does.
    const [kind, sentence] =
      soundBatches === 0
        ? (['torn', `${bytes} bytes past the proven end are no whole batch (${what})`] as const)
        : ([
            'damage',
            `${bytes} bytes past the proven end do not go on (${what}), and ${soundBatches} sound batches are among them; the next start takes all of it for a torn write, cuts it off and keeps it in quarantine; records that were acknowledged may be lost`,
          ] as const);
    this.#add(kind, segment.logPath, position, sentence);
  }

  async #sound(segment: Segment, batch: Buffer, position: number): Promise<void> {
    this.#checkOffset(segment, batch, position);
    const epoch = this.#epochs.at(baseOffset(batch, 0));
    const isProven = baseOffset(batch, 0) < (this.#log.proofs.checkpoint?.durableNext ?? 0);
    if (isProven && epoch >= 0 && epoch !== leaderEpoch(batch, 0)) {
      this.#add('damage', segment.logPath, position, `expected leader epoch ${epoch}, found ${leaderEpoch(batch, 0)}`);
    }
    if (!isProven) this.#latestEpoch = Math.max(this.#latestEpoch, leaderEpoch(batch, 0));
    this.#batches += 1;
    this.#firstOffset ??= baseOffset(batch, 0);
    this.#offsetNext = nextOffset(batch, 0);
    this.#expectedOffset = this.#offsetNext;
    if (isControl(batch, 0)) return;
    try {
      for (const record of await recordsOfAsync(batch)) {
        this.#digest.add(record);
        this.#records += 1;
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#add('damage', segment.logPath, position, error.message);
    }
  }

  /** A segment's name says what comes before it, also that of an empty one. */
  #checkBase(segment: Segment): void {
    const { segments, mayHaveGaps, proofs } = this.#log;
    const expected = this.#expectedOffset;
    const base = segment.baseOffset;
    if (expected === null || base <= expected || base > (proofs.proven?.segmentBase ?? -1)) return;
    this.#expectedOffset = base;
    const before = segments[segments.indexOf(segment) - 1];
    if (mayHaveGaps || before?.hasGaps === true || base <= (proofs.checkpoint?.logStart ?? 0)) return;
    this.#missing(segment, 0, expected, base);
  }

  #checkOffset(segment: Segment, batch: Buffer, position: number): void {
    const expected = this.#expectedOffset;
    const found = baseOffset(batch, 0);
    if (expected === null || found === expected || (found > expected && (this.#log.mayHaveGaps || segment.hasGaps)))
      return;
    // Deleted, and a power cut brought back what had come before.
    if (found > expected && found <= (this.#log.proofs.checkpoint?.logStart ?? 0)) return;
    if (found > expected) this.#missing(segment, position, expected, found);
    else this.#add('damage', segment.logPath, position, `expected offset ${expected}, found ${found} again`);
  }

  #missing(segment: Segment, position: number, offset: number, nextFound: number): void {
    const before = position === 0 ? this.#log.segments[this.#log.segments.indexOf(segment) - 1] : undefined;
    const between =
      before === undefined
        ? ''
        : ` between the end of ${before.logPath} and this file: that one was cut, or files between them are gone`;
    this.#add('damage', segment.logPath, position, `offsets ${offset} to ${nextFound - 1} are missing${between}`);
  }

  /** Where the checkpoint says that offsets stand. */
  #checkPlace(segment: Segment, position: number): void {
    const { proven } = this.#log.proofs;
    if (proven === null || segment.baseOffset !== proven.segmentBase || position !== proven.position) return;
    this.#provenPlaceSeen = true;
    const found = Math.max(this.#expectedOffset ?? proven.durableNext, segment.baseOffset);
    this.#expectedOffset = proven.durableNext;
    if (found === proven.durableNext || (found < proven.durableNext && this.#log.mayHaveGaps)) return;
    const what = `offset ${proven.durableNext} shall come at byte ${position} of segment ${segment.baseOffset}, found ${found}`;
    this.#add('damage', this.#proofFile(proven), null, what);
  }

  #proofFile({ by }: Proven): string {
    return by === 'checkpoint' ? `${this.#log.folder}/checkpoint` : by;
  }

  #damaged(segment: Segment, { position, bytes, what }: DamagedBytes): void {
    const isTorn = this.#isUnproven(segment, position, bytes);
    const sentence = isTorn
      ? `${bytes} bytes past the proven end are no whole batch (${what})`
      : `${bytes} bytes are damaged: ${what}`;
    this.#add(isTorn ? 'torn' : 'damage', segment.logPath, position, sentence);
    this.#expectedOffset = null;
  }

  /** Whether nobody was promised that these bytes are there. */
  #isUnproven(segment: Segment, position: number, bytes: number): boolean {
    const { proven } = this.#log.proofs;
    if (proven === null) return segment === this.#log.segments.at(-1) && position + bytes === segment.sizeBytes;
    if (segment.baseOffset !== proven.segmentBase) return segment.baseOffset > proven.segmentBase;
    return position >= proven.position;
  }

  #add(kind: Finding['kind'], file: string, position: number | null, what: string): void {
    this.#findings.push({ kind, file, position, what });
  }
}
