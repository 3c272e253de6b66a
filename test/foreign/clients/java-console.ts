import { fetchKafka, javaProgram } from '../../../tools/kafka.ts';
import { compressions, type ForeignClient } from './foreign-client.ts';

/** Kafka's own console producer and consumer, by class. */
export const javaConsole: ForeignClient = {
  name: 'java-console',
  compressions,
  prepare: async () => fetchKafka(),
  produce: ({ bootstrap, topic, compression }) =>
    javaProgram('org.apache.kafka.tools.ConsoleProducer', [
      ...['--bootstrap-server', bootstrap, '--topic', topic, '--compression-codec', compression],
      ...['--reader-property', 'parse.key=true', '--reader-property', 'key.separator=\t'],
      // Its own defaults, three retries and requests of 1.5 s, do not last through a restart.
      ...['--message-send-max-retries', '2147483647', '--request-timeout-ms', '30000', '--max-block-ms', '120000'],
    ]),
  consume: ({ bootstrap, topic, endsNext }) =>
    endsNext.flatMap((endNext, partition) =>
      endNext === 0
        ? []
        : javaProgram('org.apache.kafka.tools.consumer.ConsoleConsumer', [
            ...['--bootstrap-server', bootstrap, '--topic', topic, '--partition', String(partition)],
            ...['--offset', 'earliest', '--max-messages', String(endNext), '--timeout-ms', '60000'],
            ...['print.partition=true', 'print.offset=true', 'print.key=true'].flatMap((property) => [
              '--formatter-property',
              property,
            ]),
          ]),
    ),
};
