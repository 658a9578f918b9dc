package dev.penstock.cli.view;

import dev.penstock.wire.Printable;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A table of rows under a heading. Each column is as wide as its widest cell. Columns with only empty cells are left
 * out.
 */
public final class Table {
    private static final String GAP = "  ";

    private final List<List<String>> rows = new ArrayList<>();

    public Table(List<String> heading) {
        rows.add(heading);
    }

    public void add(List<String> row) {
        if (row.size() != rows.getFirst().size()) {
            throw new IllegalArgumentException("a row has as many cells as the heading");
        }
        rows.add(row.stream().map(Table::oneLine).toList());
    }

    private static String oneLine(String cell) {
        return Printable.line(cell.replaceAll("\\s+|\\p{Cntrl}+", " "));
    }

    @Override
    public String toString() {
        List<Integer> shown = IntStream.range(0, rows.getFirst().size())
                .filter(this::isShown)
                .boxed()
                .toList();
        int[] widths = IntStream.range(0, rows.getFirst().size())
                .map(column -> rows.stream()
                        .mapToInt(row -> width(row.get(column)))
                        .max()
                        .orElse(0))
                .toArray();
        StringBuilder text = new StringBuilder();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int column : shown) {
                String cell = row.get(column);
                line.append(cell).repeat(' ', widths[column] - width(cell)).append(GAP);
            }
            text.append(line.toString().stripTrailing()).append('\n');
        }
        return text.toString();
    }

    private boolean isShown(int column) {
        return rows.size() == 1
                || rows.stream().skip(1).anyMatch(row -> !row.get(column).isEmpty());
    }

    private static int width(String cell) {
        return cell.codePointCount(0, cell.length());
    }
}
