/** APIs that Kafka does not have begin here; its own keys are far below. */
export const OWN_KEY_FIRST = 20_000;

/** How a client must call itself in ApiVersions to be told of them. Others may not take a key they do not know well. */
export const OWN_CLIENT_NAME = 'millrace';
