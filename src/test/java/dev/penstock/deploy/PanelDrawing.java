package dev.penstock.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.Shape;
import java.awt.geom.Path2D;
import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Draws the panels of a dashboard as a picture, in the grid of its JSON. It has lines, stacks and single figures, and
 * no other feature of Grafana.
 */
final class PanelDrawing {
    private static final int COLUMN = 58;
    private static final int ROW = 23;
    private static final int GAP = 4;
    private static final Color GROUND = new Color(0xf4f5f5);
    private static final Color INK = new Color(0x24292e);
    private static final Color FAINT = new Color(0xdcdee0);
    private static final Color GREY = new Color(0x6e7680);
    private static final List<Color> COLOURS = List.of(
            new Color(0x3f8f4f),
            new Color(0xd9a514),
            new Color(0x3274d9),
            new Color(0xd0542b),
            new Color(0xa352cc),
            new Color(0x1f9ea8),
            new Color(0xc4162a),
            new Color(0x7a6a55));
    private static final Font TITLE = new Font("DejaVu Sans", Font.BOLD, 12);
    private static final Font SMALL = new Font("DejaVu Sans", Font.PLAIN, 10);
    private static final Font BIG = new Font("DejaVu Sans", Font.BOLD, 30);

    private final BufferedImage image;
    private final Graphics2D g;
    private final double seconds;

    /**
     * The result of a query.
     *
     * @param values evenly spread over the picture's time; NaN for a time without a value
     */
    record Series(String name, List<Double> values) {
        Series {
            values = List.copyOf(values);
        }
    }

    /** @param rows the rows of the grid */
    PanelDrawing(int rows, double seconds) {
        image = new BufferedImage(24 * COLUMN, rows * ROW, BufferedImage.TYPE_INT_RGB);
        g = image.createGraphics();
        this.seconds = seconds;
        g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
        g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        g.setColor(GROUND);
        g.fillRect(0, 0, image.getWidth(), image.getHeight());
    }

    BufferedImage image() {
        return image;
    }

    /** @param series the results of all its queries */
    void draw(JsonNode panel, List<Series> series) {
        JsonNode place = panel.path("gridPos");
        int x = place.path("x").asInt() * COLUMN + GAP;
        int y = place.path("y").asInt() * ROW + GAP / 2;
        int width = place.path("w").asInt() * COLUMN - 2 * GAP;
        int height = place.path("h").asInt() * ROW - GAP;
        String title = panel.path("title").asText();
        if (panel.path("type").asText().equals("row")) {
            text(title, TITLE, GREY, x + GAP, y + 15);
            return;
        }
        g.setColor(Color.WHITE);
        g.fillRect(x, y, width, height);
        g.setColor(FAINT);
        g.drawRect(x, y, width, height);
        text(title, TITLE, INK, x + 8, y + 16);
        JsonNode defaults = panel.path("fieldConfig").path("defaults");
        String unit = defaults.path("unit").asText();
        if (panel.path("type").asText().equals("stat")) {
            figures(series, unit, x, y, width, height);
        } else {
            boolean stacked = defaults.path("custom")
                    .path("stacking")
                    .path("mode")
                    .asText()
                    .equals("normal");
            lines(series, stacked, unit, x + 58, y + 26, width - 70, height - 66);
            legend(series, x + 8, y + height - 20, width - 16);
        }
    }

    private void figures(List<Series> series, String unit, int x, int y, int width, int height) {
        int each = width / Math.max(1, series.size());
        for (int i = 0; i < series.size(); i++) {
            Series one = series.get(i);
            double last = one.values().getLast();
            text(one.name(), TITLE, GREY, x + i * each + 20, y + height / 2 - 26);
            text(
                    formatted(last, unit),
                    BIG,
                    last > 0 ? COLOURS.get(0) : COLOURS.get(6),
                    x + i * each + 20,
                    y + height / 2 + 14);
        }
    }

    private void lines(List<Series> series, boolean stacked, String unit, int x, int y, int width, int height) {
        List<double[]> tops = new ArrayList<>();
        double highest = 0;
        for (Series one : series) {
            double[] top =
                    one.values().stream().mapToDouble(Double::doubleValue).toArray();
            if (stacked && !tops.isEmpty()) {
                double[] below = tops.getLast();
                for (int i = 0; i < top.length; i++) {
                    top[i] = real(top[i]) + real(below[i]);
                }
            }
            for (double value : top) {
                highest = Math.max(highest, real(value));
            }
            tops.add(top);
        }
        double scale = nice(highest, unit);
        g.setFont(SMALL);
        for (int i = 0; i <= 4; i++) {
            int at = y + height - i * height / 4;
            g.setColor(FAINT);
            g.drawLine(x, at, x + width, at);
            String label = formatted(scale * i / 4, unit);
            text(label, SMALL, GREY, x - 6 - g.getFontMetrics(SMALL).stringWidth(label), at + 4);
        }
        for (int minute = 0; minute * 60 <= seconds; minute++) {
            int at = x + (int) (minute * 60 / seconds * width);
            text("%d:00".formatted(minute), SMALL, GREY, at - 10, y + height + 13);
        }
        Shape whole = g.getClip();
        g.clipRect(x, y - 2, width, height + 4);
        for (int i = series.size() - 1; i >= 0; i--) {
            Color colour = COLOURS.get(i % COLOURS.size());
            Path2D line = path(tops.get(i), scale, x, y, width, height);
            if (stacked && line.getCurrentPoint() != null) {
                Path2D area = new Path2D.Double(line);
                area.lineTo(line.getCurrentPoint().getX(), y + height);
                area.lineTo(line.getBounds2D().getMinX(), y + height);
                area.closePath();
                g.setColor(Color.WHITE);
                g.fill(area);
                g.setColor(new Color(colour.getRed(), colour.getGreen(), colour.getBlue(), 60));
                g.fill(area);
            }
            g.setColor(colour);
            g.setStroke(new BasicStroke(1.4f));
            g.draw(line);
            g.setStroke(new BasicStroke(1));
        }
        g.setClip(whole);
    }

    private static Path2D path(double[] values, double scale, int x, int y, int width, int height) {
        Path2D line = new Path2D.Double();
        for (int i = 0; i < values.length; i++) {
            if (!Double.isFinite(values[i])) {
                continue;
            }
            double px = x + (double) i / (values.length - 1) * width;
            double py = y + height - values[i] / scale * height;
            if (line.getCurrentPoint() == null) {
                line.moveTo(px, py);
            } else {
                line.lineTo(px, py);
            }
        }
        return line;
    }

    /** Draws two lines at most. */
    private void legend(List<Series> series, int x, int y, int width) {
        int at = x;
        int line = y;
        for (int i = 0; i < series.size(); i++) {
            String name = series.get(i).name();
            int needs = 24 + g.getFontMetrics(SMALL).stringWidth(name);
            if (at + needs > x + width) {
                if (line > y) {
                    return;
                }
                at = x;
                line += 13;
            }
            g.setColor(COLOURS.get(i % COLOURS.size()));
            g.fillRect(at, line - 4, 10, 3);
            text(name, SMALL, INK, at + 14, line);
            at += needs;
        }
    }

    private void text(String text, Font font, Color colour, int x, int y) {
        g.setFont(font);
        g.setColor(colour);
        g.drawString(text, x, y);
    }

    private static double real(double value) {
        return Double.isFinite(value) ? value : 0;
    }

    /** Returns the end of the axis: a round number above all values. */
    private static double nice(double highest, String unit) {
        if (highest <= 0) {
            return unit.equals("percentunit") ? 0.01 : 1;
        }
        double power = Math.pow(10, Math.floor(Math.log10(highest)));
        for (double step : List.of(1.0, 2.0, 4.0, 6.0, 8.0)) {
            if (step * power >= highest) {
                return step * power;
            }
        }
        return 10 * power;
    }

    private static String formatted(double value, String unit) {
        return switch (unit) {
            case "s" -> value == 0 ? "0" : value < 1 ? number(value * 1000) + " ms" : number(value) + " s";
            case "percentunit" -> number(value * 100) + " %";
            case "bytes" -> number(value / (1 << 20)) + " MiB";
            case "ops" -> number(value) + "/s";
            default -> number(value);
        };
    }

    private static String number(double value) {
        if (value >= 10_000) {
            return "%.0fk".formatted(value / 1000);
        }
        String text = String.format(Locale.ROOT, value >= 100 ? "%.0f" : "%.2f", value);
        return text.contains(".") ? text.replaceAll("0+$", "").replaceAll("\\.$", "") : text;
    }
}
