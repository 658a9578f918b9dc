/** Where jobs wait: their order, the node that each may go to, and which of them make room for others. */
@NullMarked
package dev.penstock.schedule;

import org.jspecify.annotations.NullMarked;
