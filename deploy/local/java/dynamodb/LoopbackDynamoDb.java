import java.util.Arrays;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/**
 * DynamoDB Local on one address only: the loopback address, or that of the property "host".
 *
 * <p>The emulator has no option for the address it binds to and listens on every interface. It keeps
 * its web server in a private field that exists before the start, so the address is set there.
 */
public final class LoopbackDynamoDb {
  private static final String HOST = System.getProperty("host", "127.0.0.1");

  private LoopbackDynamoDb() {}

  public static void main(String[] arguments) throws Exception {
    DynamoDBProxyServer emulator = ServerRunner.createServerFromCommandLineArgs(arguments);
    Arrays.stream(webServerOf(emulator).getConnectors())
        .map(ServerConnector.class::cast)
        .forEach(connector -> connector.setHost(HOST));
    emulator.start();
    emulator.join();
  }

  private static Server webServerOf(DynamoDBProxyServer emulator) throws ReflectiveOperationException {
    var field = DynamoDBProxyServer.class.getDeclaredField("server");
    field.setAccessible(true);
    return (Server) field.get(emulator);
  }
}
