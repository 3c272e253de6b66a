/*
 * What the simulated disk is made of: files and folders, each as the page cache has it and as the disk has it, and the
 * changes that are in the one and not in the other.
 */

/** A file's bytes, as the page cache has them and as the disk has them. */
export interface Inode {
  cached: Buffer;
  durable: Buffer;
  /** What those are the beginnings of, where they have grown. */
  readonly rooms: { cached: Buffer | null; durable: Buffer | null };
}

export interface Folder {
  readonly cached: Map<string, Node>;
  readonly durable: Map<string, Node>;
}

export type Node = Inode | Folder;

/** A change that is in the page cache and not on the disk yet, in the order in which all were made. */
export type Effect =
  | { readonly kind: 'bytes'; readonly inode: Inode; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'size'; readonly inode: Inode; readonly sizeBytes: number }
  /** Entries that change together or not at all: one, or the two of a rename. */
  | { readonly kind: 'names'; readonly entries: readonly Entry[] };

/** Numbered in that order. */
export type Change = Effect & { readonly number: number };

export interface Entry {
  readonly folder: Folder;
  readonly name: string;
  readonly node: Node | null;
}

export const newFolder = (): Folder => ({ cached: new Map(), durable: new Map() });
export const isFolder = (node: Node | undefined | null): node is Folder => node != null && node.cached instanceof Map;

export function persist(change: Effect): void {
  if (change.kind === 'names') {
    for (const { folder, name, node } of change.entries) {
      if (node === null) folder.durable.delete(name);
      else folder.durable.set(name, node);
    }
  } else if (change.kind === 'size') resize(change.inode, 'durable', change.sizeBytes);
  else {
    const { inode, position, bytes } = change;
    if (position + bytes.length > inode.durable.length) resize(inode, 'durable', position + bytes.length);
    bytes.copy(inode.durable, position);
  }
}

/** Cuts, or grows with zeros. What grows again is given room to grow on: files are appended to, a little at a time. */
export function resize(inode: Inode, side: 'cached' | 'durable', sizeBytes: number): void {
  const bytes = inode[side];
  if (sizeBytes <= bytes.length) {
    inode[side] = bytes.subarray(0, sizeBytes);
    return;
  }
  let room = inode.rooms[side];
  if (room !== null && room.length >= sizeBytes) {
    // Of what was cut off something may be there still.
    room.fill(0, bytes.length, sizeBytes);
  } else {
    room = Buffer.alloc(bytes.length === 0 ? sizeBytes : 2 * sizeBytes);
    bytes.copy(room);
    inode.rooms[side] = room;
  }
  inode[side] = room.subarray(0, sizeBytes);
}

export const newInode = (cached: Buffer, durable: Buffer): Inode => ({
  cached,
  durable,
  rooms: { cached: null, durable: null },
});

export function copyDurable(folder: Folder, seen: Map<Node, Node>): Folder {
  const copy = newFolder();
  for (const [name, node] of folder.durable) {
    let twin = seen.get(node);
    if (twin === undefined) {
      twin = isFolder(node) ? copyDurable(node, seen) : newInode(Buffer.from(node.durable), Buffer.from(node.durable));
      seen.set(node, twin);
    }
    copy.cached.set(name, twin);
    copy.durable.set(name, twin);
  }
  return copy;
}
