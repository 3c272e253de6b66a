import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic from its start without a group, which ConsumerPerformance cannot, with the Java consumer's own settings.
 * Arguments: bootstrap topic records warmup-records. Prints: records bytes seconds, of what came after the warm-up.
 */
public class ConsumePartitions {
    public static void main(String[] args) {
        String topic = args[1];
        long recordsWanted = Long.parseLong(args[2]);
        long warmupRecords = Long.parseLong(args[3]);
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "enable.auto.commit", "false");
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long records = 0;
            long measuredRecords = 0;
            long measuredBytes = 0;
            long startNanos = 0;
            while (records < recordsWanted) {
                boolean warm = records >= warmupRecords;
                if (warm && startNanos == 0) startNanos = System.nanoTime();
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(10))) {
                    records++;
                    if (warm) {
                        measuredRecords++;
                        measuredBytes += record.value().length;
                    }
                }
            }
            double seconds = (System.nanoTime() - startNanos) / 1e9;
            System.out.println(measuredRecords + " " + measuredBytes + " " + seconds);
        }
    }
}
