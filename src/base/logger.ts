/** What the broker and the SDK log through: the part of pino's interface that is used, so that a host can pass its own. */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

const ignore = (): void => {};

/** Says nothing: the default of an embedded broker and of the SDK. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** A logger that adds facts to each of its lines. */
export function loggerWith(logger: Logger, added: object): Logger {
  return {
    debug: (facts, message) => logger.debug({ ...added, ...facts }, message),
    info: (facts, message) => logger.info({ ...added, ...facts }, message),
    warn: (facts, message) => logger.warn({ ...added, ...facts }, message),
    error: (facts, message) => logger.error({ ...added, ...facts }, message),
  };
}
