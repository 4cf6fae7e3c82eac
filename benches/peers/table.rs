//! Lines of words as a table in Markdown, whose columns are as wide as what stands in them.

/// Prints `lines`; the first is the head.
pub(crate) fn print<const N: usize>(lines: &[[String; N]]) {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let rule = widths.map(|width| "-".repeat(width));
    for (number, line) in lines.iter().enumerate() {
        print_line(line, &widths);
        if number == 0 {
            print_line(&rule, &widths);
        }
    }
}

fn print_line(cells: &[String], widths: &[usize]) {
    let padded: Vec<_> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
    println!("| {} |", padded.join(" | "));
}
