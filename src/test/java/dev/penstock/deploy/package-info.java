/** The chart, the plain manifests, the images and the dashboard: rendered, checked, and held against what the service knows. */
@NullMarked
package dev.penstock.deploy;

import org.jspecify.annotations.NullMarked;
