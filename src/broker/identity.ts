import { Fault, isFault } from '../base/faults.ts';
import { type Random, randomUuid } from '../base/random.ts';
import { isIn, isUuid, objectOf } from '../base/shape.ts';
import type { LogContext } from '../log/log-context.ts';
import { readWhole, writeWhole } from '../log/sealed-file.ts';
import { crc32c } from '../record/crc32c.ts';

/** The broker's own ledgers, and what else lies in its folder: a folder that has one of these names may have been a broker's. */
const LEDGERS = ['cluster', 'groups'];
const BESIDE_LEDGERS = ['topics', 'journal'];
const JOURNAL_FILE = /^(?:\d+|proofs|reserve|quarantine)$/;

/** The version of everything in the data folder. A newer one is refused. */
const FORMAT = 1;
export const IDENTITY_FILE = 'millrace.json';

export interface Identity {
  readonly format: number;
  readonly clusterId: string;
  readonly nodeId: number;
}

/**
 * Who this broker is: written once, when its folder is new. @throws Fault folderTooNew; damagedMetadata when the file is
 * there and unreadable, or is missing where data is: nothing is made up for data that exists; foreignFolder where what is
 * there cannot be a broker's
 */
export async function loadIdentity(disk: LogContext['disk'], random: Random): Promise<Identity> {
  const bytes = await readWhole(disk, IDENTITY_FILE);
  if (bytes !== null) return identityIn(bytes.toString('utf8'));
  await checkIsNew(disk);
  const identity: Identity = { format: FORMAT, clusterId: randomUuid(random), nodeId: 1 };
  const sealed = { ...identity, checksum: checksumOf(identity) };
  await writeWhole(disk, IDENTITY_FILE, Buffer.from(`${JSON.stringify(sealed, null, 2)}\n`));
  await disk.syncFolder('.');
  return identity;
}

/**
 * Refuses a folder that holds something else than a broker's data, with nothing done to it: not even a lock is left there. What
 * may be a broker's is looked at by `loadIdentity`, behind the lock. @throws Fault foreignFolder
 */
export async function checkIsNotForeign(disk: LogContext['disk']): Promise<void> {
  try {
    if ((await disk.size(IDENTITY_FILE)) === null) await checkIsNew(disk);
  } catch (error) {
    if (!isFault(error, 'damagedMetadata')) throw error;
  }
}

/** @throws Fault damagedMetadata, foreignFolder */
async function checkIsNew(disk: LogContext['disk']): Promise<void> {
  const inLedger = await namesIn(disk, 'ledger');
  const isLedgerFree = inLedger?.length === 0;
  const inTopics = await namesIn(disk, 'topics');
  const inJournal = await namesIn(disk, 'journal');
  if (isLedgerFree && inTopics?.length === 0 && inJournal?.length === 0) return;
  const beside = await disk.list('.');
  const isOurs = isLedgerFree
    ? inTopics?.some((name) => isUuid(name)) || inJournal?.some((name) => JOURNAL_FILE.test(name))
    : LEDGERS.some((name) => inLedger?.includes(name)) || BESIDE_LEDGERS.some((name) => beside.includes(name));
  if (isOurs === true) {
    const lost = isLedgerFree ? `${IDENTITY_FILE} and the files of ledger/cluster are` : `${IDENTITY_FILE} is`;
    throw new Fault('damagedMetadata', {
      detail: `${lost} missing; put ${isLedgerFree ? 'them' : 'it'} back from a backup`,
    });
  }
  const foreign = !isLedgerFree ? 'ledger' : inTopics?.length === 0 ? 'journal' : 'topics';
  throw new Fault('foreignFolder', { detail: `"${foreign}" in it is not a broker's` });
}

/** Null when there is a file in place of the folder. */
async function namesIn(disk: LogContext['disk'], folder: string): Promise<readonly string[] | null> {
  try {
    return await disk.list(folder);
  } catch (error) {
    if (error instanceof Fault && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOTDIR') return null;
    throw error;
  }
}

/** So that no changed letter passes for another cluster's id. */
export function checksumOf({ format, clusterId, nodeId }: Identity): string {
  return crc32c(Buffer.from(`${format} ${clusterId} ${nodeId}`))
    .toString(16)
    .padStart(8, '0');
}

const isIdentity = objectOf<Identity>({
  format: isIn(1, FORMAT),
  clusterId: isUuid,
  nodeId: isIn(0, 0x7fffffff),
});

/** @throws Fault damagedMetadata, folderTooNew */
export function identityIn(text: string): Identity {
  let identity: Partial<Identity & { checksum: string }>;
  try {
    identity = (JSON.parse(text) ?? {}) as typeof identity;
  } catch (cause) {
    throw new Fault('damagedMetadata', { detail: `${IDENTITY_FILE} is not JSON`, cause });
  }
  if (typeof identity.format === 'number' && identity.format > FORMAT) {
    throw new Fault('folderTooNew', { detail: `format ${identity.format}; this version reads up to ${FORMAT}` });
  }
  if (!isIdentity(identity)) {
    throw new Fault('damagedMetadata', {
      detail: `${IDENTITY_FILE} lacks format, clusterId or nodeId, or has one that cannot be`,
    });
  }
  const { format, clusterId, nodeId } = identity as Identity;
  const found = { format, clusterId, nodeId };
  if (identity.checksum !== checksumOf(found)) {
    throw new Fault('damagedMetadata', { detail: `the checksum of ${IDENTITY_FILE} is not that of what it holds` });
  }
  return found;
}
