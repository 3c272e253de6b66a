import { lastIndexWhere } from './offset-index.ts';

/** Small batches that lie end to end are found by walking them from the region's start: this bounds the walk. */
const REGION_BYTES = 64 * 1024;

/** Pages that may go before appends look which regions have gone with them: there may be a thousand partitions to look into. */
const EVICTIONS_UNNOTED_MAX = 8;

export interface Page {
  /** Null once the page is evicted. */
  bytes: Buffer | null;
  /**
   * Who uses views of it: writes, and readers who said that they will let go. A page without any is used again when it is
   * evicted; one with some is left to them, and to the garbage collector: fresh memory is dear, a wrong byte dearer.
   */
  pins: number;
}

/** Batches of one partition that lie end to end in a page. */
export interface Region {
  readonly page: Page;
  readonly start: number;
  end: number;
  readonly baseOffset: number;
  nextOffset: number;
}

/**
 * The youngest batches of all partitions, kept in memory for the readers at the tail. Batches are copied into pages in the
 * order in which they arrive, whatever their partition, so that a small one does not keep a whole socket buffer alive; the
 * oldest page goes when the budget is used up. The same copy is what is written to the file.
 */
export class TailCache {
  readonly #bytesMax: number;
  readonly #pageBytes: number;
  readonly #pages: Page[] = [];
  #heldBytes = 0;
  #free = 0;
  #evictions = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#pageBytes = Math.min(1024 * 1024, Math.max(64 * 1024, Math.floor(bytesMax / 8)));
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Pages that have gone so far. */
  get evictions(): number {
    return this.#evictions;
  }

  /** Copies a batch in; the place is the last page's end. */
  copy(batch: Buffer): { page: Page; start: number; bytes: Buffer } {
    let page = this.#pages.at(-1);
    if (page?.bytes == null || page.bytes.length - this.#free < batch.length) page = this.#turn(batch.length);
    const start = this.#free;
    const bytes = page.bytes!.subarray(start, start + batch.length);
    page.bytes!.set(batch, start);
    this.#free += batch.length;
    return { page, start, bytes };
  }

  #turn(bytesNeeded: number): Page {
    const size = Math.max(this.#pageBytes, bytesNeeded);
    let spare: Buffer | null = null;
    while (this.#heldBytes + size > this.#bytesMax && this.#pages.length > 0) {
      const oldest = this.#pages.shift()!;
      this.#evictions += 1;
      this.#heldBytes -= oldest.bytes!.length;
      if (oldest.pins === 0 && oldest.bytes!.length === size) spare = oldest.bytes;
      oldest.bytes = null;
    }
    const page: Page = { bytes: spare ?? Buffer.allocUnsafeSlow(size), pins: 0 };
    this.#pages.push(page);
    this.#heldBytes += size;
    this.#free = 0;
    return page;
  }
}

/** One partition's part of the tail cache: regions in the order of their offsets, without a gap. */
export class CachedTail {
  readonly #cache: TailCache;
  #regions: Region[] = [];
  /** Of the cache, when the regions of evicted pages were last dropped. */
  #evictions = 0;

  constructor(cache: TailCache) {
    this.#cache = cache;
  }

  /** Copies a batch into the cache. The caller stamps the copy and writes it, then takes its pin off the page. */
  add(batch: Buffer, baseOffset: number, nextOffset: number): { bytes: Buffer; page: Page } {
    const { page, start, bytes } = this.#cache.copy(batch);
    const last = this.#regions.at(-1);
    if (last?.page === page && last.end === start && start + bytes.length - last.start <= REGION_BYTES) {
      last.end += bytes.length;
      last.nextOffset = nextOffset;
    } else {
      if (this.#cache.evictions - this.#evictions >= EVICTIONS_UNNOTED_MAX) this.#dropEvicted();
      this.#regions.push({ page, start, end: start + bytes.length, baseOffset, nextOffset });
    }
    page.pins += 1;
    return { bytes, page };
  }

  /** Forgets everything: what was added is not, or will not stay, in the log. */
  clear(): void {
    this.#regions = [];
  }

  /** Forgets what lies before `offset`: compaction has left less of it. */
  dropBefore(offset: number): void {
    this.#regions.splice(0, lastIndexWhere(this.#regions.length, (i) => this.#regions[i]!.baseOffset < offset) + 1);
  }

  /** The regions from the one that holds `offset` on; none when it is not cached. */
  from(offset: number): readonly Region[] {
    this.#dropEvicted();
    const index = lastIndexWhere(this.#regions.length, (i) => this.#regions[i]!.baseOffset <= offset);
    if (index < 0 || offset >= this.#regions[index]!.nextOffset) return [];
    return index === 0 ? this.#regions : this.#regions.slice(index);
  }

  #dropEvicted(): void {
    if (this.#evictions === this.#cache.evictions) return;
    this.#evictions = this.#cache.evictions;
    // Pages go oldest first, so what is gone is a prefix.
    if (this.#regions[0]?.page.bytes !== null) return;
    this.#regions.splice(0, lastIndexWhere(this.#regions.length, (i) => this.#regions[i]!.page.bytes === null) + 1);
  }
}
