//! Rows of text in aligned columns, for people; programs ask for `--json`.

/// The widest cell: longer text is cut, so that a row stays a row.
const WIDEST: usize = 48;

/// The same for the last column, which is where the sentences stand.
const WIDEST_LAST: usize = 120;

/// Lays rows out under their headings. The last column is not padded.
#[must_use]
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut cells: Vec<[String; N]> = vec![headings.map(str::to_uppercase)];
    cells.extend(rows.iter().map(|row| {
        std::array::from_fn(|column| fitted(&row[column], if column + 1 == N { WIDEST_LAST } else { WIDEST }))
    }));
    let widths: [usize; N] =
        std::array::from_fn(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// On one line, without what could move the cursor of a terminal, and not too long.
fn fitted(cell: &str, widest: usize) -> String {
    let mut plain: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.chars().count() > widest {
        plain = plain.chars().take(widest - 1).collect();
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let rows = [
            ["order.created".to_owned(), "in_app".to_owned(), String::new()],
            ["é".to_owned(), "email".to_owned(), "New order".to_owned()],
        ];
        assert_eq!(
            table(["event", "channel", "says"], &rows),
            "EVENT          CHANNEL  SAYS\n\
             order.created  in_app\n\
             é              email    New order\n"
        );
    }

    #[test]
    fn a_cell_can_neither_break_the_row_nor_speak_to_the_terminal() {
        let rows = [[format!("a\nb\u{1b}[2J{}", "x".repeat(200))]];
        let text = table(["says"], &rows);
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with("SAYS\na b [2Jxxx") && text.trim_end().ends_with('…'), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDEST_LAST), "{text}");
    }
}
