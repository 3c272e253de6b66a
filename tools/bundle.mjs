// Bundles src/ into a few files of the folder that is named, since opening a file for each module is most of what a start takes. What commands
// load on demand stays in files of its own. Dependencies are not taken in, nor is the file of layouts.
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...names) => path.join(root, ...names);
const [target] = process.argv.slice(2);

const bundle = await rolldown({
  input: { index: at('src', 'index.ts'), cli: at('src', 'cli', 'main.ts') },
  external: (id) => !id.startsWith('.') && !path.isAbsolute(id),
  platform: 'node',
  onLog: (level, log, say) => {
    if (level === 'warn') throw new Error(log.message);
    say(level, log);
  },
});
// All lie side by side, so that what code finds relative to its own file is the same for each.
await bundle.write({ dir: target, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' });
copyFileSync(at('src', 'wire', 'messages.txt'), path.join(target, 'messages.txt'));
