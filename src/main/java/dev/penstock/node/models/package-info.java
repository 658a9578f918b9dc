/** Pulls, loads, unloads and deletes the models of a node. */
@NullMarked
package dev.penstock.node.models;

import org.jspecify.annotations.NullMarked;
