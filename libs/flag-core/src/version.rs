//! Semantic versions as flagd reads them.

use semver::Version;

/// Reads a version: a leading `v` is dropped, missing parts are zero.
#[must_use]
pub fn parse(text: &str) -> Option<Version> {
    const LENGTH_MAX: usize = 256;
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if text.len() > LENGTH_MAX {
        return None;
    }
    let core_ends = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(core_ends);
    let missing = match core.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    Version::parse(&format!("{core}{missing}{rest}")).ok()
}

/// Compares two versions with one of flagd's operators; build metadata does not count. `None`
/// where there is no such operator.
#[must_use]
pub(crate) fn compares(left: &Version, operator: &str, right: &Version) -> Option<bool> {
    let order = left.cmp_precedence(right);
    Some(match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "^" => left.major == right.major,
        "~" => left.major == right.major && left.minor == right.minor,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_flagd_says() {
        let holds = |left: &str, operator: &str, right: &str| {
            compares(&parse(left).unwrap(), operator, &parse(right).unwrap()).unwrap()
        };
        assert!(holds("v1.2.3", "=", "1.2.3+build"));
        assert!(holds("1", "<", "1.0.1"));
        assert!(holds("1.2.3-alpha", "<", "1.2.3"));
        assert!(holds("1.9.0", "^", "1.0.0"));
        assert!(!holds("1.9.0", "~", "1.0.0"));
        assert!(parse("x.y").is_none() && parse("").is_none() && parse(&"1".repeat(300)).is_none());
    }
}
