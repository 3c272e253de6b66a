import { UsageError } from './usage-error.ts';

/** `name=value` pairs; a value may hold more `=`. `flag` is for the message. @throws UsageError */
export function parsePairs(texts: readonly string[], flag: string): [name: string, value: string][] {
  return texts.map((text) => {
    const equals = text.indexOf('=');
    if (equals < 1) throw new UsageError(`${flag}: "${text}" has no value; write NAME=VALUE`);
    return [text.slice(0, equals), text.slice(equals + 1)];
  });
}
