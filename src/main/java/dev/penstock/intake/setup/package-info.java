/** Before jobs are taken: the topics exist, the share groups are configured, and the mode of the intake is decided. */
@NullMarked
package dev.penstock.intake.setup;

import org.jspecify.annotations.NullMarked;
