"""A serializer for Schemathesis: JSON lines are sent as they are. The document describes them as a string."""
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def json_lines(context, value):
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else str(value).encode()
