package dev.penstock.api.call;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.document.ErrorDocument;
import io.vertx.ext.web.RoutingContext;

/** The form of a call's errors. It is OpenAI's, unless the call belongs to an API with another form. */
@FunctionalInterface
public interface ErrorForm {
    ObjectNode of(JobFailure failure);

    /** Sets the form of a call's errors. */
    static void set(RoutingContext call, ErrorForm form) {
        call.put(ErrorForm.class.getName(), form);
    }

    /** Returns the form of a call's errors. */
    static ErrorForm of(RoutingContext call) {
        return call.get(ErrorForm.class.getName()) instanceof ErrorForm form ? form : ErrorDocument::of;
    }
}
