/**
 * The endpoints of Ollama's API: requests become direct calls, answers become Ollama's lines, and the models of all
 * nodes become one list.
 */
@NullMarked
package dev.penstock.api.ollama;

import org.jspecify.annotations.NullMarked;
