import { Fault } from '../../src/base/faults.ts';

export type FailingCall =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'folder';

/** Makes calls fail: those that `of` picks, from the `from`-th of them on (the first is 0), once or for ever. */
export interface Failure {
  readonly fault: 'EIO' | 'ENOSPC' | 'EMFILE';
  readonly of: (call: FailingCall, path: string) => boolean;
  readonly from: number;
  readonly forEver: boolean;
}

/** What a call of the disk fails with, as the real one tells it. */
export function problem(code: string, path: string, call: FailingCall | null = null): Fault {
  // A handle that is missing is missed before the folder is synced.
  const isSync = (call === 'sync' || call === 'syncFolder') && code !== 'EMFILE';
  const cause = Object.assign(new Error(`${code}: ${path}`), { code, syscall: isSync ? 'fsync' : undefined });
  return new Fault(code === 'ENOSPC' ? 'diskFull' : 'diskError', { detail: cause.message, cause });
}
