@NullMarked
package dev.penstock.route.match;

import org.jspecify.annotations.NullMarked;
