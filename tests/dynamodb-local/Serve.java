import java.io.PrintStream;
import java.lang.reflect.Field;

import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/**
 * DynamoDB Local in memory, on a free port of loopback, for as long as standard input is open.
 *
 * <p>Run as {@code java -cp 'lib/*' Serve.java}. Standard output carries one line, the port, once requests are
 * answered; everything else goes to standard error. The end of standard input is how a test process ends it,
 * however that process dies.
 *
 * <p>DynamoDB Local has no option for the address and listens on all of them, so this reaches for the Jetty server
 * inside; with the version that pom.xml pins.
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
        dynamodb.start();
        answer.println(connector.getLocalPort());
        answer.flush();

        while (System.in.read() != -1) {
            // Nothing is asked of us.
        }
        System.exit(0);
    }

    private static ServerConnector onlyConnector(DynamoDBProxyServer dynamodb) throws ReflectiveOperationException {
        Field field = DynamoDBProxyServer.class.getDeclaredField("server");
        field.setAccessible(true);
        Connector[] connectors = ((Server) field.get(dynamodb)).getConnectors();
        if (connectors.length != 1) {
            throw new IllegalStateException("one connector expected, " + connectors.length + " found");
        }
        return (ServerConnector) connectors[0];
    }
}
