import { compactionBugs } from './bugs/compaction.ts';
import { groupBugs } from './bugs/groups.ts';
import { journalBugs } from './bugs/journal.ts';
import { ledgerBugs } from './bugs/ledger.ts';
import { logBugs } from './bugs/log.ts';
import { producerBugs } from './bugs/producers.ts';
import { recoveryBugs } from './bugs/recovery.ts';
import { retentionBugs } from './bugs/retention.ts';
import { serverBugs } from './bugs/server.ts';
import type { PlantedBug } from './planted-bug.ts';

/** All planted bugs, by the part of the system that they are in. */
export const plantedBugs: Readonly<Record<string, readonly PlantedBug[]>> = {
  Log: logBugs,
  Journal: journalBugs,
  Recovery: recoveryBugs,
  Retention: retentionBugs,
  Compaction: compactionBugs,
  Producers: producerBugs,
  Ledger: ledgerBugs,
  Groups: groupBugs,
  Server: serverBugs,
};

export const allBugs: readonly PlantedBug[] = Object.values(plantedBugs).flat();

/** Those whose names contain a text, in letters of either case. */
export function bugsNamed(text: string): readonly PlantedBug[] {
  return allBugs.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()));
}
