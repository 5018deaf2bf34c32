//! "Did you mean": the known word nearest to a misspelt one.

const KNOWN_MAX: usize = 100; // Further words are not looked at; bounds the search.
const WORD_LENGTH_MAX: usize = 64; // No known word is longer; bounds the comparison.

/// The best of `known` if it is near enough to `word` to be meant.
pub(crate) fn closest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > WORD_LENGTH_MAX {
        return None;
    }
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let by_distance = known.into_iter().take(KNOWN_MAX).map(|other| (distance(word, other), other));
    by_distance.filter(|(distance, _)| *distance <= limit).min().map(|(_, other)| other)
}

/// `; did you mean ...?`, or nothing.
pub(crate) fn hint<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    closest(word, known).map_or_else(String::new, |other| format!("; did you mean `{other}`?"))
}

/// Levenshtein's distance, in which `-`, `_` and case count for nothing.
fn distance(left: &str, right: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    let (left, right) = (fold(left), fold(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["percentage", "hold", "manual"];
        assert_eq!(closest("percantage", known), Some("percentage"));
        assert_eq!(closest("Hold", known), Some("hold"));
        assert_eq!(closest("weight", known), None);
        assert_eq!(closest(&"p".repeat(10_000), known), None);
        assert_eq!(hint("manuel", known), "; did you mean `manual`?");
    }
}
