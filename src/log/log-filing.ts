import { Fault, isFault } from '../base/faults.ts';
import type { UnfiledLog } from './filing.ts';
import type { LogContext } from './log-context.ts';
import type { Segment } from './segment.ts';

/** What of a log has to do with its filing. */
export interface FiledLog {
  readonly folder: string;
  /** Why it has ended. */
  readonly stopped: Fault | null;
  /** The last segment, which alone can have a part that is not in its file. */
  readonly activeSegment: Segment;
  /** For a failure after which nothing may be answered any more. */
  fail(error: unknown): void;
}

/** Brings what the journal alone has of one log into its segment's file. */
export class LogFiling implements UnfiledLog {
  readonly #log: FiledLog;
  readonly #context: LogContext;
  /** A full disk has refused what the journal holds: until it is in the file, nothing is added to it. */
  #isRefused = false;

  constructor(log: FiledLog, context: LogContext) {
    this.#log = log;
    this.#context = context;
  }

  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** What those are refused with who need it to be in the file. */
  get refusal(): Fault {
    const { folder, activeSegment } = this.#log;
    return new Fault('diskFull', {
      detail: `${activeSegment.unfiledBytes} bytes of ${folder} are in the journal alone`,
    });
  }

  async file(): Promise<boolean> {
    const segment = this.#log.activeSegment;
    try {
      if (this.#log.stopped === null) await segment.file();
      this.#isRefused = false;
    } catch (error) {
      await this.#failed(segment, error);
    }
    this.note();
    return !this.#isRefused;
  }

  /** It is in the file by other means, or need not be. */
  done(): void {
    this.#isRefused = false;
    this.note();
  }

  /** Says how much waits now. */
  note(): void {
    const { stopped, activeSegment } = this.#log;
    this.#context.syncer.filing?.note(this, stopped === null ? activeSegment.unfiledBytes : 0);
  }

  async #failed(segment: Segment, error: unknown): Promise<void> {
    const log = this.#log;
    if (log.stopped !== null) return;
    if (!isFault(error, 'diskFull')) return log.fail(error);
    await segment.cutBack().catch((fatal) => log.fail(fatal));
    const facts = { folder: log.folder, bytes: segment.unfiledBytes, err: error };
    if (!this.#isRefused) this.#context.logger.error(facts, 'the disk is full: a partition takes no appends');
    this.#isRefused = true;
    this.#context.syncer.refused(error);
  }
}
