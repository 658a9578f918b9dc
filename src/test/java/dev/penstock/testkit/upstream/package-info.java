/** A scripted model server: it uses the wire formats of vLLM, llama-server and Ollama, and fails on request. */
@NullMarked
package dev.penstock.testkit.upstream;

import org.jspecify.annotations.NullMarked;
