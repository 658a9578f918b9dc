@NullMarked
package dev.penstock.node.signals;

import org.jspecify.annotations.NullMarked;
