import { isFault } from './base/faults.ts';
import type { Logger } from './base/logger.ts';
import type { Disk } from './disk/disk.ts';
import { type Checkpoint, readCheckpoint } from './log/checkpoint.ts';
import { COMPACTED_FILE, checkProvesCompacted, recoverCompacted } from './log/compacted-segments.ts';
import {
  JOURNAL_FOLDER,
  type JournalFound,
  JournalReplay,
  PROOFS_PATH,
  type ProvenPlace,
} from './log/journal-replay.ts';
import type { CompactedProof } from './log/segment-sums.ts';

export interface Finding {
  /**
   * `damage`: what was stored is not what was written, or gone. `cache`: an index says wrong, which a broker finds
   * out and mends by itself. `torn`: what a crash leaves of a write that nobody was told is stored, or looks like it; it goes at the next start.
   */
  readonly kind: 'damage' | 'cache' | 'torn';
  /** Relative to the data folder. */
  readonly file: string;
  readonly position: number | null;
  readonly what: string;
  /** Whether the disk could not read the file: what it holds is not known. */
  readonly isUnreadable?: true;
}

/** A place up to which all is durable, and what says so. */
export interface Proven extends ProvenPlace {
  readonly by: 'checkpoint' | 'journal/proofs' | 'journal';
}

/** What is known of one log without reading it. */
export interface LogProofs {
  /** Its own, or what the journal says that is younger; null when there is none, or it is damaged. */
  readonly checkpoint: Checkpoint | null;
  readonly isCheckpointDamaged: boolean;
  /** Null when nothing says how far the log is durable. */
  readonly proven: Proven | null;
  /** Which of its segments are compacted, by their base offset. */
  readonly compacted: ReadonlyMap<number, CompactedProof>;
  /** What is wrong with what should say it. */
  readonly findings: readonly Finding[];
}

/** What proves the logs of a stopped folder durable: their checkpoints, and the journal. */
export class StoredProofs {
  /** Null where there is none, or nothing can be known of it. */
  readonly journal: JournalFound | null;
  readonly #disk: Disk;
  readonly #replay: JournalReplay | null;
  readonly #known = new Map<string, Promise<LogProofs>>();

  private constructor(disk: Disk, replay: JournalReplay | null) {
    this.#disk = disk;
    this.#replay = replay;
    this.journal = replay === null || replay.found.files.length === 0 ? null : replay.found;
  }

  /** Reads the journal of a folder, if it has one. What is wrong with it is added to `findings`. */
  static async read(disk: Disk, hasJournal: boolean, findings: Finding[]): Promise<StoredProofs> {
    let replay: JournalReplay | null = null;
    try {
      if (hasJournal) replay = await JournalReplay.read(disk, findingLogger(findings));
    } catch (error) {
      findings.push(findingOf(error, isFault(error, 'diskError') ? JOURNAL_FOLDER : PROOFS_PATH));
    }
    return new StoredProofs(disk, replay);
  }

  /** Of one log; what the journal has of it is written into its files. Twice asked, it is done once. */
  of(folder: string): Promise<LogProofs> {
    let known = this.#known.get(folder);
    if (known === undefined) this.#known.set(folder, (known = this.#read(folder.replaceAll('\\', '/'))));
    return known;
  }

  async #read(folder: string): Promise<LogProofs> {
    const findings: Finding[] = [];
    const compacted = await recoverCompacted(this.#disk, folder, findingLogger(findings)).catch((error: unknown) => {
      findings.push(findingOf(error, `${folder}/${COMPACTED_FILE}`));
      return new Map<number, CompactedProof>();
    });
    let own: Checkpoint | null;
    try {
      own = await readCheckpoint(this.#disk, folder);
      if (compacted.size > 0) await checkProvesCompacted(this.#disk, folder, own);
    } catch (error) {
      findings.push(findingOf(error, `${folder}/checkpoint`));
      return { checkpoint: null, isCheckpointDamaged: true, proven: null, compacted, findings };
    }
    const checkpoint = this.#replay?.latest(folder, own) ?? own;
    let journaled: ProvenPlace | null = null;
    try {
      journaled = (await this.#replay?.restore(folder, checkpoint)) ?? null;
    } catch (error) {
      findings.push(findingOf(error, folder));
    }
    const known = { checkpoint, isCheckpointDamaged: false, compacted, findings };
    if (journaled !== null) return { ...known, proven: { ...journaled, by: 'journal' } };
    const by = checkpoint === own ? 'checkpoint' : 'journal/proofs';
    return { ...known, proven: checkpoint && { ...checkpoint, by } };
  }
}

/** What damaged metadata, or what the disk cannot read, is told as. @throws any other error */
export function findingOf(error: unknown, file: string): Finding {
  if (isFault(error, 'diskError')) {
    const what = `it cannot be read: ${error.detail}`;
    return { kind: 'damage', file, position: null, what, isUnreadable: true };
  }
  if (!isFault(error, 'damagedMetadata')) throw error;
  const { detail } = error;
  const what = detail === null || detail === file ? 'it is not what was written' : detail;
  return { kind: 'damage', file, position: null, what };
}

/** What the journal tells of itself: an error is damage, a warning a torn end. */
function findingLogger(findings: Finding[]): Logger {
  const note =
    (kind: Finding['kind']) =>
    (facts: object, message: string): void => {
      const { file, position = null } = facts as { file: string; position?: number };
      findings.push({ kind, file, position, what: message });
    };
  return { debug() {}, info() {}, warn: note('torn'), error: note('damage') };
}
