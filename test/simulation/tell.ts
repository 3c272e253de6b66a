import { type Operation, type Place, placeName } from './history.ts';
import type { Failure, Run } from './world.ts';

/** Operations told of a failure: those that show it, and the last that touched the same place. */
const OPERATIONS_TOLD = 40;

/** What was wrong in a run, for whoever must find out why. */
export function tell(run: Run, failuresMax = 3): string {
  const told = run.failures.slice(0, failuresMax).map((failure) => tellFailure(run, failure));
  const more = run.failures.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('\n\n');
}

function tellFailure(run: Run, { what, says, violation }: Failure): string {
  if (violation === null) return says;
  const where = [violation.place && placeName(violation.place), violation.group].filter(Boolean).join(' ');
  const heading = `${what} in ${where}${violation.offsets.length > 0 ? ` at ${violation.offsets.join(', ')}` : ''}: ${short(says)}`;
  const shown = new Set(violation.operations.map(({ index }) => index));
  const { place } = violation;
  const around = place === null ? [] : run.history.operations.filter((op) => touches(op, place) || op.kind === 'crash');
  const lastShown = Math.max(-1, ...shown);
  const others = around.filter(({ index }) => index <= lastShown && !shown.has(index)).slice(-OPERATIONS_TOLD);
  const all = [...violation.operations, ...others].sort((a, b) => a.index - b.index);
  return [heading, ...all.map((op) => `  ${shown.has(op.index) ? '>' : ' '} ${tellOperation(op)}`)].join('\n');
}

function touches({ call }: Operation, place: Place): boolean {
  return 'place' in call && placeName(call.place) === placeName(place);
}

function tellOperation(op: Operation): string {
  const ended = op.completed === null ? 'never' : op.completed.timeMs.toFixed(1);
  const outcome = op.outcome === 'ok' ? `ok ${short(JSON.stringify(op.result))}` : `${op.outcome} ${op.error}`;
  const call = short(JSON.stringify(op.call));
  return `${op.index} process ${op.process} ${op.invoked.timeMs.toFixed(1)} to ${ended}: ${op.kind} ${call} → ${outcome}`;
}

/** Values are padded; what they are padded with says nothing. */
function short(text: string): string {
  const shortened = text.replace(/x{4,}/g, '…');
  return shortened.length <= 700 ? shortened : `${shortened.slice(0, 700)} …`;
}
