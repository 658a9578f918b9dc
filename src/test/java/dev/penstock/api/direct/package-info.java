@NullMarked
package dev.penstock.api.direct;

import org.jspecify.annotations.NullMarked;
