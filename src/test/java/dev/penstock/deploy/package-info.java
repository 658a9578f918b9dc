/** The chart, the plain manifests, the images and the dashboard: rendered, checked, and compared with the service. */
@NullMarked
package dev.penstock.deploy;

import org.jspecify.annotations.NullMarked;
