/*
 * Consumes a topic in a group with @platformatic/kafka until SIGTERM, then leaves:
 * node platformatic-group.ts BOOTSTRAP TOPIC GROUP eager|consumer
 * Prints `+ P,P` when partitions are assigned and `P O` for each record handled, before its offset is committed.
 */
import { Consumer, type ConsumerOptions } from '@platformatic/kafka';

const [bootstrap = '', topic = '', groupId = '', protocol = ''] = process.argv.slice(2);
type Options = ConsumerOptions<Buffer, Buffer, Buffer, Buffer>;
const spoken: Partial<Options> =
  protocol === 'consumer' ? { groupProtocol: 'consumer' } : { sessionTimeout: 6_000, heartbeatInterval: 1_000 };
const consumer = new Consumer<Buffer, Buffer, Buffer, Buffer>({
  clientId: 'foreign',
  bootstrapBrokers: [bootstrap],
  groupId,
  retries: 100,
  retryDelay: 200,
  ...spoken,
} as Options);
consumer.on('error', (error: Error) => process.stderr.write(`${error.message}\n`));
/** The list is another one after each change, of which not every protocol's brings an event. */
let assignments: unknown;
function tellAssigned(): void {
  if (consumer.assignments === assignments) return;
  assignments = consumer.assignments;
  const own = (consumer.assignments ?? []).filter((one) => one.topic === topic).flatMap((one) => one.partitions);
  process.stdout.write(`+ ${own.join(',')}\n`);
}
let leaving = false;
process.once('SIGTERM', async () => {
  leaving = true;
  await consumer.close(true);
  // Closed while it rejoins, it has left the group, but tries to send heartbeats for ever.
  process.exit();
});
while (!leaving) {
  try {
    const stream = await consumer.consume({
      topics: [topic],
      mode: 'committed',
      fallbackMode: 'earliest',
      autocommit: false,
    });
    for await (const message of stream) {
      tellAssigned();
      process.stdout.write(`${message.partition} ${message.offset}\n`);
      // What cannot be committed is handled again by whoever has the partition then.
      void Promise.resolve(message.commit()).catch((error: Error) => process.stderr.write(`${error.message}\n`));
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
  }
}
