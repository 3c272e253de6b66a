#!/usr/bin/env node
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`millrace: Node ${process.versions.node} is too old; install Node 22.18 or later`);
  process.exit(1);
}
await import('../dist/cli.js');
