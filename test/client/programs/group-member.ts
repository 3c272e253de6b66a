/*
 * A member of a group that says on standard output what it handles: `<partition> <offset> <value>` a line. It never ends by itself.
 *   node group-member.ts HOST:PORT TOPIC PROTOCOL
 */
import { text } from '../../../src/client/codecs.ts';
import type { GroupProtocol } from '../../../src/client/consumer-options.ts';
import { Millrace } from '../../../src/client/millrace.ts';

const [broker = '', topic = '', protocol] = process.argv.slice(2);
const client = await Millrace.connect(broker);
const consumer = client.consumer({
  ...{ group: topic, topics: topic, protocol: protocol as GroupProtocol, value: text },
  ...{ autoCommitIntervalMs: 50, sessionTimeoutMs: 1_000, heartbeatIntervalMs: 200 },
});
for await (const { partition, offset, value } of consumer) {
  // Written when it is handled: a line that is out stands for a record that is done.
  await new Promise((resolve) => process.stdout.write(`${partition} ${offset} ${value}\n`, resolve));
}
