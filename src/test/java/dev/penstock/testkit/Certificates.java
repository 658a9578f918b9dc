package dev.penstock.testkit;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** A key with a self-signed certificate for 127.0.0.1, in files of one folder. */
public final class Certificates {
    private static final String STORE_PASSWORD = "changeit";

    private final Path folder;
    private final String name;

    private Certificates(Path folder, String name) {
        this.folder = folder;
        this.name = name;
    }

    /** Creates a key store, and a trust store with its certificate. */
    public static Certificates create(Path folder, String name)
            throws IOException, InterruptedException, GeneralSecurityException {
        Certificates created = new Certificates(folder, name);
        keytool(
                "-genkeypair",
                "-alias",
                name,
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + name,
                "-ext",
                "san=ip:127.0.0.1",
                "-keystore",
                created.keyStore().toString());
        Path certificate = folder.resolve(name + ".pem");
        Files.writeString(certificate, created.certificate());
        keytool(
                "-importcert",
                "-noprompt",
                "-alias",
                name,
                "-file",
                certificate.toString(),
                "-keystore",
                created.trustStore().toString());
        return created;
    }

    private Path keyStore() {
        return folder.resolve(name + ".p12");
    }

    private Path trustStore() {
        return folder.resolve(name + ".trust.p12");
    }

    /** Returns the settings of a broker or a client with this key, which trusts another one. */
    public Map<String, String> settings(Certificates trusted) {
        return Map.of(
                "ssl.keystore.type",
                "PKCS12",
                "ssl.keystore.location",
                keyStore().toString(),
                "ssl.keystore.password",
                STORE_PASSWORD,
                "ssl.truststore.type",
                "PKCS12",
                "ssl.truststore.location",
                trusted.trustStore().toString(),
                "ssl.truststore.password",
                STORE_PASSWORD);
    }

    /** Returns the certificate in PEM. */
    public String certificate() throws IOException, GeneralSecurityException {
        return pem("CERTIFICATE", store().getCertificate(name).getEncoded());
    }

    /** Returns the private key in PEM. */
    public String privateKey() throws IOException, GeneralSecurityException {
        return pem(
                "PRIVATE KEY",
                store().getKey(name, STORE_PASSWORD.toCharArray()).getEncoded());
    }

    private KeyStore store() throws IOException, GeneralSecurityException {
        return KeyStore.getInstance(keyStore().toFile(), STORE_PASSWORD.toCharArray());
    }

    private static void keytool(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString()));
        command.addAll(List.of(arguments));
        command.addAll(List.of("-storetype", "PKCS12", "-storepass", STORE_PASSWORD));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IllegalStateException("keytool: " + output);
        }
    }

    private static String pem(String what, byte[] encoded) {
        return "-----BEGIN %s-----%n%s%n-----END %s-----%n"
                .formatted(
                        what,
                        Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
                                .encodeToString(encoded),
                        what);
    }
}
