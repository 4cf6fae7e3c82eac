//! The table of refusals in `docs/answers.md` is the one that the program goes by.

use gatepost::request_outcome::Reason;

#[test]
fn the_table_of_answers_lists_every_refusal_in_the_order_of_checking() {
    let rows = include_str!("../../../docs/answers.md").lines().filter(|line| line.contains("| `"));
    let told: Vec<(String, String, bool)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2].trim_matches('`').to_owned(), cells[3] == "kept")
        })
        .collect();
    let refusals = Reason::ALL.into_iter().filter(|reason| reason.is_refusal());
    let made: Vec<(String, String, bool)> = refusals
        .map(|reason| (reason.status().unwrap().as_str().to_owned(), reason.as_str().to_owned(), reason.is_kept()))
        .collect();
    assert_eq!(told, made);
}
