import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const root = path.join(import.meta.dirname, '../..');

/** README.md and all below docs/, relative to the project's folder. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => path.join('docs', file))
    .sort(),
];

export function readPage(page: string): string {
  return readFileSync(path.join(root, page), 'utf8');
}

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** What stands behind the fence: a language, and for a file its name. */
  readonly language: string;
  readonly fileName: string | null;
  readonly text: string;
  /** The block `text` that follows with nothing between: what this one prints. */
  readonly output: string | null;
}

export function blocksOf(page: string): Block[] {
  const found = readPage(page).matchAll(/^```(\w*) ?(\S*)\n(.*?)^```\n(\n```text\n(.*?)^```\n)?/gms);
  return Array.from(found, ({ index, 1: language = '', 2: fileName, 3: text = '', 5: output }) => ({
    page,
    line: readPage(page).slice(0, index).split('\n').length,
    language,
    fileName: fileName === '' ? null : fileName!,
    text,
    output: output ?? null,
  }));
}

/** Whether a program printed what its page shows; `…` stands for anything in a line, and alone in it for any lines. */
export function prints(output: string, shown: string): boolean {
  const pattern = shown
    .split('\n')
    .map((line) => (line === '…' ? '(?:.*\\n)*?' : `${line.split('…').map(literal).join('.*')}\\n`))
    .join('')
    .replace(/\\n$/, '');
  return new RegExp(`^${pattern}$`).test(output);
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
