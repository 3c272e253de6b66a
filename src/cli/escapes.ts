import { UsageError } from './usage-error.ts';

const simple: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, '0': 0x00, '\\': 0x5c };

/**
 * Bytes of a text in which \n, \r, \t, \0, \\ and \xNN stand for one byte each; anything else is UTF-8. `flag` is for the
 * message. @throws UsageError
 */
export function parseEscapes(text: string, flag: string): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', from)) {
    parts.push(Buffer.from(text.slice(from, at)));
    const hex = /^\\x([0-9a-fA-F]{2})/.exec(text.slice(at, at + 4))?.[1];
    const byte = hex === undefined ? simple[text.charAt(at + 1)] : Number.parseInt(hex, 16);
    if (byte === undefined) {
      throw new UsageError(
        `${flag}: "${text.slice(at, at + 4)}" is no escape; there are \\n, \\r, \\t, \\0, \\xNN and \\\\`,
      );
    }
    parts.push(Buffer.of(byte));
    from = at + (hex === undefined ? 2 : 4);
  }
  parts.push(Buffer.from(text.slice(from)));
  return Buffer.concat(parts);
}
