@NullMarked
package dev.penstock.route.balance;

import org.jspecify.annotations.NullMarked;
