import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Semaphore } from '../base/semaphore.ts';
import type { Disk } from '../disk/disk.ts';
import type { Codecs } from '../record/compression.ts';
import type { JournalReplay } from './journal-replay.ts';
import type { ReadBuffers } from './read-buffers.ts';
import type { Syncer } from './syncer.ts';
import type { TailCache } from './tail-cache.ts';

/** What all logs of a broker share. */
export interface LogContext {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly syncer: Syncer;
  /** What the journal holds for logs that recover; null when there is no journal. */
  readonly replay: JournalReplay | null;
  readonly cache: TailCache;
  /** Bounds the reads of files that run at once, for readers and for compaction, so that they never take every thread from the syncer. */
  readonly reads: Semaphore;
  readonly readBuffers: ReadBuffers;
  /** Default threadedCodecs. */
  readonly codecs?: Codecs | undefined;
  /** A sync failed, or a failed write could not be taken back: what the disk holds is unknown. The broker must stop. */
  readonly onFatal: (error: unknown) => void;
}
