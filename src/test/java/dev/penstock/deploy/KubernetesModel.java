package dev.penstock.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.google.gson.annotations.SerializedName;
import io.kubernetes.client.custom.IntOrString;
import io.kubernetes.client.custom.Quantity;
import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Checks Kubernetes' own objects against the classes that its client generates from the API's schema: no unknown
 * field, no missing required field, no value of a wrong type.
 */
final class KubernetesModel {
    private static final String MODELS = "io.kubernetes.client.openapi.models.";

    private KubernetesModel() {}

    /** @param model the class's simple name, such as V1Deployment */
    static void check(String model, JsonNode document, List<String> mistakes) {
        try {
            walk(Class.forName(MODELS + model), document, "", mistakes);
        } catch (ClassNotFoundException e) {
            throw new IllegalArgumentException(model, e);
        }
    }

    private static void value(Type type, JsonNode value, String at, List<String> mistakes) {
        if (type instanceof ParameterizedType generic) {
            Type element = generic.getActualTypeArguments()[generic.getRawType() == Map.class ? 1 : 0];
            if (generic.getRawType() == Map.class) {
                require(value.isObject(), "an object", value, at, mistakes);
                value.properties()
                        .forEach(entry -> value(element, entry.getValue(), at + "." + entry.getKey(), mistakes));
            } else {
                require(value.isArray(), "a list", value, at, mistakes);
                for (int i = 0; i < value.size(); i++) {
                    value(element, value.path(i), at + "[" + i + "]", mistakes);
                }
            }
        } else if (type == String.class || type == OffsetDateTime.class || type == byte[].class) {
            require(value.isTextual(), "a string", value, at, mistakes);
        } else if (type == Integer.class || type == Long.class) {
            require(value.isIntegralNumber(), "an integer", value, at, mistakes);
        } else if (type == Boolean.class) {
            require(value.isBoolean(), "a boolean", value, at, mistakes);
        } else if (type == Double.class) {
            require(value.isNumber(), "a number", value, at, mistakes);
        } else if (type == IntOrString.class) {
            require(value.isIntegralNumber() || value.isTextual(), "an integer or a string", value, at, mistakes);
        } else if (type == Quantity.class) {
            require(value.isNumber() || isQuantity(value.asText()), "a quantity", value, at, mistakes);
        } else if (type instanceof Class<?> model && model.getName().startsWith(MODELS)) {
            walk(model, value, at, mistakes);
        } else if (type != Object.class) {
            throw new IllegalStateException("%s: no rule for %s".formatted(at, type));
        }
    }

    private static void walk(Class<?> model, JsonNode object, String at, List<String> mistakes) {
        if (!object.isObject()) {
            mistakes.add("%s: must be an object, is %s".formatted(at, object));
            return;
        }
        Map<String, Type> fields = new HashMap<>();
        for (Field field : model.getDeclaredFields()) {
            SerializedName name = field.getAnnotation(SerializedName.class);
            if (name != null) {
                fields.put(name.value(), field.getGenericType());
            }
        }
        for (String required : names(model, "openapiRequiredFields")) {
            if (!object.has(required)) {
                mistakes.add("%s.%s: is required".formatted(at, required));
            }
        }
        Set<String> known = names(model, "openapiFields");
        object.properties().forEach(entry -> {
            String place = at + "." + entry.getKey();
            Type type = fields.get(entry.getKey());
            if (type == null || !known.contains(entry.getKey())) {
                mistakes.add("%s: is unknown, known are %s".formatted(place, known));
            } else if (entry.getValue().isNull()) {
                mistakes.add("%s: is null".formatted(place));
            } else {
                value(type, entry.getValue(), place, mistakes);
            }
        });
    }

    private static Set<String> names(Class<?> model, String constant) {
        try {
            Set<String> names = new TreeSet<>();
            if (model.getField(constant).get(null) instanceof Set<?> set) {
                set.forEach(name -> names.add(String.valueOf(name)));
            }
            return names;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static boolean isQuantity(String text) {
        try {
            return Quantity.fromString(text).getNumber().compareTo(BigDecimal.ZERO) >= 0;
        } catch (RuntimeException _) {
            return false;
        }
    }

    private static void require(boolean fits, String what, JsonNode value, String at, List<String> mistakes) {
        if (!fits) {
            mistakes.add("%s: must be %s, is %s".formatted(at, what, value));
        }
    }
}
