/** The endpoints that compare texts: a ranking of documents, and scores of pairs. */
@NullMarked
package dev.penstock.api.rerank;

import org.jspecify.annotations.NullMarked;
