package dev.penstock.testkit;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** An OAuth server on a free port. It gives everyone a token of 30 seconds for the user {@code penstock}. */
public final class TokenServer implements AutoCloseable {
    private static final String ALLOWED = "org.apache.kafka.sasl.oauthbearer.allowed.urls";
    private static final String MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";

    private final HttpServer server;
    private final KeyPair keys;
    private final Path jwks;
    private final AtomicInteger tokens = new AtomicInteger();

    private TokenServer(HttpServer server, KeyPair keys, Path jwks) {
        this.server = server;
        this.keys = keys;
        this.jwks = jwks;
    }

    /**
     * Starts a server. A broker in this JVM may read its keys.
     *
     * @param folder for the file with the public key
     */
    public static TokenServer start(Path folder) throws IOException, GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        TokenServer started = new TokenServer(server, generator.generateKeyPair(), folder.resolve("jwks.json"));
        Files.writeString(started.jwks, started.publicKey());
        server.createContext("/token", started::answer);
        server.start();
        System.setProperty(ALLOWED, started.url() + "," + started.jwks.toUri());
        return started;
    }

    private String url() {
        return "http://127.0.0.1:%d/token".formatted(server.getAddress().getPort());
    }

    /** Returns how many tokens the server gave away. */
    public int tokens() {
        return tokens.get();
    }

    /** Returns the settings of a broker that accepts these tokens at a listener, whose name is in lower case. */
    public Map<String, String> broker(String listener) {
        String prefix = "listener.name." + listener + ".oauthbearer.sasl.";
        return Map.of(
                "sasl.enabled.mechanisms",
                "OAUTHBEARER",
                prefix + "jaas.config",
                MODULE + ";",
                prefix + "server.callback.handler.class",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
                "sasl.oauthbearer.jwks.endpoint.url",
                jwks.toUri().toString(),
                "sasl.oauthbearer.expected.audience",
                "kafka");
    }

    /** Returns the settings of a client that logs in with a token of this server. */
    public Map<String, String> client() {
        return Map.of(
                "security.protocol",
                "SASL_PLAINTEXT",
                "sasl.mechanism",
                "OAUTHBEARER",
                "sasl.login.callback.handler.class",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
                "sasl.oauthbearer.token.endpoint.url",
                url(),
                "sasl.jaas.config",
                MODULE + " clientId=\"penstock\" clientSecret=\"secret\";");
    }

    private void answer(HttpExchange exchange) throws IOException {
        exchange.getRequestBody().readAllBytes();
        tokens.incrementAndGet();
        byte[] answer =
                utf8("{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":30}".formatted(token()));
        exchange.getResponseHeaders().add("Content-Type", "application/json");
        exchange.sendResponseHeaders(200, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    private String token() {
        long now = System.currentTimeMillis() / 1000;
        String head = "{\"alg\":\"RS256\",\"kid\":\"one\",\"typ\":\"JWT\"}";
        String claims = "{\"sub\":\"penstock\",\"aud\":\"kafka\",\"scope\":\"jobs\",\"iat\":%d,\"exp\":%d}"
                .formatted(now, now + 30);
        String signed = encoded(utf8(head)) + "." + encoded(utf8(claims));
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(keys.getPrivate());
            signature.update(utf8(signed));
            return signed + "." + encoded(signature.sign());
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private String publicKey() {
        RSAPublicKey key = (RSAPublicKey) keys.getPublic();
        return "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"one\",\"alg\":\"RS256\",\"use\":\"sig\",\"n\":\"%s\",\"e\":\"%s\"}]}"
                .formatted(encoded(key.getModulus()), encoded(key.getPublicExponent()));
    }

    private static String encoded(BigInteger number) {
        byte[] bytes = number.toByteArray();
        // without the byte of the sign
        return encoded(bytes[0] == 0 ? Arrays.copyOfRange(bytes, 1, bytes.length) : bytes);
    }

    private static String encoded(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        System.clearProperty(ALLOWED);
        server.stop(0);
    }
}
