package dev.penstock.bench;

import java.util.ArrayList;
import java.util.List;

/** Columns of text, the first to the left, the others to the right. */
final class Table {
    private final List<List<String>> rows = new ArrayList<>();

    Table(String... header) {
        rows.add(List.of(header));
    }

    Table row(String... cells) {
        rows.add(List.of(cells));
        return this;
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (int r = 0; r < rows.size(); r++) {
            text.append(line(rows.get(r))).append('\n');
            if (r == 0) {
                text.append("-".repeat(line(rows.getFirst()).length())).append('\n');
            }
        }
        return text.toString();
    }

    private String line(List<String> cells) {
        StringBuilder line = new StringBuilder();
        for (int c = 0; c < cells.size(); c++) {
            String pad = " ".repeat(width(c) - cells.get(c).length());
            line.append(c == 0 ? "" : "   ").append(c == 0 ? cells.get(c) + pad : pad + cells.get(c));
        }
        return line.toString();
    }

    private int width(int column) {
        return rows.stream()
                .filter(row -> row.size() > column)
                .mapToInt(row -> row.get(column).length())
                .max()
                .orElse(0);
    }
}
