/**
 * Every bound on what a peer, a file or a caller can make us hold, with its reason. What reaches a limit is pushed back
 * or refused with a fault; nothing is buffered without bound.
 */
export const limits = {
  /** A request frame. Kafka's own socket.request.max.bytes; a length prefix above it is refused before anything is allocated. */
  frameBytesMax: 100 * 1024 * 1024,
  /** A frame that the SDK accepts from a broker: a fetch of the largest batches a topic may hold. */
  responseBytesMax: 256 * 1024 * 1024,
  /** Elements of one array in a frame. A Kafka client that names 100,000 partitions stays far below. */
  arrayElementsMax: 1_000_000,
  /** Structs and strings in all arrays of one answer together. Each costs some 100 bytes of heap but as little as 2 of the frame. */
  responseElementsMax: 2_000_000,
  /** The same of one request, which costs more to answer. A small heap takes fewer: all in work may have a quarter of it, at 2 KiB each. */
  requestElementsMax: 200_000,
  /** Bytes of one record batch after decompression, whatever it claims. 1,000:1 bombs of a full frame end here. */
  decompressedBytesMax: 128 * 1024 * 1024,
  /** Batches for compacted topics that are decompressed at once to look for their keys, of those that hold more than 4 MiB: each may take twice decompressedBytesMax. */
  keyChecksAtOnceMax: 1,
  /** How long a produce request may wait for that. Past it its connection ends, and nothing of it, or of what came behind it, is stored: clients connect anew and send all of it again, in order. Else a crowd of them would hold its bytes for hours. */
  keyChecksWaitMaxMs: 30_000,
  /** Records in one batch; the header's count is checked against it before anything is allocated. */
  batchRecordsMax: 10_000_000,
  /** Bytes of one batch after decompression that compaction looks into; one that holds more is left as it is. */
  compactedBatchBytesMax: 64 * 1024 * 1024,
  /** … and records of it: each takes some 300 bytes of heap meanwhile. */
  compactedBatchRecordsMax: 200_000,
  /** Headers of one record. */
  recordHeadersMax: 100_000,
  /** Connections to one listener. */
  connectionsMax: 10_000,
  /** Requests of one connection that are not answered yet; past it the socket is not read. */
  requestsInFlightMax: 64,
  /** Request bytes held for one connection; past it the socket is not read. */
  connectionBytesInFlightMax: 100 * 1024 * 1024,
  /** Request bytes held for all connections together; past it no socket is read until some are answered. */
  totalBytesInFlightMax: 512 * 1024 * 1024,
  /** Response bytes queued to one reader that does not read; past it its requests are not started. */
  responseBytesQueuedMax: 64 * 1024 * 1024,
  /** Response bytes queued to all readers together. A quarter is kept for clients that ask for one thing at a time; of what else is left a fetch gets a quarter. */
  totalResponseBytesQueuedMax: 64 * 1024 * 1024,
  /** How long a peer may leave a full socket unread before it is disconnected. */
  stalledReaderTimeoutMs: 60_000,
  /** How long a peer may be silent in the middle of a request before it is disconnected: what it has sent takes memory. */
  stalledSenderTimeoutMs: 60_000,
  /** Kafka's own limit on a topic's name; it leaves room for a partition's number in a file name of 255. */
  topicNameCharactersMax: 249,
  /** Partitions of one topic: each holds an open file and about 2 KB. */
  topicPartitionsMax: 10_000,
  /** Partitions of one broker. */
  partitionsMax: 100_000,
  /** Fetch sessions kept (KIP-227); the one unused for longest makes room. Kafka's max.incremental.fetch.session.cache.slots. */
  fetchSessionsMax: 1_000,
  /** Partitions in all fetch sessions together, each some 300 bytes; a client that names more gets no session. */
  fetchSessionPartitionsMax: 500_000,
  /** Bytes that one fetch gathers, whatever the client asks. Kafka's fetch.max.bytes of the broker. */
  fetchBytesMax: 55 * 1024 * 1024,
  /** How long a fetch may wait for data, whatever it asks. */
  fetchWaitMaxMs: 60_000,
  /** Groups that have settings of their own. */
  groupsWithSettingsMax: 10_000,
  /** Groups that have members or had them, and as many that hold offsets; each takes 1 KB and more. Further ones are refused. */
  groupsMax: 100_000,
  /** Member ids of one classic group that were given out and not joined with yet; past it newcomers are refused until some lapse. */
  groupPendingMembersMax: 10_000,
  /** Topics that one member of a group names; there cannot be more. */
  subscribedTopicsMax: 100_000,
  /** Characters of a pattern of topic names that a group's member subscribes to. */
  topicPatternCharactersMax: 1_000,
  /** Instructions of such a pattern when it is compiled: what one topic's name costs to match, and some 100 bytes each. */
  topicPatternInstructionsMax: 20_000,
  /** Such patterns kept compiled; the one unused for longest makes room. */
  topicPatternsMax: 1_000,
  /** Record bytes of sends that wait for room in a producer of the SDK, beyond its buffer; further ones are refused. */
  producerWaitingBytesMax: 512 * 1024 * 1024,
} as const;
