import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

/** Reads record keys from standard input, one in hexadecimal a line, and prints the partition that Kafka's own producer gives each. */
public class Partitions {
    public static void main(String[] arguments) throws Exception {
        int partitions = Integer.parseInt(arguments[0]);
        HexFormat hex = HexFormat.of();
        StringBuilder answers = new StringBuilder();
        BufferedReader keys = new BufferedReader(new InputStreamReader(System.in));
        for (String key = keys.readLine(); key != null; key = keys.readLine()) {
            answers.append(BuiltInPartitioner.partitionForKey(hex.parseHex(key), partitions)).append('\n');
        }
        System.out.print(answers);
    }
}
