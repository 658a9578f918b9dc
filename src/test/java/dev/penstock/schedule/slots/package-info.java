@NullMarked
package dev.penstock.schedule.slots;

import org.jspecify.annotations.NullMarked;
