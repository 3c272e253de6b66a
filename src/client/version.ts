import { createRequire } from 'node:module';

/** This package's own. It is named and not a path, which would differ between the source and the build. */
export const packageVersion: string = (createRequire(import.meta.url)('millrace/package.json') as { version: string })
  .version;
