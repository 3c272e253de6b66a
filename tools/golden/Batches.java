import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;

/**
 * Record batches as Apache Kafka's own Java code writes and reads them.
 *
 *   java -cp "$KAFKA_HOME/*" tools/golden/Batches.java write > test/record/fixtures/java-batches.jsonl
 *   java -cp "$KAFKA_HOME/*" tools/golden/Batches.java read < batches
 *
 * `write` prints one line for each batch of a fixed set, `read` one for each batch that stands end to end in its input.
 * A line is JSON: the batch's bytes (write only), its header's fields and its records, all as Java reads them back.
 */
public class Batches {
    static final long BASE_MS = 1_700_000_000_000L;
    static final PrintStream OUT = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write")) {
            for (CompressionType compression : CompressionType.values()) writeAll(compression);
            MemoryRecords marker = MemoryRecords.withEndTransactionMarker(42, BASE_MS, 3, 7001, (short) 5,
                new EndTransactionMarker(ControlRecordType.COMMIT, 9));
            print("commit marker", marker);
        } else {
            MemoryRecords all = MemoryRecords.readableRecords(ByteBuffer.wrap(System.in.readAllBytes()));
            for (MutableRecordBatch batch : all.batches()) OUT.println(describe("", batch, null));
        }
    }

    static void writeAll(CompressionType type) throws Exception {
        String name = type.name + " ";
        for (TimestampType time : new TimestampType[] {TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME}) {
            print(name + time.name, build(type, time, shapes()));
        }
        print(name + "many", build(type, TimestampType.CREATE_TIME, many(20)));
        // Several blocks or chunks in the codecs that cut what they compress into such.
        print(name + "large", build(type, TimestampType.CREATE_TIME, large(type == CompressionType.NONE ? 3_000 : 150_000)));
        print(name + "idempotent", MemoryRecords.withIdempotentRecords(0L, Compression.of(type).build(), 9_007_199_254_740_000L,
            (short) 32767, Integer.MAX_VALUE - 1, 17, shapes()));
        print(name + "transactional", MemoryRecords.withTransactionalRecords(5_000_000_000L, Compression.of(type).build(), 12L,
            (short) 1, 0, 2, shapes()));
    }

    static MemoryRecords build(CompressionType type, TimestampType time, SimpleRecord... records) {
        return MemoryRecords.withRecords(RecordBatch.MAGIC_VALUE_V2, 100L, Compression.of(type).build(), time, records);
    }

    /** Keys and values null, empty and not; headers; times that run back, far ahead, and one that is not known. */
    static SimpleRecord[] shapes() {
        Header[] headers = {new RecordHeader("", bytes("")), new RecordHeader("naïve ☃", null), new RecordHeader("a", bytes("b"))};
        return new SimpleRecord[] {
            new SimpleRecord(BASE_MS, bytes("key"), bytes("value")),
            new SimpleRecord(BASE_MS - 1, null, bytes("no key")),
            new SimpleRecord(BASE_MS + 64, bytes("no value"), null),
            new SimpleRecord(BASE_MS + 4_000_000_000L, (byte[]) null, null),
            new SimpleRecord(-1, bytes(""), bytes("")),
            new SimpleRecord(0, bytes("h"), bytes("headers"), headers),
        };
    }

    static SimpleRecord[] many(int count) {
        SimpleRecord[] records = new SimpleRecord[count];
        for (int i = 0; i < count; i++) {
            records[i] = new SimpleRecord(BASE_MS + i * 37L, bytes("customer-" + i % 7), bytes("{\"order\":" + i + ",\"state\":\"paid\"}"));
        }
        return records;
    }

    /** What compresses, then what does not. */
    static SimpleRecord[] large(int size) {
        byte[] random = new byte[2_000];
        new Random(7).nextBytes(random);
        byte[] text = "It was the best of times, it was the worst of times; ".repeat(size / 53 + 1).substring(0, size)
            .getBytes(StandardCharsets.UTF_8);
        return new SimpleRecord[] {new SimpleRecord(BASE_MS, null, text), new SimpleRecord(BASE_MS, bytes("random"), random)};
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void print(String name, MemoryRecords records) throws Exception {
        byte[] bytes = new byte[records.sizeInBytes()];
        records.buffer().duplicate().get(bytes);
        for (MutableRecordBatch batch : records.batches()) OUT.println(describe(name, batch, bytes));
    }

    static String describe(String name, MutableRecordBatch batch, byte[] bytes) throws Exception {
        batch.ensureValid();
        List<String> records = new ArrayList<>();
        for (Record record : batch) records.add(describe(record));
        return "{\"name\":\"" + name + "\""
            + (bytes == null ? "" : ",\"bytes\":\"" + java.util.Base64.getEncoder().encodeToString(bytes) + "\"")
            + ",\"baseOffset\":" + batch.baseOffset() + ",\"lastOffset\":" + batch.lastOffset()
            + ",\"leaderEpoch\":" + batch.partitionLeaderEpoch() + ",\"crc\":" + batch.checksum()
            + ",\"compression\":\"" + batch.compressionType().name + "\",\"timestampType\":\"" + batch.timestampType().name + "\""
            + ",\"isTransactional\":" + batch.isTransactional() + ",\"isControl\":" + batch.isControlBatch()
            + ",\"maxTimestamp\":" + batch.maxTimestamp() + ",\"producerId\":" + batch.producerId()
            + ",\"producerEpoch\":" + batch.producerEpoch() + ",\"baseSequence\":" + batch.baseSequence()
            + ",\"lastSequence\":" + batch.lastSequence() + ",\"recordCount\":" + batch.countOrNull()
            + ",\"records\":[" + String.join(",", records) + "]}";
    }

    static String describe(Record record) throws Exception {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            headers.add("{\"key\":" + digest(bytes(header.key())) + ",\"value\":" + digest(header.value()) + "}");
        }
        return "{\"offset\":" + record.offset() + ",\"timestampMs\":" + record.timestamp()
            + ",\"key\":" + digest(array(record.key())) + ",\"value\":" + digest(array(record.value()))
            + ",\"headers\":[" + headers.stream().collect(Collectors.joining(",")) + "]}";
    }

    static byte[] array(ByteBuffer buffer) {
        if (buffer == null) return null;
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    /** Short bytes in hex, others by their SHA-256, so that lines stay small. */
    static String digest(byte[] bytes) throws Exception {
        if (bytes == null) return "null";
        if (bytes.length <= 100) return "\"" + HexFormat.of().formatHex(bytes) + "\"";
        return "\"sha256:" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes)) + "\"";
    }
}
