import { Fault, isFault } from '../base/faults.ts';
import type { Disk, DiskFile, DiskLock, OpenMode } from './disk.ts';

/** Bytes of a file that are kept in memory when one of them is written. */
const PAGE_BYTES = 64 * 1024;

/** A file as the overlay has it: the file below, but for the pages that were written here. */
interface OverlaidFile {
  readonly kind: 'file';
  /** Where it lies below; null when it was made here. */
  readonly below: string | null;
  /** What of the file below still counts. */
  belowBytes: number;
  sizeBytes: number;
  readonly sizeBelow: number;
  /** Written here, and other than what was there. */
  bytesWritten: number;
  /** Of those that the file below has, how many were written here with another value. */
  bytesReplaced: number;
  readonly pages: Map<number, Buffer>;
}

interface OverlaidFolder {
  readonly kind: 'folder';
  readonly below: string | null;
  /** The names that were looked up, made or (null) removed here; all others are as they are below. */
  readonly names: Map<string, OverlaidFile | OverlaidFolder | null>;
}

type Overlaid = OverlaidFile | OverlaidFolder;

/** What is other than below. */
export interface OverlayChange {
  readonly kind: 'made' | 'moved' | 'changed' | 'removed';
  readonly path: string;
  /** Of what was moved: where it lies below. */
  readonly from: string | null;
  /** Null for what was made. */
  readonly bytesBefore: number | null;
  /** Null for what was removed. */
  readonly bytesAfter: number | null;
  /** Written here, and other than what was there. */
  readonly bytesWritten: number;
  /** Of the bytes that were there, how many have another value. */
  readonly bytesReplaced: number;
}

/**
 * A disk on top of another: all that is written, made, renamed or removed stays in memory, and what lies below is only read. So
 * what a program would do to a folder can be done and looked at, and nothing has happened. Bytes that are written as they are already
 * take no memory.
 */
export class OverlayDisk implements Disk {
  readonly #below: Disk;
  readonly #root: OverlaidFolder = { kind: 'folder', below: '.', names: new Map() };

  constructor(below: Disk) {
    this.#below = below;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const { folder, name } = await this.#parent(path);
    let node = await this.#lookUp(folder, name);
    if (mode === 'create') {
      if (node !== null) throw problem('EEXIST', path);
      node = {
        kind: 'file',
        below: null,
        belowBytes: 0,
        sizeBytes: 0,
        sizeBelow: 0,
        bytesWritten: 0,
        bytesReplaced: 0,
        pages: new Map(),
      };
      folder.names.set(name, node);
    }
    if (node === null) throw problem('ENOENT', path);
    if (node.kind === 'folder') throw problem('EISDIR', path);
    const below = node.below === null ? null : await this.#below.open(node.below, 'read');
    return new OverlaidHandle(path, node, below, mode);
  }

  async list(path: string): Promise<string[]> {
    const node = await this.#find(path);
    if (node === null) return [];
    if (node.kind === 'file') throw problem('ENOTDIR', path);
    return this.#namesIn(node);
  }

  async size(path: string): Promise<number | null> {
    const node = await this.#find(path);
    if (node === null) return null;
    return node.kind === 'file' ? node.sizeBytes : 0;
  }

  async makeFolder(path: string): Promise<void> {
    let folder = this.#root;
    for (const name of partsOf(path)) {
      let next: Overlaid | null = await this.#lookUp(folder, name);
      if (next === null) folder.names.set(name, (next = { kind: 'folder', below: null, names: new Map() }));
      if (next.kind === 'file') throw new Fault('notAFolder', { detail: path });
      folder = next;
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const source = await this.#parent(from);
    const node = await this.#lookUp(source.folder, source.name);
    if (node === null) throw problem('ENOENT', from);
    const target = await this.#parent(to);
    const replaced = await this.#lookUp(target.folder, target.name);
    if (replaced !== null && replaced.kind !== node.kind) {
      throw problem(replaced.kind === 'folder' ? 'EISDIR' : 'ENOTDIR', to);
    }
    source.folder.names.set(source.name, null);
    target.folder.names.set(target.name, node);
  }

  async remove(path: string): Promise<void> {
    const node = await this.#find(path);
    if (node === null) return;
    if (node.kind === 'folder') throw problem('EISDIR', path);
    const { folder, name } = await this.#parent(path);
    folder.names.set(name, null);
  }

  async removeFolder(path: string): Promise<void> {
    if ((await this.#find(path)) === null) return;
    const { folder, name } = await this.#parent(path);
    folder.names.set(name, null);
  }

  async syncFolder(path: string): Promise<void> {
    if ((await this.#find(path))?.kind !== 'folder') throw problem('ENOENT', path);
  }

  lock(path: string): Promise<DiskLock | null> {
    return this.#below.lock(path);
  }

  space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return this.#below.space();
  }

  /** What is other than below, by path. */
  async changes(): Promise<OverlayChange[]> {
    const found: OverlayChange[] = [];
    const visit = async (folder: OverlaidFolder, path: string): Promise<void> => {
      for (const [name, node] of folder.names) {
        const at = `${path}${name}`;
        if (node?.kind === 'folder') await visit(node, `${at}/`);
        else {
          const bytesBefore = folder.below === null ? null : await this.#below.size(below(folder.below, name));
          const change = changeOf(at, node, bytesBefore);
          if (change !== null && !(await this.#isAsBelow(change, node))) found.push(change);
        }
      }
    };
    await visit(this.#root, '');
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Whether a file was made in the place of one that has the same bytes. One that cannot be read was made again for that. */
  async #isAsBelow({ path, bytesBefore, bytesAfter }: OverlayChange, node: OverlaidFile | null): Promise<boolean> {
    if (node === null || node.below !== null || bytesBefore !== bytesAfter) return false;
    const before = await readWhole(this.#below, path).catch((error: unknown) => {
      if (isFault(error, 'diskError')) return null;
      throw error;
    });
    return before?.equals(await readWhole(this, path)) ?? false;
  }

  async #namesIn(folder: OverlaidFolder): Promise<string[]> {
    const names = new Set(folder.below === null ? [] : await this.#below.list(folder.below));
    for (const [name, node] of folder.names) {
      if (node === null) names.delete(name);
      else names.add(name);
    }
    return [...names].sort();
  }

  async #lookUp(folder: OverlaidFolder, name: string): Promise<Overlaid | null> {
    const known = folder.names.get(name);
    if (known !== undefined) return known;
    if (folder.below === null) return null;
    const path = below(folder.below, name);
    const bytes = await this.#below.size(path);
    if (bytes === null) return null;
    const node: Overlaid = (await this.#isFolderBelow(path))
      ? { kind: 'folder', below: path, names: new Map() }
      : {
          kind: 'file',
          below: path,
          belowBytes: bytes,
          sizeBytes: bytes,
          sizeBelow: bytes,
          bytesWritten: 0,
          bytesReplaced: 0,
          pages: new Map(),
        };
    // Another call may have been faster.
    const found = folder.names.get(name);
    if (found !== undefined) return found;
    folder.names.set(name, node);
    return node;
  }

  async #isFolderBelow(path: string): Promise<boolean> {
    try {
      await this.#below.list(path);
      return true;
    } catch (error) {
      if (error instanceof Fault) return false;
      throw error;
    }
  }

  async #find(path: string): Promise<Overlaid | null> {
    let node: Overlaid = this.#root;
    for (const name of partsOf(path)) {
      if (node.kind === 'file') throw problem('ENOTDIR', path);
      const next: Overlaid | null = await this.#lookUp(node, name);
      if (next === null) return null;
      node = next;
    }
    return node;
  }

  async #parent(path: string): Promise<{ folder: OverlaidFolder; name: string }> {
    const parts = partsOf(path);
    const name = parts.pop()!;
    const folder = await this.#find(parts.join('/'));
    if (folder === null) throw problem('ENOENT', path);
    if (folder.kind === 'file') throw problem('ENOTDIR', path);
    return { folder, name };
  }
}

async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
    return bytes;
  } finally {
    await file.close();
  }
}

function changeOf(path: string, node: OverlaidFile | null, bytesBefore: number | null): OverlayChange | null {
  if (node === null) {
    return bytesBefore === null
      ? null
      : { kind: 'removed', path, from: null, bytesBefore, bytesAfter: null, bytesWritten: 0, bytesReplaced: 0 };
  }
  const { bytesWritten, bytesReplaced } = node;
  const facts = { path, bytesBefore, bytesAfter: node.sizeBytes, bytesWritten, bytesReplaced };
  if (node.below === null) return { ...facts, kind: bytesBefore === null ? 'made' : 'changed', from: null };
  if (node.below !== path) return { ...facts, kind: 'moved', from: node.below };
  const isSame = node.pages.size === 0 && node.sizeBytes === node.sizeBelow && node.belowBytes === node.sizeBelow;
  return isSame ? null : { ...facts, kind: 'changed', from: null };
}

class OverlaidHandle implements DiskFile {
  readonly #path: string;
  readonly #file: OverlaidFile;
  readonly #below: DiskFile | null;
  readonly #mode: OpenMode;
  #open = true;

  constructor(path: string, file: OverlaidFile, below: DiskFile | null, mode: OpenMode) {
    this.#path = path;
    this.#file = file;
    this.#below = below;
    this.#mode = mode;
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    this.#enter(false);
    const count = Math.max(0, Math.min(buffer.length, this.#file.sizeBytes - position));
    await this.#readBelow(buffer.subarray(0, count), position);
    for (const { page, from, to, at } of pieces(position, count)) {
      this.#file.pages.get(page)?.copy(buffer, at, from, to);
    }
    return count;
  }

  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    this.#enter(true);
    const bytes = Buffer.concat(buffers);
    if (bytes.length === 0) return;
    const present = Buffer.alloc(bytes.length);
    const known = await this.read(present, position);
    this.#file.sizeBytes = Math.max(this.#file.sizeBytes, position + bytes.length);
    for (const { page, from, to, at } of pieces(position, bytes.length)) {
      const end = at + to - from;
      if (end <= known && bytes.subarray(at, end).equals(present.subarray(at, end))) continue;
      this.#file.bytesWritten += end - at;
      for (let i = at; i < Math.min(end, known); i += 1) if (bytes[i] !== present[i]) this.#file.bytesReplaced += 1;
      bytes.copy(await this.#page(page), from, at, end);
    }
  }

  async sync(): Promise<void> {
    this.#enter(false);
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#enter(true);
    const file = this.#file;
    file.sizeBytes = sizeBytes;
    file.belowBytes = Math.min(file.belowBytes, sizeBytes);
    for (const [page, bytes] of file.pages) {
      if (page * PAGE_BYTES >= sizeBytes) file.pages.delete(page);
      else bytes.fill(0, Math.min(PAGE_BYTES, sizeBytes - page * PAGE_BYTES));
    }
  }

  async size(): Promise<number> {
    this.#enter(false);
    return this.#file.sizeBytes;
  }

  async close(): Promise<void> {
    this.#enter(false);
    this.#open = false;
    await this.#below?.close();
  }

  #enter(writes: boolean): void {
    if (!this.#open || (writes && this.#mode === 'read')) throw problem('EBADF', this.#path);
  }

  /** A page to write to: as it is below, if it was not written to before. */
  async #page(page: number): Promise<Buffer> {
    const known = this.#file.pages.get(page);
    if (known !== undefined) return known;
    const bytes = Buffer.alloc(PAGE_BYTES);
    await this.#readBelow(bytes, page * PAGE_BYTES);
    this.#file.pages.set(page, bytes);
    return bytes;
  }

  /** What of the file below counts; zeros behind it. */
  async #readBelow(buffer: Buffer, position: number): Promise<void> {
    const count = Math.max(0, Math.min(buffer.length, this.#file.belowBytes - position));
    buffer.fill(0, count);
    if (count > 0) await this.#below!.read(buffer.subarray(0, count), position);
  }
}

/** The parts of a range that lie in one page each: the page, from where to where in it, and at what place of the range. */
function* pieces(position: number, count: number): Generator<{ page: number; from: number; to: number; at: number }> {
  for (let at = 0; at < count; ) {
    const page = Math.floor((position + at) / PAGE_BYTES);
    const from = position + at - page * PAGE_BYTES;
    const to = Math.min(PAGE_BYTES, from + count - at);
    yield { page, from, to, at };
    at += to - from;
  }
}

function below(folder: string, name: string): string {
  return folder === '.' ? name : `${folder}/${name}`;
}

function partsOf(path: string): string[] {
  return path.split(/[/\\]/).filter((part) => part !== '' && part !== '.');
}

function problem(code: string, path: string): Fault {
  const cause = Object.assign(new Error(`${code}: ${path}`), { code });
  return new Fault('diskError', { detail: cause.message, cause });
}
