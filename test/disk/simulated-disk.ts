import { Fault } from '../../src/base/faults.ts';
import type { Disk, DiskFile, DiskLock, OpenMode } from '../../src/disk/disk.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { type FailingCall, type Failure, problem } from './failure.ts';
import {
  type Change,
  copyDurable,
  type Effect,
  type Entry,
  type Folder,
  type Inode,
  isFolder,
  type Node,
  newFolder,
  newInode,
  persist,
  resize,
} from './simulated-files.ts';

export type { FailingCall, Failure };

const SECTOR_BYTES = 512;
/** How long a sync takes, so that others get something done while it runs. */
const SYNC_TURNS = 6;

/** What of the changes that were not synced a power cut keeps. Synced ones it always keeps. */
export type PowerCut =
  /** None of them. */
  | 'nothing'
  /** All of them, as when only the process dies; the page cache is what is read then. */
  | 'all'
  /** Those before a random moment, in the order in which they were made. */
  | 'prefix'
  /** The same, and of the change at that moment some sectors, one of them half new and half old. */
  | 'torn'
  /** Any sectors and any names, whatever their order. */
  | 'reordered';

export const POWER_CUTS: readonly PowerCut[] = ['nothing', 'all', 'prefix', 'torn', 'reordered'];

/**
 * A disk in memory that keeps the page cache and what is durable apart, for each file and each folder. A sync makes a file's
 * bytes and size durable, a sync of a folder its names; all else a power cut may lose, tear and reorder. Every choice is
 * the seeded randomness's, so a run can be repeated.
 */
export class SimulatedDisk implements Disk {
  readonly #random: SeededRandom;
  readonly #root: Folder;
  readonly #locks: Set<string>;
  #changes: Change[] = [];
  /** Changes so far. */
  #made = 0;
  #failures: { failure: Failure; seen: number; done: boolean }[] = [];
  #cutAfter = Number.POSITIVE_INFINITY;
  #calls = 0;
  #lastCall = '';
  #dead = false;
  /** Resolves when the power goes. */
  readonly died: Promise<void>;
  readonly #die: () => void;

  constructor(random: SeededRandom, root: Folder = newFolder(), locks: Set<string> = new Set()) {
    this.#random = random;
    this.#root = root;
    this.#locks = locks;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.died = promise;
    this.#die = resolve;
  }

  /** A disk on which these files lie, all of them durable. */
  static holding(files: ReadonlyMap<string, Buffer>, random: SeededRandom): SimulatedDisk {
    const root = newFolder();
    for (const [path, bytes] of files) {
      const parts = partsOf(path);
      const name = parts.pop()!;
      let folder = root;
      for (const part of parts) {
        const next = (folder.cached.get(part) as Folder | undefined) ?? newFolder();
        folder.cached.set(part, next);
        folder.durable.set(part, next);
        folder = next;
      }
      const inode = newInode(Buffer.from(bytes), Buffer.from(bytes));
      folder.cached.set(name, inode);
      folder.durable.set(name, inode);
    }
    return new SimulatedDisk(random, root);
  }

  /** All files, as they are read, by their path. */
  files(): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    const visit = (folder: Folder, path: string): void => {
      for (const [name, node] of folder.cached) {
        if (isFolder(node)) visit(node, `${path}${name}/`);
        else found.set(`${path}${name}`, Buffer.from(node.cached));
      }
    };
    visit(this.#root, '');
    return found;
  }

  /** Calls so far that change the disk or what is durable of it. */
  get calls(): number {
    return this.#calls;
  }

  /** The one that came last of those, with its path. */
  get lastCall(): string {
    return this.#lastCall;
  }

  /** The power goes at the call after so many more: it is half done, and neither it nor any after it ever returns. */
  cutPowerAfter(calls: number): void {
    this.#cutAfter = this.#calls + calls;
  }

  fail(failure: Failure): void {
    this.#failures.push({ failure, seen: 0, done: false });
  }

  /** Whether some call would fail now or later. */
  get isFailing(): boolean {
    return this.#failures.length > 0;
  }

  /** Ends all failures: there is room again, or another disk. */
  heal(): void {
    this.#failures = [];
  }

  /** Changes bits of a byte at rest. */
  flip(path: string, position: number, mask: number): void {
    const inode = this.#find(path);
    if (inode === null || isFolder(inode)) throw new Error(`no file ${path}`);
    for (const bytes of [inode.cached, inode.durable]) {
      if (position < bytes.length) bytes[position] = bytes[position]! ^ mask;
    }
  }

  /** What the next start finds. Calls of this disk that are under way never return. */
  afterPowerCut(cut: PowerCut): SimulatedDisk {
    this.#dead = true;
    for (const change of this.#surviving(cut)) persist(change);
    return new SimulatedDisk(this.#random, copyDurable(this.#root, new Map()));
  }

  /** What the next start finds when only the process has died: the page cache as it is, synced or not. */
  afterKill(): SimulatedDisk {
    this.#dead = true;
    const next = new SimulatedDisk(this.#random, this.#root);
    next.#changes = this.#changes;
    next.#made = this.#made;
    return next;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#call('open', path, mode === 'create');
    const { folder, name } = this.#parent(path);
    let node = folder.cached.get(name);
    if (mode === 'create') {
      if (node !== undefined) throw problem('EEXIST', path);
      node = newInode(Buffer.alloc(0), Buffer.alloc(0));
      this.#name([{ folder, name, node }]);
    }
    if (node === undefined) throw problem('ENOENT', path);
    if (isFolder(node)) throw problem('EISDIR', path);
    return this.#file(path, node, mode);
  }

  async list(path: string): Promise<string[]> {
    await this.#call('read', path, false);
    const node = this.#find(path);
    if (node === null) return [];
    if (!isFolder(node)) throw problem('ENOTDIR', path);
    return [...node.cached.keys()].sort();
  }

  async size(path: string): Promise<number | null> {
    await this.#call('read', path, false);
    const node = this.#find(path);
    return node === null ? null : isFolder(node) ? 4096 : node.cached.length;
  }

  async makeFolder(path: string): Promise<void> {
    let folder = this.#root;
    for (const name of partsOf(path)) {
      if (!folder.cached.has(name)) {
        await this.#call('folder', path, true);
        // Another call may have been faster.
        if (!folder.cached.has(name)) this.#name([{ folder, name, node: newFolder() }]);
      }
      // Also one that was there: it may be of a call, or a process, that failed or died before it synced it.
      await this.#call('syncFolder', path, true);
      this.#syncNames(folder);
      const next = folder.cached.get(name);
      if (!isFolder(next)) throw new Fault('notAFolder', { detail: path });
      folder = next;
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', to, true);
    const source = this.#parent(from);
    const target = this.#parent(to);
    const node = source.folder.cached.get(source.name);
    if (node === undefined) throw problem('ENOENT', from);
    const replaced = target.folder.cached.get(target.name);
    if (isFolder(replaced) && !isFolder(node)) throw problem('EISDIR', to);
    if (replaced !== undefined && isFolder(node) && !isFolder(replaced)) throw problem('ENOTDIR', to);
    this.#name([
      { ...source, node: null },
      { ...target, node },
    ]);
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path, true);
    const node = this.#find(path);
    if (node === null) return;
    if (isFolder(node)) throw problem('EISDIR', path);
    this.#name([{ ...this.#parent(path), node: null }]);
  }

  async removeFolder(path: string): Promise<void> {
    const node = this.#find(path);
    if (isFolder(node)) {
      for (const [name, inner] of [...node.cached]) {
        await (isFolder(inner) ? this.removeFolder(`${path}/${name}`) : this.remove(`${path}/${name}`));
      }
    }
    await this.#call('folder', path, true);
    if (node !== null) this.#name([{ ...this.#parent(path), node: null }]);
  }

  async syncFolder(path: string): Promise<void> {
    await this.#call('syncFolder', path, true);
    const node = this.#find(path);
    if (node === null) throw problem('ENOENT', path);
    if (isFolder(node)) this.#syncNames(node);
    else this.#syncInode(node, this.#made);
  }

  async lock(path: string): Promise<DiskLock | null> {
    await this.#call('open', path, false);
    const above = this.#find(partsOf(path).slice(0, -1).join('/'));
    if (!isFolder(above)) throw new Fault('readOnlyDisk', { detail: `cannot lock ${path}` });
    if (this.#locks.has(path)) return null;
    this.#locks.add(path);
    return { release: async () => void this.#locks.delete(path) };
  }

  async space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return { freeBytes: 1 << 30, totalBytes: 2 ** 31 };
  }

  #file(path: string, inode: Inode, mode: OpenMode): DiskFile {
    let open = true;
    const enter = async (call: FailingCall, mutates: boolean): Promise<void> => {
      if (!open) throw problem('EBADF', path);
      if (mutates && mode === 'read' && call !== 'sync') throw problem(call === 'truncate' ? 'EINVAL' : 'EBADF', path);
      await this.#call(call, path, mutates);
    };
    return {
      read: async (buffer, position) => {
        await enter('read', false);
        const start = Math.min(position, inode.cached.length);
        return inode.cached.copy(buffer, 0, start, start + buffer.length);
      },
      write: async (buffers, position) => {
        const bytes = Buffer.concat(buffers);
        try {
          await enter('write', true);
        } catch (error) {
          // Any part of it may have been taken.
          const before = this.#changes.length;
          if (open && mode !== 'read') this.#write(inode, position, this.#firstPart(bytes));
          if (mode === 'writeThrough') for (const change of this.#changes.splice(before)) persist(change);
          throw error;
        }
        const before = this.#changes.length;
        this.#write(inode, position, bytes);
        if (this.#dead) {
          // Only now: what is looked at from then on has the half of it.
          this.#die();
          await never();
        }
        if (mode === 'writeThrough') for (const change of this.#changes.splice(before)) persist(change);
      },
      sync: async () => {
        // What others write while it runs is not promised to be in it.
        const promised = this.#made;
        try {
          await enter('sync', true);
        } catch (error) {
          // What failed to be written counts as clean from here on: it stays readable, and no later sync writes it.
          if (open) this.#changes = this.#changes.filter((change) => change.kind === 'names' || change.inode !== inode);
          throw error;
        }
        for (let turn = 0; turn < SYNC_TURNS; turn += 1) await null;
        if (this.#dead) await never();
        this.#syncInode(inode, promised);
      },
      truncate: async (sizeBytes) => {
        await enter('truncate', true);
        resize(inode, 'cached', sizeBytes);
        this.#changed({ kind: 'size', inode, sizeBytes });
      },
      size: async () => {
        await enter('read', false);
        return inode.cached.length;
      },
      close: async () => {
        if (!open) throw problem('EBADF', path);
        open = false;
      },
    };
  }

  /** Every call passes here: others get their turn, the power may go, and what is told to fail does. */
  async #call(call: FailingCall, path: string, mutates: boolean): Promise<void> {
    await null;
    if (this.#dead) await never();
    if (mutates) {
      this.#calls += 1;
      this.#lastCall = `${call} ${path}`;
      if (this.#calls > this.#cutAfter) {
        this.#dead = true;
        // A write is half in the page cache, which its caller sees to; all else has not begun.
        if (call === 'write') return;
        this.#die();
        await never();
      }
    }
    for (const entry of this.#failures) {
      const { failure } = entry;
      if (entry.done || !failure.of(call, path) || entry.seen++ < failure.from) continue;
      entry.done = !failure.forEver;
      throw problem(failure.fault, path, call);
    }
  }

  /** Puts bytes into the page cache; in pieces, since that is how an operating system may take them. */
  #write(inode: Inode, position: number, bytes: Buffer): void {
    const end = position + bytes.length;
    if (bytes.length > 0 && end > inode.cached.length) resize(inode, 'cached', end);
    bytes.copy(inode.cached, position);
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + this.#random.below(bytes.length - at);
      this.#changed({ kind: 'bytes', inode, position: position + at, bytes: bytes.subarray(at, at + size) });
      at += size;
    }
  }

  #firstPart(bytes: Buffer): Buffer {
    // None of it and all of it are as likely as anything between.
    const [none, all] = [this.#random.below(3) === 0, this.#random.below(3) === 0];
    return none ? bytes.subarray(0, 0) : all ? bytes : bytes.subarray(0, this.#random.below(bytes.length + 1));
  }

  #name(entries: readonly Entry[]): void {
    for (const { folder, name, node } of entries) {
      if (node === null) folder.cached.delete(name);
      else folder.cached.set(name, node);
    }
    this.#changed({ kind: 'names', entries });
  }

  #changed(effect: Effect): void {
    this.#changes.push({ ...effect, number: ++this.#made });
  }

  /** `promised` is how many changes had been made when the sync began. */
  #syncInode(inode: Inode, promised: number): void {
    this.#persistWhere((change) => change.kind !== 'names' && change.inode === inode && change.number <= promised);
  }

  #syncNames(folder: Folder): void {
    this.#persistWhere((change) => change.kind === 'names' && change.entries.some((entry) => entry.folder === folder));
  }

  #persistWhere(concerned: (change: Change) => boolean): void {
    const left: Change[] = [];
    for (const change of this.#changes) {
      if (concerned(change)) persist(change);
      else left.push(change);
    }
    this.#changes = left;
  }

  #surviving(cut: PowerCut): Effect[] {
    const changes = this.#changes;
    switch (cut) {
      case 'nothing':
        return [];
      case 'all':
        return changes;
      case 'prefix':
        return changes.slice(0, this.#random.below(changes.length + 1));
      case 'torn': {
        const moment = this.#random.below(changes.length + 1);
        return [...changes.slice(0, moment), ...changes.slice(moment, moment + 1).flatMap((one) => this.#sectors(one))];
      }
      case 'reordered':
        return changes.flatMap((change) => this.#sectors(change));
    }
  }

  /** Some of the sectors that a change touches, one of them perhaps half; a change of names whole or not. */
  #sectors(change: Effect): Effect[] {
    if (change.kind !== 'bytes') return this.#random.below(2) === 0 ? [change] : [];
    const { inode, position, bytes } = change;
    const kept: Effect[] = [];
    // The size may survive without the bytes, which are zeros then.
    if (this.#random.below(2) === 0) {
      kept.push({ kind: 'size', inode, sizeBytes: Math.max(inode.durable.length, position + bytes.length) });
    }
    for (let at = 0; at < bytes.length; ) {
      const size = Math.min(bytes.length - at, SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
      const outcome = this.#random.below(8);
      const keptBytes = outcome < 4 ? size : outcome === 4 ? this.#random.below(size) : 0;
      if (keptBytes > 0) {
        kept.push({ kind: 'bytes', inode, position: position + at, bytes: bytes.subarray(at, at + keptBytes) });
      }
      at += size;
    }
    return kept;
  }

  #find(path: string): Node | null {
    let node: Node = this.#root;
    for (const name of partsOf(path)) {
      if (!isFolder(node)) throw problem('ENOTDIR', path);
      const next: Node | undefined = node.cached.get(name);
      if (next === undefined) return null;
      node = next;
    }
    return node;
  }

  #parent(path: string): { folder: Folder; name: string } {
    const parts = partsOf(path);
    const name = parts.pop()!;
    const folder = this.#find(parts.join('/'));
    if (folder === null) throw problem('ENOENT', path);
    if (!isFolder(folder)) throw problem('ENOTDIR', path);
    return { folder, name };
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function never(): Promise<never> {
  return new Promise(() => {});
}
