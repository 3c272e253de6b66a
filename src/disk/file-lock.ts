import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../base/faults.ts';
import type { DiskLock } from './disk.ts';

/**
 * A lock on a file that lives exactly as long as its process, however that ends. Node itself offers no file locks, but
 * its SQLite does: a transaction held open on an empty database is one lock of the operating system (fcntl on Unix),
 * seen by other processes, other containers on the same volume, and other brokers in this process. Nothing is ever
 * written to the file.
 */
export async function lockFile(path: string): Promise<DiskLock | null> {
  const { DatabaseSync } = sqlite();
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    const held = database;
    return {
      release: async () => {
        if (held.isOpen) held.close();
      },
    };
  } catch (error) {
    database?.close();
    const { errcode: extended = 0, message } = error as { errcode?: number; message: string };
    const errcode = extended & SQLITE_PRIMARY_CODE;
    if (errcode === SQLITE_BUSY) return null;
    throw new Fault(errcode === SQLITE_READONLY || errcode === SQLITE_CANTOPEN ? 'readOnlyDisk' : 'diskError', {
      detail: `cannot lock ${path}: ${message}`,
      cause: error,
    });
  }
}

/** The bits above it say in which of several ways the same thing happened. */
const SQLITE_PRIMARY_CODE = 0xff;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_CANTOPEN = 14;

/** Loads SQLite without the "experimental" warning that Node 22 and 24 print at its first use: no user of ours can act on it. */
function sqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}
