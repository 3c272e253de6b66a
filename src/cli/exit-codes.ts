import { Fault, type FaultName } from '../base/faults.ts';
import { CommandFailed } from './command-failed.ts';
import { UsageError } from './usage-error.ts';

/** What the process ends with. Scripts depend on these: a number never changes its meaning. */
export const exitCodes = {
  ok: 0,
  /** Anything that has no number of its own: a file that cannot be read, a bug. */
  failure: 1,
  /** The command line, an environment variable or the configuration file asks for what cannot be. */
  usage: 2,
  /** No broker answers there, or not in time. */
  unreachable: 3,
  /** The broker refused: it does not know the topic, has it already, does not allow it. */
  refused: 4,
  /** The data folder cannot be used: in use, of a newer format, damaged, somebody else's, read-only, its disk full. */
  dataFolder: 5,
  /** The address to listen on is in use, or none of this machine's. */
  address: 6,
  /** Stored records, or what leads to them, are not what was written. */
  damaged: 7,
  /** `serve` only: the broker stopped itself, because its disk failed or one of its own checks did. */
  stoppedItself: 8,
  /** `replay --exec` only: the command that was given the records failed. */
  commandFailed: 9,
  /** `log verify` only: nothing is worse than an end that is torn, or a wrong index, which a broker mends by itself. What a crash tears was promised to nobody; what the disk has changed since may look the same. */
  mendsItself: 10,
  /** Ended by Ctrl-C, as shells count: 128 and the signal's number. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

const byFault: Partial<Record<FaultName, number>> = {
  invalidArgument: exitCodes.usage,
  replayIntoItself: exitCodes.usage,
  replayCheckpointMismatch: exitCodes.usage,
  damagedCheckpoint: exitCodes.usage,
  connectionFailed: exitCodes.unreachable,
  connectionClosed: exitCodes.unreachable,
  requestTimedOut: exitCodes.unreachable,
  deliveryTimedOut: exitCodes.unreachable,
  malformedResponse: exitCodes.unreachable,
  brokerStopped: exitCodes.unreachable,
  diskError: exitCodes.dataFolder,
  diskFull: exitCodes.dataFolder,
  diskFullAtStart: exitCodes.dataFolder,
  notAFolder: exitCodes.dataFolder,
  foreignFolder: exitCodes.dataFolder,
  nestedFolder: exitCodes.dataFolder,
  readOnlyDisk: exitCodes.dataFolder,
  folderInUse: exitCodes.dataFolder,
  folderTooNew: exitCodes.dataFolder,
  damagedMetadata: exitCodes.dataFolder,
  portInUse: exitCodes.address,
  addressUnavailable: exitCodes.address,
  corruptBatch: exitCodes.damaged,
  invalidBatch: exitCodes.damaged,
  damagedFiles: exitCodes.damaged,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof CommandFailed) return exitCodes.commandFailed;
  if (error instanceof Fault) return byFault[error.fault] ?? exitCodes.refused;
  return exitCodes.failure;
}
