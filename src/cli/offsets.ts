import { systemClock } from '../base/clock.ts';
import { brokerFlags, defineCommand, partitionFlag } from './command.ts';
import { withAdmin } from './connect.ts';
import { parseMomentMs } from './duration.ts';
import { showFiles } from './offset-files.ts';
import { write, writeJson } from './output.ts';
import { table } from './table.ts';

export const offsets = defineCommand({
  syntax: 'offsets <topic>',
  describe: "Show where a topic's partitions begin and end, stood at a time, or lie in the files",
  positionals: { topic: { type: 'string', demandOption: true } },
  flags: {
    ...brokerFlags,
    ...partitionFlag,
    time: {
      type: 'string',
      requiresArg: true,
      describe: 'The first record from then on: 2026-05-01T12:00:00Z, milliseconds since 1970, or -2h',
    },
    segments: { type: 'boolean', default: false, describe: 'The files behind the offsets; of Millrace alone' },
    at: {
      type: 'number',
      requiresArg: true,
      describe: 'Where in the files this offset lies: segment, index entries, batch; of Millrace alone',
    },
  },
  examples: [
    { run: '$0 offsets orders', does: 'First offset, next offset, and how many between' },
    { run: '$0 offsets orders --time -2h', does: 'Where two hours ago is' },
    { run: '$0 offsets orders --segments', does: 'The files of each partition, oldest first' },
    { run: '$0 offsets orders -p 0 --at 1234', does: 'The batch of an offset, and how it is found' },
  ],
  notes: 'LATEST is the offset that the next record will get. AT TIME is - where no record is that young.',
  async run(args) {
    if (args.segments || args.at !== undefined) return showFiles(args);
    const timeMs = args.time === undefined ? null : parseMomentMs(args.time, systemClock.wallMs(), '--time');
    const chosen = args.partition === undefined ? {} : { partitions: args.partition };
    const rows = await withAdmin(args, async (admin) => {
      const [earliest, latest, atTime] = await Promise.all([
        admin.offsets(args.topic, 'earliest', chosen),
        admin.offsets(args.topic, 'latest', chosen),
        timeMs === null ? null : admin.offsets(args.topic, { time: timeMs }, chosen),
      ]);
      return [...earliest.keys()]
        .sort((a, b) => a - b)
        .map((partition) => {
          const begin = earliest.get(partition)!.offset;
          const end = latest.get(partition)!.offset;
          const found = atTime?.get(partition);
          return {
            partition,
            earliest: begin,
            latest: end,
            count: end - begin,
            ...(found && {
              atTime: found.offset < 0 ? null : found.offset,
              timestampMs: found.offset < 0 ? null : found.timestampMs,
            }),
          };
        });
    });
    if (args.json) return writeJson({ topic: args.topic, partitions: rows });
    const headings = ['PARTITION', 'EARLIEST', 'LATEST', 'COUNT', ...(timeMs === null ? [] : ['AT TIME'])];
    const cells = rows.map((row) => [
      row.partition,
      row.earliest,
      row.latest,
      row.count,
      ...(timeMs === null ? [] : [row.atTime ?? null]),
    ]);
    await write(table(headings, cells));
  },
});
