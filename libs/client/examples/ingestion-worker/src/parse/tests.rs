use proptest::prelude::*;

use super::*;

const HEADER: &str = "Day,Campaign,Ad group,Impr.,Clicks,Cost,Conversions\n";
const ROW: &str = "2024-12-29,Spring,Shoes,100,7,1.25,0.5\n";

fn rows(text: &[u8]) -> Result<Vec<Row>, ParseError> {
    read(text, 1_000_000)?.collect()
}

/// What is said about a Google export with these lines after its header.
#[track_caller]
fn said(lines: &str) -> String {
    rows(format!("{HEADER}{lines}").as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_row_is_read_by_the_names_of_its_columns() {
    let text = "Conversions,Ignored,Cost,Clicks,Impr.,Ad group,Campaign,Day\n\
                1.5,x,\"1,234.5\",7,\"1,000\",Shoes,Spring,2024-12-29";
    let expected = Row {
        date: jiff::civil::date(2024, 12, 29),
        campaign: "Spring".to_owned(),
        ad_group: "Shoes".to_owned(),
        impressions: 1_000,
        clicks: 7,
        spend_micros: 1_234_500_000,
        conversions_micros: 1_500_000,
    };
    assert_eq!(rows(text.as_bytes()), Ok(vec![expected]));
}

#[test]
fn a_byte_order_mark_of_utf_8_is_accepted_and_others_are_named() {
    let marked = format!("\u{feff}{HEADER}{ROW}");
    assert_eq!(rows(marked.as_bytes()).unwrap().len(), 1);
    let utf_16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(HEADER.bytes().flat_map(|b| [b, 0])).collect();
    assert_eq!(
        rows(&utf_16).unwrap_err().to_string(),
        "line 1, column `header`: the text is not UTF-8, it seems to be UTF-16 (it has a byte \
         order mark)"
    );
    assert!(rows(&utf_16[2..]).unwrap_err().to_string().contains("UTF-16 or binary"));
    let latin = [HEADER.as_bytes(), b"2024-12-29,Fr\xFChling,Shoes,1,1,1,1\n"].concat();
    assert_eq!(
        rows(&latin).unwrap_err().to_string(),
        "line 2, column `Campaign`: the text is not UTF-8, it seems to be Latin-1 or Windows-1252"
    );
}

#[test]
fn an_empty_file_and_a_bare_header_are_told_apart() {
    for empty in ["", "\n", "\r\n\r\n", "\u{feff}"] {
        assert_eq!(rows(empty.as_bytes()), Err(ParseError::Empty), "{empty:?}");
    }
    assert_eq!(rows(HEADER.as_bytes()), Err(ParseError::NoRows));
}

#[test]
fn a_wrong_header_says_what_is_wrong() {
    let short = HEADER.replace(",Cost", ",Price");
    assert_eq!(
        rows(short.as_bytes()).unwrap_err().to_string(),
        "line 1: an export of google has a column `Cost`, which is missing"
    );
    let double = HEADER.replace("Clicks", "Cost");
    assert_eq!(
        rows(double.as_bytes()).unwrap_err().to_string(),
        "line 1, column `Cost`: the header is given twice"
    );
    assert_eq!(
        rows(b"name,age\nx,1\n").unwrap_err().to_string(),
        "line 1: the headers are of no known platform: name, age"
    );
}

#[test]
fn every_problem_of_a_row_names_line_and_column() {
    let bad = |from: &str, to: &str| said(&format!("{ROW}{}", ROW.replace(from, to)));
    assert_eq!(bad(",0.5", ""), "line 3: 6 fields where the header has 7");
    assert_eq!(bad(",0.5", ",0.5,1"), "line 3: 8 fields where the header has 7");
    assert_eq!(bad("100", "many"), "line 3, column `Impr.`: `many` is not a number");
    assert_eq!(bad("1.25", "-1.25"), "line 3, column `Cost`: `-1.25` is negative");
    assert_eq!(
        bad("2024-12-29", "29/12/2024"),
        "line 3, column `Day`: `29/12/2024` is not a date such as 2024-12-29"
    );
    assert_eq!(bad("Spring", ""), "line 3, column `Campaign`: `` is empty");
    assert_eq!(
        bad("Spring", "\"Spring"),
        "line 3, column `Campaign`: the quote that begins here never ends"
    );
    assert_eq!(
        bad("Spring", "\"Spr\"ing"),
        "line 3, column `Campaign`: text follows the closing quote"
    );
    assert_eq!(
        bad("7,", "9999999999999,"),
        "line 3, column `Clicks`: `9999999999999` is too large"
    );
}

#[test]
fn quotes_hold_line_breaks_commas_and_quotes_and_lines_stay_right() {
    let quoted = "2024-12-29,\"Spring\nsale, \"\"big\"\"\",Shoes,1,1,1,1\r\n\r\n";
    let good = rows(format!("{HEADER}{quoted}{ROW}").as_bytes()).unwrap();
    assert_eq!(good[0].campaign, "Spring\nsale, \"big\"");
    assert_eq!(
        said(&format!("{quoted}{}", ROW.replace("100", "x"))),
        "line 5, column `Impr.`: `x` is not a number"
    );
}

#[test]
fn line_ends_of_every_system_are_counted_alike() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!("{HEADER}{ROW}\n{ROW}{}", ROW.replace("1.25", "free"));
        let text = text.replace('\n', end);
        let said = rows(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(said, "line 5, column `Cost`: `free` is not a number", "{end:?}");
    }
}

#[test]
fn a_file_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let text = format!("{HEADER}{ROW}");
    let size = text.len() as u64;
    let read_within =
        |limit| read(text.as_bytes(), limit).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    assert_eq!(read_within(size).unwrap().len(), 1);
    assert_eq!(read_within(size - 1), Err(ParseError::TooLarge { limit_bytes: size - 1 }));
}

#[test]
fn a_quote_that_never_ends_is_given_up_early() {
    let text = format!("{HEADER}2024-12-29,\"{}", "x".repeat(200_000));
    let refusal = read(text.as_bytes(), 1_000_000).unwrap().next().unwrap().unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "line 2, column `Campaign`: the quote that begins here never ends"
    );
}

#[test]
fn problems_are_met_in_the_order_of_the_file() {
    let bad = ROW.replace("100", "x");
    assert_eq!(
        said(&format!("{ROW}{bad}2024-12-29,\"Spr\"ing")),
        "line 3, column `Impr.`: `x` is not a number"
    );
}

#[test]
fn nothing_is_read_after_a_problem() {
    let text = format!("{HEADER}{ROW}x\n{ROW}");
    let read: Vec<_> = read(text.as_bytes(), 1_000_000).unwrap().collect();
    assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
}

/// A reader that gives one byte at a time.
struct Trickle<'b>(&'b [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1).min(self.0.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_and_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300), header: bool
    ) {
        let bytes = if header { [HEADER.as_bytes(), &bytes].concat() } else { bytes };
        let _refused_or_not = rows(&bytes).is_ok();
    }

    #[test]
    fn quoting_a_name_and_reading_it_gives_the_name(name in "[a-z][\\PC,\"\n]{0,30}[a-z]") {
        let text = format!("{HEADER}2024-12-29,\"{}\",Shoes,1,1,1,1\n", name.replace('"', "\"\""));
        prop_assert_eq!(&rows(text.as_bytes()).unwrap()[0].campaign, &name);
    }

    #[test]
    fn the_size_of_the_pieces_a_file_comes_in_changes_nothing(
        lines in "([-0-9a-z,.\"\r\n]{0,12},){0,40}", good: bool
    ) {
        let text = format!("{HEADER}{}{lines}", if good { ROW } else { "" });
        let whole = rows(text.as_bytes());
        let pieces = read(Trickle(text.as_bytes()), 1_000_000)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>);
        prop_assert_eq!(whole, pieces);
    }
}
