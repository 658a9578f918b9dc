@NullMarked
package dev.penstock.api.responses;

import org.jspecify.annotations.NullMarked;
