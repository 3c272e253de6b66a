import { plantedBugs } from './list.ts';
import type { Catch, PlantedBug } from './planted-bug.ts';

/** What docs/planted-bugs.md says of each bug. */
export function plantedBugEntries(): string {
  return Object.entries(plantedBugs)
    .map(([part, bugs]) => `## ${part}\n\n${bugs.map(entry).join('\n')}`)
    .join('\n\n');
}

function entry({ name, wrong, file, caughtBy }: PlantedBug): string {
  const [first, ...others] = caughtBy.map(caught);
  const also = others.length === 0 ? '' : `; also by ${others.join(', and by ')}`;
  return `- **${capitalized(name)}** (\`${file}\`). ${wrong}\n  Caught by ${first}${also}.`;
}

function caught(by: Catch): string {
  if (by.kind === 'test') return `“${by.name}” in \`${by.file}\``;
  const seeds = by.seeds === 1 ? `seed ${by.from}` : `${by.seeds} seeds from ${by.from}`;
  return `the simulation, ${seeds}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
