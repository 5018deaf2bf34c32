//! Text that is no plan at all, too much of one, or hostile.

use plan::{Plan, SHIPPED};
use proptest::prelude::*;

/// All problems of `text`, a line each.
fn said(text: &str) -> String {
    let Err(problems) = Plan::parse(text) else { panic!("the plan has no error") };
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_problem_of_a_badly_broken_plan_is_reported_at_once() {
    insta::assert_snapshot!(said(include_str!("broken.yaml")));
}

#[test]
fn text_that_is_no_yaml_is_refused_with_its_line() {
    assert_eq!(
        said("pipeline: [a\nversion: b"),
        "2:8: error: pipeline[0]: this is not YAML: illegal placement of ':' indicator"
    );
    assert_eq!(said(""), "1:1: error: plan: the file is empty: expected a plan");
    assert_eq!(said("just words"), "1:1: error: plan: expected a map, found the text `just words`");
    assert!(said("a: 1\n---\nb: 2").contains("2:1: error: plan: a second document begins here"));
    assert!(said("[a]: 1").contains("a key is a list or a map"));
}

#[test]
fn a_billion_laughs_get_none() {
    let bomb = "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]";
    assert!(said(bomb).contains("anchors (`&name`) are not allowed"));
    assert!(said(bomb).contains("aliases (`*name`) are not allowed"));
    assert!(said("pipeline: !!str x").contains("tags (`!name`) are not allowed"));
}

#[test]
fn a_key_given_twice_is_refused_and_the_first_one_read() {
    let twice = said(&format!("{SHIPPED}\nversion: \"2.0\"\n"));
    assert!(twice.contains("`version` is given twice: first on line 7"), "{twice}");
}

#[test]
fn everything_is_bounded() {
    assert!(said(&"#".repeat(1024 * 1024 + 1)).contains("at most 1048576 are allowed"));
    let deep = said(&format!("phases: {}{}", "[".repeat(100), "]".repeat(100)));
    assert!(deep.contains("nested too deeply: at most 16 levels"), "{deep}");
    let block = said(&"- ".repeat(100_000));
    assert!(block.contains("nested too deeply: at most 16 levels"), "{block}");
    let long = said(&format!("state_transitions: [{}]", "a->b,".repeat(1_001)));
    assert!(long.contains("state_transitions: 1001 items are too many"), "{long}");
    let keys: String = (0..101).map(|i| format!("k{i}: 1\n")).collect();
    assert!(said(&keys).contains("more than 100 keys in one map"));
    let nodes = said(&format!("[{}]", "[x,x,x],".repeat(20_000)));
    assert!(nodes.contains("more than 50000 values"), "{nodes}");
    let title = said(&format!("title: {}", "x".repeat(501)));
    assert!(title.contains("title: 501 characters are too many: expected at most 500"), "{title}");
    let many: String = "x,".repeat(900);
    let problems = said(&format!("state_transitions: [{many}]"));
    assert_eq!(problems.lines().count(), 501);
    assert!(problems.ends_with("more problems"), "{}", problems.lines().last().unwrap());
}

#[test]
fn a_text_is_one_line_in_quotes_where_yaml_would_read_something_else() {
    let text = SHIPPED.replacen("version: \"1.0\"", "version: 1.0", 1);
    assert!(said(&text).contains(
        "7:10: error: version: expected text, found the number 1.0: put it in quotes if text is \
         meant"
    ));
    let text = SHIPPED.replacen("title: Gate 0", "title: \"Gate\\r\\nBcc: x\"", 1);
    assert!(said(&text).contains("has a control character: expected one line of text"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
    let text = format!("\u{feff}{}", SHIPPED.replace('\n', "\r\n"));
    assert_eq!(Plan::parse(&text).unwrap().0, Plan::parse(SHIPPED).unwrap().0);
}

/// What a mutation puts into the plan: what YAML or the reader might stumble over.
fn scraps() -> impl Strategy<Value = String> {
    let yaml = prop::sample::select(vec![
        "",
        ":",
        "- ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!t ",
        "|",
        ">",
        "'",
        "\"",
        "#",
        "%",
        "@",
        "\t",
        "\n",
        "\r",
        "---\n",
        "...\n",
        "\u{85}",
        "\u{feff}",
        "\0",
        "é",
        "0",
        "-1",
        "99999999999999999999",
        "~",
        "<<: *a",
        "percentage: 400",
        "P9",
        "...",
        "\\x",
        "\\u12",
    ]);
    prop_oneof![yaml.prop_map(str::to_owned), "\\PC{0,6}"]
}

/// The boundary of a character at or before `share` of the text.
fn boundary(text: &str, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let mut index = (share * text.len() as f64) as usize;
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let problems = match Plan::parse(text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            problems
        }
    };
    for problem in problems {
        prop_assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
        prop_assert!(!problem.message.contains("please report this"), "{problem}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_plan_with_scraps_in_it_never_panics(
        edits in prop::collection::vec((0.0..1.0_f64, 0.0..0.01_f64, scraps()), 1..4)
    ) {
        let mut text = SHIPPED.to_owned();
        for (at, length, scrap) in edits {
            let (start, end) = (boundary(&text, at), boundary(&text, (at + length).min(1.0)));
            text.replace_range(start..end, &scrap);
        }
        check(&text)?;
    }

    #[test]
    fn a_plan_with_lines_dropped_doubled_or_moved_never_panics(
        edits in prop::collection::vec((0..1000_usize, 0..1000_usize, 0..4_u8), 1..6)
    ) {
        let mut lines: Vec<String> = SHIPPED.lines().map(str::to_owned).collect();
        for (from, to, what) in edits {
            let (from, to) = (from % lines.len(), to % lines.len());
            match what {
                0 => drop(lines.remove(from)),
                1 => lines.insert(to, lines[from].clone()),
                2 => lines.swap(from, to),
                _ => lines[from].insert_str(0, "  "),
            }
        }
        check(&lines.join("\n"))?;
    }

    #[test]
    fn any_text_at_all_never_panics(text in "[-a-z:\\[\\]{}&*!|>'\"%@#?, \\n\\t0-9~\\PC]{0,200}") {
        check(&text)?;
    }
}
