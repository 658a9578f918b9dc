@NullMarked
package dev.penstock.direct;

import org.jspecify.annotations.NullMarked;
