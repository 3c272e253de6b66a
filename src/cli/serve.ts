import { existsSync } from 'node:fs';
import type { Logger } from '../base/logger.ts';
import type { ServerSetup } from '../compose.ts';
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
    const setup = setupOf(args);
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

function setupOf(args: Values<typeof flags>): ServerSetup {
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

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Serves until a signal or a fatal failure. @throws Fault when it cannot start */
async function runServer(setup: ServerSetup, logger: Logger, onReady = async (): Promise<void> => {}): Promise<void> {
  const { startServer } = await import('../compose.ts');
  const signal = firstSignal();
  const server = await startServer({ ...setup, logger });
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

/** Whoever signals a process and its group says one thing twice; a person takes longer to say it again. */
const SAME_SIGNAL_MS = 1000;

/** The first one is told to the caller; a later one ends the process at once. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    const onSignal = (signal: NodeJS.Signals): void => {
      const nowMs = performance.now();
      firstMs ??= nowMs;
      if (nowMs - firstMs > SAME_SIGNAL_MS) {
        process.exit(signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated);
      }
      resolve(signal);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
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
