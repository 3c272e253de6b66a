import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileOutputStream;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.requests.RequestUtils;

/**
 * Writes the golden bytes that test/wire compares with: every request and response of the APIs in messages.txt, in every version that
 * Apache Kafka knows too, as Kafka's own classes write it, beside the same message as JSON. From the repository's root:
 *
 *   java -cp "$KAFKA_HOME/*" tools/golden/Messages.java src/wire/messages.txt test/wire/fixtures/messages.jsonl.gz
 *
 * Each message comes full (no field has its default), empty (all have), and with nulls (arrays have an element, whatever may be null is).
 */
public class Messages {
    static final byte[] RECORDS = "the records of a partition".getBytes(StandardCharsets.UTF_8);
    static final ObjectMapper MAPPER = new ObjectMapper();

    enum Variant { FULL, EMPTY, NULLS }

    static Writer out;
    /** Makes each value of a message another one. */
    static int counter;

    public static void main(String[] arguments) throws Exception {
        String layouts = Files.readString(Path.of(arguments[0]));
        Matcher heading = Pattern.compile("^# (\\d+) (\\w+)\\nrequest (\\d+)(?:-(\\d+))? ", Pattern.MULTILINE).matcher(layouts);
        try (Writer gzip = new OutputStreamWriter(new GZIPOutputStream(new FileOutputStream(arguments[1])), StandardCharsets.UTF_8)) {
            out = gzip;
            while (heading.find()) {
                ApiKeys api = ApiKeys.forId(Integer.parseInt(heading.group(1)));
                int first = Integer.parseInt(heading.group(3));
                int last = heading.group(4) == null ? first : Integer.parseInt(heading.group(4));
                for (int version = Math.max(first, api.oldestVersion()); version <= Math.min(last, api.latestVersion(true)); version++) {
                    for (Variant variant : Variant.values()) {
                        write(heading.group(2), api, (short) version, variant, true);
                        write(heading.group(2), api, (short) version, variant, false);
                    }
                }
            }
        }
    }

    static void write(String name, ApiKeys api, short version, Variant variant, boolean isRequest) throws Exception {
        counter = 0;
        ApiMessage message = isRequest ? api.messageType.newRequest() : api.messageType.newResponse();
        Schema schema = (isRequest ? api.messageType.requestSchemas() : api.messageType.responseSchemas())[version];
        if (variant != Variant.EMPTY) fill(message, schema, variant);
        ByteBuffer frame = isRequest
            ? RequestUtils.serialize(requestHeader(api, version), api.requestHeaderVersion(version), message, version)
            : RequestUtils.serialize(new ResponseHeaderData().setCorrelationId(77), api.responseHeaderVersion(version), message, version);
        byte[] bytes = new byte[frame.remaining()];
        frame.get(bytes);
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        JsonNode json = (JsonNode) converter.getMethod("write", message.getClass(), short.class).invoke(null, message, version);
        ObjectNode line = MAPPER.createObjectNode();
        line.put("api", name).put("direction", isRequest ? "request" : "response").put("version", version);
        line.put("variant", variant.name().toLowerCase()).put("frame", Base64.getEncoder().encodeToString(bytes)).set("message", json);
        out.write(MAPPER.writeValueAsString(line) + "\n");
    }

    static RequestHeaderData requestHeader(ApiKeys api, short version) {
        return new RequestHeaderData().setRequestApiKey(api.id).setRequestApiVersion(version).setCorrelationId(77).setClientId("golden");
    }

    /** Gives a value to every field that the schema of this version has. */
    static void fill(Message struct, Schema schema, Variant variant) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (var field : new TreeMap<>(tagged.fields()).values()) set(struct, field.name, field.type, variant);
            } else {
                set(struct, bound.def.name, bound.def.type, variant);
            }
        }
    }

    static void set(Message struct, String schemaName, org.apache.kafka.common.protocol.types.Type type, Variant variant) throws Exception {
        Field field = fieldOf(struct, schemaName);
        if (variant == Variant.NULLS && type.isNullable()) field.set(struct, null);
        else if (variant == Variant.FULL || !isScalar(type)) field.set(struct, value(field.getType(), field.getGenericType(), type, variant));
    }

    /** The schema writes topic_data where the class writes topicData. */
    static Field fieldOf(Message struct, String schemaName) {
        for (Field field : struct.getClass().getDeclaredFields()) {
            if (field.getName().equalsIgnoreCase(schemaName.replace("_", ""))) {
                field.setAccessible(true);
                return field;
            }
        }
        throw new IllegalStateException(struct.getClass() + " has no field for " + schemaName);
    }

    /** Records count as none: Kafka's classes do not write them where the version has no null for them. */
    static boolean isScalar(org.apache.kafka.common.protocol.types.Type type) {
        return type.arrayElementType().isEmpty() && !(type instanceof Schema) && !type.toString().contains("RECORDS");
    }

    static Object value(Class<?> of, Type generic, org.apache.kafka.common.protocol.types.Type type, Variant variant) throws Exception {
        if (Collection.class.isAssignableFrom(of)) return collection(of, generic, type, variant);
        counter++;
        if (Message.class.isAssignableFrom(of)) {
            var constructor = of.getDeclaredConstructor();
            constructor.setAccessible(true);
            Message struct = (Message) constructor.newInstance();
            fill(struct, (Schema) type, variant);
            return struct;
        }
        if (of == boolean.class) return true;
        if (of == byte.class || of == Byte.class) return (byte) (counter % 2 == 0 ? counter : -counter);
        if (of == short.class || of == Short.class) return (short) (1000 + counter);
        if (of == int.class) return type.toString().equals("UINT16") ? 60000 + counter : counter % 3 == 0 ? -100000 - counter : 100000 + counter;
        if (of == Integer.class) return 70000 * counter;
        if (of == long.class || of == Long.class) return counter % 3 == 0 ? -(1L << 40) - counter : (1L << 40) + counter;
        if (of == double.class) return 0.1 + counter;
        if (of == Uuid.class) return new Uuid(0x1122334455667788L + counter, -counter);
        if (of == byte[].class) return ("bytes " + counter).repeat(counter % 5 == 0 ? 20 : 1).getBytes(StandardCharsets.UTF_8);
        if (of == ByteBuffer.class) return ByteBuffer.wrap(("buffer " + counter).getBytes(StandardCharsets.UTF_8));
        if (of == String.class) return counter % 7 == 0 ? "a longer text ".repeat(10) + counter : counter % 4 == 0 ? "tëxt€😀" + counter : "text" + counter;
        return MemoryRecords.readableRecords(ByteBuffer.wrap(RECORDS));
    }

    /** Two elements where all is given, one where the nulls are looked for. */
    @SuppressWarnings("unchecked")
    static Object collection(Class<?> of, Type generic, org.apache.kafka.common.protocol.types.Type type, Variant variant) throws Exception {
        boolean isList = of == List.class;
        Collection<Object> values = isList ? new ArrayList<>() : (Collection<Object>) of.getDeclaredConstructor().newInstance();
        Type element = ((ParameterizedType) (isList ? generic : of.getGenericSuperclass())).getActualTypeArguments()[0];
        var elementType = type.arrayElementType().orElseThrow();
        for (int i = 0; i < (variant == Variant.FULL ? 2 : 1); i++) values.add(value((Class<?>) element, element, elementType, variant));
        return values;
    }
}
