import { Fault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import { dictionaryOf, isCount, objectOf, orMissing } from '../base/shape.ts';
import type { Disk, DiskFile } from '../disk/disk.ts';
import { baseOffset, leaderEpoch } from '../record/batch.ts';
import { type Checkpoint, isCheckpoint } from './checkpoint.ts';
import { type Checksum, loadChecksum } from './checksum.ts';
import { checkHasNoMark } from './journal-mark.ts';
import { RESERVE_PATH } from './journal-reserve.ts';
import {
  decodeEntries,
  decodeHeader,
  type FoundEntry,
  JOURNAL_BLOCK_BYTES,
  padded,
  ROUND_HEADER_BYTES,
  type RoundHeader,
  readHeader,
} from './journal-round.ts';
import { readSealed } from './sealed-file.ts';
import { segmentName } from './segment-files.ts';
import { keepTornRound, readTornRound, type TornRound } from './torn-round.ts';

export const JOURNAL_FOLDER = 'journal';
export const PROOFS_PATH = `${JOURNAL_FOLDER}/proofs`;
const FILE_NAME = /^\d+$/;
const SCAN_BYTES = 1024 * 1024;

/** What is known of logs apart from their own checkpoints, and which part of the journal is not needed any more. */
export interface Proofs {
  /** Rounds of generations below this are released: all of them is synced in the segment files. */
  readonly releasedBefore: number;
  readonly logs: Readonly<Record<string, Checkpoint>>;
  /** The number of the first round that is not released, or of the next one. Missing in folders of earlier versions. */
  readonly firstNumber?: number;
  /** Bytes of the files that held rounds which were not released, by name. Missing likewise. */
  readonly inUse?: Readonly<Record<string, number>>;
}

interface StoredEntry extends FoundEntry {
  /** The journal's file, and where in it the batches lie. */
  readonly file: string;
  readonly filePosition: number;
}

/** A place in a log up to which all is durable. */
export type ProvenPlace = Pick<Checkpoint, 'segmentBase' | 'position' | 'durableNext'>;

/** A place at which a batch begins for sure: the first of an entry. */
export interface JournaledStart extends ProvenPlace {
  /** The batch's leader epoch, and an offset from which on all have it; null where the journal is of an earlier version. */
  readonly epoch: number;
  readonly epochStart: number | null;
}

/** The place up to which the journal proves a log durable, and what it has before that, ascending. */
export interface JournaledPlace extends ProvenPlace {
  readonly starts: readonly JournaledStart[];
}

export interface JournalFound {
  readonly files: readonly { readonly name: string; readonly sizeBytes: number }[];
  /** The largest ever used. */
  readonly generation: number;
  readonly lastNumber: number;
  /** Whether there are rounds that are not released, or files that are said to be in use. */
  readonly holdsRounds: boolean;
}

/**
 * What the journal holds after an unclean end, for each log's recovery to take. Rounds that are not whole at the journal's
 * end are taken for those that were being written, of which nobody was told that they are stored.
 */
export class JournalReplay {
  readonly #disk: Disk;
  readonly #logger: Logger;
  readonly #entries = new Map<string, StoredEntry[]>();
  /** Before the first are written, the journal has all its rounds from the first one on. */
  #proofs: Proofs = { releasedBefore: 0, logs: {}, firstNumber: 1 };
  #isIncomplete = false;
  #givenBack = 0;
  #tookReserve = false;
  /** Files that nothing is needed of. */
  #spare = new Set<string>();
  #torn: TornRound[] = [];
  #found: JournalFound = { files: [], generation: 0, lastNumber: 0, holdsRounds: false };

  private constructor(disk: Disk, logger: Logger) {
    this.#disk = disk;
    this.#logger = logger;
  }

  get found(): JournalFound {
    return this.#found;
  }

  /** Whether an error was told: rounds, or files, are missing that somebody may have been told are stored. */
  get isIncomplete(): boolean {
    return this.#isIncomplete;
  }

  /** Reads the journal; nothing is changed. @throws Fault damagedMetadata, diskError */
  static async read(disk: Disk, logger: Logger): Promise<JournalReplay> {
    const replay = new JournalReplay(disk, logger);
    const names = (await disk.list(JOURNAL_FOLDER)).filter((name) => FILE_NAME.test(name));
    const sealed = await readSealed(disk, PROOFS_PATH);
    if (sealed !== 'missing') replay.#proofs = proofsIn(sealed);
    else if (names.length === 0) await checkHasNoMark(disk);
    await replay.#checkPresence();
    // Also where all files are gone: the next generation must be one that is not released, and that they are gone is settled.
    if (names.length > 0 || sealed !== 'missing') await replay.#readFiles(names, await loadChecksum());
    return replay;
  }

  async #readFiles(names: readonly string[], checksum: Checksum): Promise<void> {
    const files = [];
    const all: FileScan[] = [];
    let generation = this.#proofs.releasedBefore - 1;
    for (const name of names) {
      const scan = new FileScan(`${JOURNAL_FOLDER}/${name}`, checksum);
      const sizeBytes = await scan.run(this.#disk, this.#proofs.releasedBefore);
      files.push({ name, sizeBytes });
      generation = Math.max(generation, scan.generation);
      all.push(scan);
    }
    const scans = all.filter(({ rounds }) => rounds.length > 0);
    const inUse = this.#proofs.inUse ?? {};
    const needed = new Set(scans.map(({ path }) => path));
    this.#spare = new Set(names.filter((name) => !(name in inUse) && !needed.has(`${JOURNAL_FOLDER}/${name}`)));
    scans.sort((one, other) => one.generation - other.generation);
    const { firstNumber } = this.#proofs;
    let lastNumber = firstNumber === undefined ? null : firstNumber - 1;
    for (const { path, rounds } of scans) {
      for (const { number, entries } of rounds) {
        if (lastNumber !== null && number !== lastNumber + 1) {
          this.#isIncomplete = true;
          this.#logger.error(
            { file: path, lostFrom: lastNumber + 1, lostBefore: number },
            'the journal is damaged before its end: rounds that were acknowledged are missing from it',
          );
        }
        lastNumber = number;
        for (const entry of entries) {
          let ofLog = this.#entries.get(entry.folder);
          if (ofLog === undefined) this.#entries.set(entry.folder, (ofLog = []));
          ofLog.push(entry);
        }
      }
    }
    generation = Math.max(0, generation);
    lastNumber ??= 0;
    const holdsRounds = scans.length > 0 || Object.keys(inUse).length > 0;
    this.#found = { files, generation, lastNumber, holdsRounds };
    await this.#takeEnd(all, scans.at(-1), { generation, number: lastNumber + 1 });
  }

  /** The next round would lie behind the last one, or at the start of a file. What is there and was meant to be one is told of, and kept. */
  async #takeEnd(
    all: readonly FileScan[],
    newest: FileScan | undefined,
    next: { generation: number; number: number },
  ): Promise<void> {
    for (const scan of all) {
      const header = scan === newest ? scan.afterLast : scan.atStart;
      const { generation } = header ?? {};
      const signs = [header?.hasMagic, header?.number === next.number];
      signs.push(scan === newest ? generation === next.generation : generation === next.generation + 1);
      // One that is whole, and older, is not the next. Of a damaged one, one of the three may be wrong.
      if (header === null || header.isWhole || signs.filter(Boolean).length < 2) continue;
      this.#logger.warn(
        { file: scan.path, position: header.position },
        'the journal ends in a round that is not whole, which is passed over: a crash tore it as it was written, or the disk has changed it since, and then its records were acknowledged',
      );
      this.#torn.push(await readTornRound(this.#disk, scan.path, header.position, header.bytes));
    }
  }

  /** A file that was in use is as it was made, or rounds that somebody was told are stored may have gone with it. */
  async #checkPresence(): Promise<void> {
    for (const [name, expectedBytes] of Object.entries(this.#proofs.inUse ?? {})) {
      const path = `${JOURNAL_FOLDER}/${name}`;
      const foundBytes = await this.#disk.size(path);
      if (foundBytes === expectedBytes) continue;
      this.#isIncomplete = true;
      this.#logger.error(
        { file: path, expectedBytes, foundBytes },
        'a file of the journal that was in use is gone or cut: rounds that were acknowledged may be lost with it',
      );
    }
  }

  /** Whether the journal has, or had, anything for the log. */
  knows(folder: string): boolean {
    return this.#entries.has(folder) || folder in this.#proofs.logs;
  }

  /** The later of a log's checkpoint and of what the journal's proofs say of it. */
  latest(folder: string, checkpoint: Checkpoint | null): Checkpoint | null {
    const proof = this.#proofs.logs[folder];
    if (proof === undefined || (checkpoint !== null && !isBefore(checkpoint, proof))) return checkpoint;
    return { ...proof, logStart: Math.max(proof.logStart, checkpoint?.logStart ?? 0) };
  }

  /**
   * Writes what the journal holds past `checkpoint` into the log's segment files, where it belongs, without a sync. Returns
   * the place up to which the log is proven durable by the journal; null when it says nothing. May be repeated.
   */
  async restore(folder: string, checkpoint: Checkpoint | null): Promise<JournaledPlace | null> {
    const starts: JournaledStart[] = [];
    const start = { segmentBase: 0, position: 0, ...checkpoint };
    let proven = null as ProvenPlace | null;
    let target = null as { segmentBase: number; file: DiskFile | null } | null;
    const sources = new Map<string, DiskFile>();
    try {
      for (const entry of this.#entries.get(folder) ?? []) {
        const end = { segmentBase: entry.segmentBase, position: entry.position + entry.bytes };
        if (!isBefore(start, end)) continue;
        proven = { ...end, durableNext: entry.nextOffset };
        if (target?.segmentBase !== entry.segmentBase) {
          await target?.file?.close();
          target = { segmentBase: entry.segmentBase, file: null };
          const path = `${folder}/${segmentName(entry.segmentBase)}.log`;
          // A segment that is gone was deleted, or is lost: which of them, recovery tells from those that are there.
          if ((await this.#disk.size(path)) !== null) target.file = await this.#disk.open(path, 'write');
        }
        if (target.file === null) continue;
        let source = sources.get(entry.file);
        if (source === undefined) sources.set(entry.file, (source = await this.#disk.open(entry.file, 'read')));
        const bytes = Buffer.allocUnsafe(entry.bytes);
        await source.read(bytes, entry.filePosition);
        await target.file.write([bytes], entry.position);
        const { segmentBase, position, epochStart } = entry;
        const [durableNext, epoch] = [baseOffset(bytes, 0), leaderEpoch(bytes, 0)];
        starts.push({ segmentBase, position, durableNext, epoch, epochStart });
      }
    } finally {
      await target?.file?.close();
      for (const source of sources.values()) await source.close();
    }
    return proven && { ...proven, starts };
  }

  /** How often room was made. */
  get givenBack(): number {
    return this.#givenBack;
  }

  /** Whether the file that is there for it had to make room. */
  get tookReserve(): boolean {
    return this.#tookReserve;
  }

  /**
   * Removes one of the journal's files that nothing is needed of, or the one that is kept for it, for room on a full disk; false
   * when there is none.
   */
  async giveBack(): Promise<boolean> {
    const [spare] = this.#spare;
    if (spare === undefined) {
      if (this.#tookReserve || (await this.#disk.size(RESERVE_PATH)) === null) return false;
      this.#tookReserve = true;
      await this.#disk.remove(RESERVE_PATH);
      this.#givenBack += 1;
      this.#logger.warn({ file: RESERVE_PATH }, 'the disk is full: the reserve makes room for the start');
      return true;
    }
    this.#givenBack += 1;
    this.#spare.delete(spare);
    await this.#disk.remove(`${JOURNAL_FOLDER}/${spare}`);
    this.#found = { ...this.#found, files: this.#found.files.filter(({ name }) => name !== spare) };
    this.#logger.warn({ file: spare }, 'the disk is full: a spare file of the journal makes room for the start');
    return true;
  }

  /** Keeps aside what of the journal's end is not whole. Before its place is used again, and when the logs have found their room. */
  async keepTorn(): Promise<void> {
    for (let torn = this.#torn[0]; torn !== undefined; torn = this.#torn[0]) {
      await keepTornRound({ disk: this.#disk, logger: this.#logger }, torn);
      this.#torn.shift();
    }
  }

  /** Every log has taken its part, and the files are the running journal's: what was spare is in use again soon. */
  forget(): void {
    this.#entries.clear();
    this.#spare.clear();
    this.#proofs = { ...this.#proofs, logs: {} };
  }
}

export function isBefore(
  one: Pick<ProvenPlace, 'segmentBase' | 'position'>,
  other: Pick<ProvenPlace, 'segmentBase' | 'position'>,
): boolean {
  return (
    one.segmentBase < other.segmentBase || (one.segmentBase === other.segmentBase && one.position < other.position)
  );
}

/** @throws Fault damagedMetadata */
export function proofsIn(sealed: { content: unknown } | 'damaged'): Proofs {
  if (sealed !== 'damaged' && areProofs(sealed.content)) {
    const proofs = sealed.content as Proofs;
    // They become paths.
    if (Object.keys(proofs.inUse ?? {}).every((name) => FILE_NAME.test(name))) return proofs;
  }
  throw new Fault('damagedMetadata', { detail: PROOFS_PATH });
}

const areProofs = objectOf<Proofs>({
  releasedBefore: isCount,
  logs: dictionaryOf(isCheckpoint),
  firstNumber: orMissing(isCount),
  inUse: orMissing(dictionaryOf(isCount)),
});

/** What lies where a round could begin. */
interface FoundHeader {
  readonly position: number;
  /** Of the round, as it says. */
  readonly bytes: number;
  readonly hasMagic: boolean;
  readonly generation: number;
  readonly number: number;
  readonly isWhole: boolean;
}

/** Finds the whole rounds of one file's last use. */
class FileScan {
  readonly path: string;
  readonly #checksum: Checksum;
  rounds: { readonly number: number; readonly entries: StoredEntry[] }[] = [];
  /** That of the file's last use as far as it is known; 0 when it was never used. */
  generation = 0;
  atStart: FoundHeader | null = null;
  /** Behind the last round. */
  afterLast: FoundHeader | null = null;

  constructor(path: string, checksum: Checksum) {
    this.path = path;
    this.#checksum = checksum;
  }

  /** Rounds of generations below `releasedBefore` are not looked at. Returns the file's size. */
  async run(disk: Disk, releasedBefore: number): Promise<number> {
    const file = await disk.open(this.path, 'read');
    try {
      const sizeBytes = await file.size();
      const window = new Window(file, sizeBytes);
      this.atStart = await this.#headerAt(window, 0);
      // A file says at its start when it was never used, or not since it was released. Only what is whole says something.
      if (this.atStart?.isWhole === true && this.atStart.generation < Math.max(1, releasedBefore)) {
        this.generation = this.atStart.generation;
        return sizeBytes;
      }
      for (let at = 0; at + ROUND_HEADER_BYTES <= sizeBytes; ) {
        const bytes = await this.#roundAt(window, at, releasedBefore);
        // Where nothing is whole, what follows was written in an earlier use, unless something is damaged.
        at += bytes ?? JOURNAL_BLOCK_BYTES;
        if (bytes !== null) this.afterLast = await this.#headerAt(window, at);
      }
      return sizeBytes;
    } finally {
      await file.close();
    }
  }

  async #headerAt(window: Window, position: number): Promise<FoundHeader | null> {
    const bytes = await window.read(position, ROUND_HEADER_BYTES);
    if (bytes.length < ROUND_HEADER_BYTES) return null;
    const { bytes: roundBytes, generation, number } = readHeader(bytes);
    const hasMagic = decodeHeader(bytes) !== null;
    const isWhole = (await this.#wholeAt(window, position)) !== null;
    return { position, bytes: roundBytes, hasMagic, generation, number, isWhole };
  }

  async #wholeAt(window: Window, at: number): Promise<{ header: RoundHeader; round: Buffer } | null> {
    const header = decodeHeader(await window.read(at, ROUND_HEADER_BYTES));
    if (header === null || header.bytes < ROUND_HEADER_BYTES || at + header.bytes > window.sizeBytes) return null;
    const round = await window.read(at, header.bytes);
    return this.#checksum(round.subarray(16)) === header.checksum ? { header, round } : null;
  }

  /** Takes the round at `at`; its padded bytes, or null when there is none. */
  async #roundAt(window: Window, at: number, releasedBefore: number): Promise<number | null> {
    const whole = await this.#wholeAt(window, at);
    if (whole === null || whole.header.generation < Math.max(releasedBefore, this.generation)) return null;
    const { header, round } = whole;
    if (header.generation > this.generation) {
      this.generation = header.generation;
      this.rounds = [];
    }
    const found = decodeEntries(round);
    if (found === null) throw new Fault('damagedMetadata', { detail: `${this.path}, the round at byte ${at}` });
    const entries = found.map((entry) => ({
      ...entry,
      file: this.path,
      filePosition: at + entry.start,
    }));
    this.rounds.push({ number: header.number, entries });
    return padded(header.bytes);
  }
}

/** Reads a file forward in large pieces. */
class Window {
  readonly sizeBytes: number;
  readonly #file: DiskFile;
  #bytes = Buffer.alloc(0);
  #start = 0;

  constructor(file: DiskFile, sizeBytes: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  async read(at: number, bytes: number): Promise<Buffer> {
    if (at < this.#start || at + bytes > this.#start + this.#bytes.length) {
      this.#bytes = Buffer.allocUnsafe(Math.min(Math.max(bytes, SCAN_BYTES), Math.max(0, this.sizeBytes - at)));
      this.#start = at;
      await this.#file.read(this.#bytes, at);
    }
    return this.#bytes.subarray(at - this.#start, at - this.#start + bytes);
  }
}
