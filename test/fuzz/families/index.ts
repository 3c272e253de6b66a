import type { Family } from '../family.ts';
import { blockSums, identityFile, stateContents } from './contents.ts';
import { groupBytes } from './groups.ts';
import { clusterLedger, groupsLedger } from './ledgers.ts';
import { codecs, recordBatches } from './records.ts';
import { indexes, journalRounds, messagePack, sealedFiles } from './state.ts';
import { frameSplitter, requestFrames, responseFrames } from './wire.ts';

/** Every decoder of bytes that come from outside: from a peer, or from a disk. */
export const families: readonly Family[] = [
  frameSplitter,
  requestFrames,
  responseFrames,
  recordBatches,
  ...codecs,
  messagePack,
  sealedFiles,
  journalRounds,
  indexes,
  groupBytes,
  stateContents,
  blockSums,
  identityFile,
  clusterLedger,
  groupsLedger,
];
