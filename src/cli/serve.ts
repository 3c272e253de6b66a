import { lookup } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { Fault, isFault } from '../base/faults.ts';
import type { Logger } from '../base/logger.ts';
import type { RunningServer, ServerSetup } from '../compose.ts';
import { defineCommand, type Values } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { type HostPort, parseHostPort } from './host-port.ts';
import { parsePairs } from './key-value.ts';
import { JsonLogger, logLevels, textLogger } from './log-output.ts';
import { UsageError } from './usage-error.ts';

/** libuv's own default of 4 leaves too few for reading beside the two that sync. */
const THREADS = '8';

const flags = {
  data: { type: 'string', requiresArg: true, default: 'data', describe: 'The folder for everything that is stored' },
  listen: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'HOST:PORT; repeatable, port 0 takes a free one [default: 127.0.0.1:9092 and [::1]:9092]',
  },
  advertise: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe:
      'HOST:PORT that clients are told to connect to; one for all, or one for each --listen [default: where they came in]',
  },
  'allow-remote-without-login': {
    type: 'boolean',
    default: false,
    describe: 'Listen beyond this machine although anyone who reaches it can read and write everything',
  },
  set: {
    type: 'string',
    array: true,
    requiresArg: true,
    default: [],
    describe: "A broker setting by Kafka's name, NAME=VALUE; repeatable",
  },
  'log-level': {
    type: 'string',
    choices: logLevels,
    requiresArg: true,
    default: 'info',
    describe: 'The least that is logged',
  },
  'log-format': {
    type: 'string',
    choices: ['auto', 'text', 'json'],
    requiresArg: true,
    default: 'auto',
    describe: 'auto: text at a terminal, else JSON',
  },
} as const;

export const serve = defineCommand({
  syntax: 'serve',
  describe: 'Run a broker',
  positionals: {},
  flags,
  examples: [
    { run: '$0 serve', does: 'On port 9092 of this machine, in ./data' },
    { run: '$0 serve --data /var/lib/millrace --set num.partitions=4', does: 'Topics have four partitions by default' },
    {
      run: '$0 serve --listen 0.0.0.0:9092 --advertise broker.lan:9092 --allow-remote-without-login',
      does: 'For a trusted network',
    },
  ],
  notes:
    'Stops cleanly on Ctrl-C and SIGTERM; one more, a second or later, ends it at once.\nEvery flag is also an environment variable: MILLRACE_DATA, MILLRACE_LISTEN (with commas), MILLRACE_LOG_LEVEL …',
  async run(args) {
    process.env['UV_THREADPOOL_SIZE'] ??= THREADS;
    const setup = await setupOf(args);
    const asText = args.logFormat === 'text' || (args.logFormat === 'auto' && process.stdout.isTTY && !args.json);
    if (asText) return runServer(setup, textLogger(args.logLevel));
    const logger = new JsonLogger(args.logLevel);
    try {
      await runServer(setup, logger, () => logger.load());
    } finally {
      await logger.load();
    }
  },
});

async function setupOf(args: Values<typeof flags>): Promise<ServerSetup> {
  const settings = Object.fromEntries(parsePairs(args.set, '--set'));
  const advertise = (args.advertise ?? []).map((text) => parseHostPort(text, '--advertise'));
  if (advertise.some(({ host, port }) => host === '' || port === 0)) {
    throw new UsageError('--advertise: name both a host and a port, as clients can reach them');
  }
  if (args.listen === undefined) {
    if (advertise.length > 0) throw new UsageError('--advertise needs a --listen');
    return { dataFolder: args.data, settings };
  }
  const listen = args.listen.map((text) => parseHostPort(text, '--listen'));
  const far = listen.find(({ host }) => !isLoopback(host));
  if (far !== undefined && !args.allowRemoteWithoutLogin) {
    await checkKnown(far);
    throw new UsageError(
      `--listen ${far.host}:${far.port} is open to other machines, without a login; if that is meant, add --allow-remote-without-login`,
    );
  }
  if (advertise.length > 1 && advertise.length !== listen.length) {
    throw new UsageError(
      `--advertise is given ${advertise.length} times, --listen ${listen.length} times; give one for all, or one for each`,
    );
  }
  const listeners = listen.map(({ host, port }, index) => ({
    host: host === '' ? '::' : host,
    port,
    advertise: advertise[advertise.length === 1 ? 0 : index],
  }));
  return { dataFolder: args.data, settings, listen: listeners };
}

/** A name that nobody knows is open to nobody. @throws Fault addressUnavailable */
async function checkKnown({ host, port }: HostPort): Promise<void> {
  if (host === '') return;
  try {
    await lookup(host);
  } catch (cause) {
    throw new Fault('addressUnavailable', { detail: `${host}:${port} (no machine of this name is known)`, cause });
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Serves until a signal or a fatal failure. @throws Fault when it cannot start */
async function runServer(setup: ServerSetup, logger: Logger, onReady = async (): Promise<void> => {}): Promise<void> {
  const { startServer } = await import('../compose.ts');
  const signal = firstSignal();
  const start = startServer({ ...setup, logger }).catch((error: unknown) => {
    throw isFault(error, 'invalidConfig') ? new UsageError(`--set: ${error.message}`) : error;
  });
  const server = await Promise.race([signal, start]);
  if (typeof server === 'string') return endStart(start, server, logger, onReady);
  const at = server.addresses.map(addressText);
  logger.info({ data: setup.dataFolder, listen: at }, 'ready');
  warnOfContainer(setup.listen ?? [], logger);
  await onReady();
  const ended = await Promise.race([signal, server.fatal]);
  if (typeof ended === 'string') {
    logger.info({ signal: ended }, 'stopping');
    await server.close();
    logger.info({}, 'stopped');
  } else {
    logger.error({ err: ended }, 'stopped by a failure');
    await server.close();
    process.exitCode = exitCodes.stoppedItself;
  }
}

/** How long a start that is told to stop may take to come to where it can be closed. */
const START_GRACE_MS = 5000;

/**
 * A start cannot be broken off in its middle. One that does not end in time ends with the process, as it would by a crash:
 * the next start makes good for it. @throws Fault when it could not have started anyway
 */
async function endStart(
  start: Promise<RunningServer>,
  signal: NodeJS.Signals,
  logger: Logger,
  load: () => Promise<void>,
): Promise<void> {
  logger.info({ signal }, 'stopping before the start is done');
  const timer = setTimeout(() => {
    logger.warn({ signal }, 'ended in the middle of the start');
    endBy(signal);
  }, START_GRACE_MS);
  try {
    await load();
    const server = await start;
    await server.close();
  } finally {
    clearTimeout(timer);
  }
  logger.info({}, 'stopped');
}

/** Whoever signals a process and its group says one thing twice; a person takes longer to say it again. */
const SAME_SIGNAL_MS = 1000;

/** The first one is told to the caller; a later one ends the process at once. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    const onSignal = (signal: NodeJS.Signals): void => {
      const nowMs = performance.now();
      firstMs ??= nowMs;
      if (nowMs - firstMs > SAME_SIGNAL_MS) endBy(signal);
      resolve(signal);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

/** process.exit waits for calls of the disk, and one that never returns may be why it is not ended yet. Shells see 130 or 143. */
function endBy(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Inside a container clients come in by an address that mostly means nothing outside. */
function warnOfContainer(listen: NonNullable<ServerSetup['listen']>, logger: Logger): void {
  const inContainer = existsSync('/.dockerenv') || existsSync('/run/.containerenv');
  if (!inContainer || !listen.some(({ host, advertise }) => advertise === undefined && !isLoopback(host))) return;
  logger.warn(
    {},
    "clients outside this container are told the container's own address; name the host's with --advertise HOST:PORT",
  );
}

function addressText({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
