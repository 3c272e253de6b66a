import { createRequire } from 'node:module';

/** This package's own. The path holds for the source and for the build. */
export const packageVersion: string = (createRequire(import.meta.url)('../../package.json') as { version: string })
  .version;
