package dev.penstock.api.vision;

import dev.penstock.api.direct.WholeFormat;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.document.SeenDocument;
import jakarta.ws.rs.core.Response;
import org.jspecify.annotations.Nullable;

/** Writes a description or tags. An error names the image as the caller does. */
final class SeenFormat extends WholeFormat {
    private static final String NODE = "x-penstock-node";

    private final ImageRequest request;
    private @Nullable Answer answer;

    SeenFormat(ImageRequest request) {
        this.request = request;
    }

    @Override
    public byte[] whole(Answer given) {
        answer = given;
        return SeenDocument.of(given, null);
    }

    /** Returns the response with the node in its document. The node is known only when the answer is complete. */
    Response withNode(Response response) {
        String node = response.getHeaderString(NODE);
        return answer == null || node == null
                ? response
                : Response.fromResponse(response)
                        .entity(SeenDocument.of(answer, node))
                        .build();
    }

    @Override
    public byte[] error(JobFailure failure) {
        return super.error(request.named(failure));
    }
}
