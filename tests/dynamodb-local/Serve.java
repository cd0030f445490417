import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;

import com.almworks.sqlite4java.SQLiteConnection;
import com.almworks.sqlite4java.SQLiteJob;
import com.almworks.sqlite4java.SQLiteQueue;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.AbstractLocalDynamoDBServerHandler;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBRequestHandler;
import software.amazon.dynamodb.services.local.shared.access.AmazonDynamoDBLocal;
import software.amazon.dynamodb.services.local.shared.access.client.LocalDynamoDbClient;
import software.amazon.dynamodb.services.local.shared.access.sqlite.SQLiteDBAccess;

/**
 * DynamoDB Local in memory, on a free port of loopback, for as long as standard input is open.
 *
 * <p>Run as {@code java -cp 'lib/*' Serve.java}. Standard output carries one line, the port, once requests are
 * answered; everything else goes to standard error. The end of standard input is how a test process ends it,
 * however that process dies.
 *
 * <p>DynamoDB Local has no option for the address and listens on all of them, so this reaches for the Jetty server
 * inside; with the version that pom.xml pins.
 *
 * <p>DynamoDB Local keeps the stream records of all tables in one SQLite table, {@code us}, also those of deleted tables.
 * At each request it asks for the first record of the request's table, and SQLite reads the records of all earlier tables
 * for the answer. Without an index, the tests of the consumers take the engine three times the work.
 */
final class Serve {
    public static void main(String[] arguments) throws Exception {
        PrintStream answer = System.out;
        // DynamoDB Local prints its configuration.
        System.setOut(System.err);

        DynamoDBProxyServer dynamodb = ServerRunner.createServerFromCommandLineArgs(
                // The port must be a valid one; it is replaced below.
                new String[] {"-inMemory", "-sharedDb", "-disableTelemetry", "-port", "8000"});
        ServerConnector connector = onlyConnector(dynamodb);
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        prepareStreams(dynamodb);
        dynamodb.start();
        answer.println(connector.getLocalPort());
        answer.flush();

        while (System.in.read() != -1) {
            // Nothing is asked of us.
        }
        System.exit(0);
    }

    /** Not required for correctness: an index changes no answer. */
    private static final String PREPARATION = "CREATE INDEX crosspoint_us_by_stream ON us (StreamID, SequenceNumber)";

    private static void prepareStreams(DynamoDBProxyServer dynamodb) throws Exception {
        Object serverHandler = value(DynamoDBProxyServer.class, "serverHandler", dynamodb);
        Object requestHandler = value(AbstractLocalDynamoDBServerHandler.class, "primaryHandler", serverHandler);
        // Opens the database, as otherwise the first request does.
        Method open = LocalDynamoDBRequestHandler.class.getDeclaredMethod("getHandler", String.class);
        open.setAccessible(true);
        // All credentials share one database.
        AmazonDynamoDBLocal database = (AmazonDynamoDBLocal) open.invoke(requestHandler, "any");
        LocalDynamoDbClient client = (LocalDynamoDbClient) database.dynamoDbClient();
        SQLiteQueue queue = (SQLiteQueue) value(SQLiteDBAccess.class, "queue", client.dbAccess);
        queue.execute(new SQLiteJob<Void>() {
            @Override
            protected Void job(SQLiteConnection connection) throws Exception {
                connection.exec(PREPARATION);
                return null;
            }
        }).get();
    }

    private static ServerConnector onlyConnector(DynamoDBProxyServer dynamodb) throws ReflectiveOperationException {
        Connector[] connectors = ((Server) value(DynamoDBProxyServer.class, "server", dynamodb)).getConnectors();
        if (connectors.length != 1) {
            throw new IllegalStateException("one connector expected, " + connectors.length + " found");
        }
        return (ServerConnector) connectors[0];
    }

    private static Object value(Class<?> owner, String name, Object object) throws ReflectiveOperationException {
        Field field = owner.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(object);
    }
}
