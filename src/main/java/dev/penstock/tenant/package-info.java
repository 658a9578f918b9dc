/** What each tenant may use, and what it has used. */
@NullMarked
package dev.penstock.tenant;

import org.jspecify.annotations.NullMarked;
