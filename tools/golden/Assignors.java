import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileOutputStream;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Writes the plans and the bytes that test/client/assignors.test.ts compares with: groups that come about, change and change again, with
 * what Kafka's own assignors make of them, and with each member's subscription and assignment as Kafka's clients write them. From the
 * repository's root:
 *
 *   java -cp "$KAFKA_HOME/*" tools/golden/Assignors.java test/client/fixtures/assignors.jsonl.gz
 */
public class Assignors {
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final int GROUPS = 12;
    static final int ROUNDS = 4;

    record Member(String id, String instance, List<String> topics) { }

    public static void main(String[] arguments) throws Exception {
        try (Writer out = new OutputStreamWriter(new GZIPOutputStream(new FileOutputStream(arguments[0])), StandardCharsets.UTF_8)) {
            for (String name : List.of("range", "roundrobin", "sticky", "cooperative-sticky")) {
                for (int seed = 0; seed < GROUPS; seed++) group(name, new Random(seed), seed % 2 == 0, out);
            }
        }
    }

    static ConsumerPartitionAssignor assignor(String name) {
        return switch (name) {
            case "range" -> new RangeAssignor();
            case "roundrobin" -> new RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            default -> new CooperativeStickyAssignor();
        };
    }

    /** A group through some rounds, between which members come and go and topics grow. */
    static void group(String name, Random random, boolean uniform, Writer out) throws Exception {
        Map<String, Integer> counts = new TreeMap<>();
        for (int topic = 0; topic < 1 + random.nextInt(4); topic++) counts.put("topic-" + topic, 1 + random.nextInt(9));
        List<Member> members = new ArrayList<>();
        for (int member = 0; member < 1 + random.nextInt(4); member++) members.add(newMember(random, counts, uniform));
        Map<String, List<TopicPartition>> had = new TreeMap<>();
        for (int generation = 1; generation <= ROUNDS; generation++) {
            had = round(name, members, counts, had, generation, out);
            if (random.nextBoolean()) members.add(newMember(random, counts, uniform));
            else if (members.size() > 1) members.remove(random.nextInt(members.size()));
            if (random.nextInt(3) == 0) counts.merge("topic-0", 2, Integer::sum);
        }
    }

    static Member newMember(Random random, Map<String, Integer> counts, boolean uniform) {
        List<String> topics = new ArrayList<>(counts.keySet());
        String always = topics.get(random.nextInt(topics.size()));
        if (!uniform) topics.removeIf(topic -> !topic.equals(always) && random.nextInt(3) == 0);
        String instance = random.nextInt(4) == 0 ? "instance-" + random.nextInt(1000) : null;
        return new Member("member-" + Integer.toHexString(random.nextInt()), instance, topics);
    }

    static Map<String, List<TopicPartition>> round(String name, List<Member> members, Map<String, Integer> counts,
            Map<String, List<TopicPartition>> had, int generation, Writer out) throws Exception {
        ObjectNode json = MAPPER.createObjectNode().put("assignor", name);
        json.set("counts", MAPPER.valueToTree(counts));
        ArrayNode jsonMembers = json.putArray("members");
        Map<String, Subscription> subscriptions = new TreeMap<>();
        for (Member member : members) {
            ConsumerPartitionAssignor own = assignor(name);
            List<TopicPartition> owned = had.getOrDefault(member.id, List.of());
            int since = had.containsKey(member.id) ? generation - 1 : -1;
            if (since >= 0) {
                own.onAssignment(new Assignment(owned), new ConsumerGroupMetadata("group", since, member.id, Optional.empty()));
            }
            ByteBuffer userData = own.subscriptionUserData(Set.copyOf(member.topics));
            // Eager members have given everything up when they join.
            boolean keeps = name.startsWith("cooperative");
            Subscription subscription =
                new Subscription(member.topics, userData, keeps ? owned : List.of(), since, Optional.empty());
            subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
            subscriptions.put(member.id, subscription);
            ObjectNode one = jsonMembers.addObject().put("memberId", member.id).put("instanceId", member.instance);
            one.set("topics", MAPPER.valueToTree(member.topics));
            one.set("had", byTopic(owned));
            one.put("generation", since).put("bytes", hex(ConsumerProtocol.serializeSubscription(subscription)));
        }
        Map<String, Assignment> plan = assignor(name).assign(cluster(counts), new GroupSubscription(subscriptions)).groupAssignment();
        ObjectNode jsonPlan = json.putObject("plan");
        Map<String, List<TopicPartition>> has = new TreeMap<>();
        for (Member member : members) {
            List<TopicPartition> assigned = sorted(plan.get(member.id).partitions());
            has.put(member.id, assigned);
            ObjectNode one = jsonPlan.putObject(member.id);
            one.set("partitions", byTopic(assigned));
            one.put("bytes", hex(ConsumerProtocol.serializeAssignment(new Assignment(assigned))));
        }
        out.write(MAPPER.writeValueAsString(json) + "\n");
        return has;
    }

    static Cluster cluster(Map<String, Integer> counts) {
        Node node = new Node(0, "localhost", 9092);
        List<PartitionInfo> partitions = new ArrayList<>();
        counts.forEach((topic, count) -> {
            for (int at = 0; at < count; at++) partitions.add(new PartitionInfo(topic, at, node, new Node[] {node}, new Node[] {node}));
        });
        return new Cluster("cluster", List.of(node), partitions, Set.of(), Set.of());
    }

    static List<TopicPartition> sorted(List<TopicPartition> partitions) {
        TreeSet<TopicPartition> all = new TreeSet<>((a, b) ->
            a.topic().equals(b.topic()) ? a.partition() - b.partition() : a.topic().compareTo(b.topic()));
        all.addAll(partitions);
        return new ArrayList<>(all);
    }

    static ArrayNode byTopic(List<TopicPartition> partitions) {
        ArrayNode topics = MAPPER.createArrayNode();
        Map<String, List<Integer>> found = new TreeMap<>();
        for (TopicPartition one : partitions) found.computeIfAbsent(one.topic(), topic -> new ArrayList<>()).add(one.partition());
        found.forEach((topic, of) -> topics.addObject().put("topic", topic).set("partitions", MAPPER.valueToTree(of)));
        return topics;
    }

    static String hex(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
