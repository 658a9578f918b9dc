/** The model servers, as other packages use them: nodes with slots, health and throughput. */
@NullMarked
package dev.penstock.node;

import org.jspecify.annotations.NullMarked;
