export type Cell = string | number | null;

const GAP = '  ';

/** Rows under headings, each column as wide as its widest cell, numbers to the right. Null cells show as `-`. */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map((cell) => (cell === null ? '-' : visible(String(cell)))));
  const widths = headings.map((heading, column) =>
    texts.reduce((width, row) => Math.max(width, row[column]!.length), heading.length),
  );
  const numeric = headings.map(
    (_, column) =>
      rows.some((row) => typeof row[column] === 'number') && rows.every((row) => typeof row[column] !== 'string'),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join(GAP)
      .trimEnd();
  return [headings, ...texts].map((cells) => `${line(cells)}\n`).join('');
}

/** Control characters as escapes: what a stranger stored must not move the cursor of who looks at it. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0);
    return code === 10 ? '\\n' : code === 13 ? '\\r' : code === 9 ? '\\t' : `\\x${code.toString(16).padStart(2, '0')}`;
  });
}

const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `512 B`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < binaryUnits.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${binaryUnits[unit]}`;
}
