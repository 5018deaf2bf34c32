//! Pages of lists (AIP-158): sizes are bounded, tokens are opaque and bound to their list.

use crate::fault::Fault;

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 1_000;

/// Where a page begins and how long it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The page begins behind this key; at the beginning where empty.
    pub after: String,
    /// How many items at most.
    pub size: usize,
}

/// Reads a page request. `list` names the list and its filters: a token of another is refused.
///
/// # Errors
/// Refuses negative sizes and foreign tokens.
pub fn page(domain: &'static str, list: &str, size: i32, token: &str) -> Result<Page, Fault> {
    let size = match usize::try_from(size) {
        Ok(0) => PAGE_DEFAULT,
        Ok(size) => size.min(PAGE_MAX),
        Err(_) => {
            return Err(Fault::field(domain, "page_size", format!("{size} is negative")));
        }
    };
    let after = if token.is_empty() {
        String::new()
    } else {
        let decoded = token.split_once('~').filter(|(of, _)| *of == mark(list));
        let (_, after) = decoded.ok_or_else(|| {
            let why = "is not a token this list gave: repeat the call with the same arguments";
            Fault::field(domain, "page_token", why)
        })?;
        after.to_owned()
    };
    Ok(Page { after, size })
}

/// Cuts a page out of items in order of their keys, and gives the token of the next.
pub fn cut<T>(
    list: &str,
    page: &Page,
    items: impl Iterator<Item = (String, T)>,
) -> (Vec<T>, String) {
    let mut rest = items.skip_while(|(key, _)| !page.after.is_empty() && *key <= page.after);
    let taken: Vec<_> = rest.by_ref().take(page.size).collect();
    let last = taken.last().map(|(key, _)| key.clone());
    let more = rest.next().is_some();
    let token = last.filter(|_| more).map_or_else(String::new, |key| token(list, &key));
    (taken.into_iter().map(|(_, item)| item).collect(), token)
}

/// The token of the page that begins behind `key`.
#[must_use]
pub fn token(list: &str, key: &str) -> String {
    format!("{}~{key}", mark(list))
}

/// A short mark of a list (FNV-1a): no secret, only a guard against mixing tokens up.
fn mark(list: &str) -> String {
    let hash = list.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> impl Iterator<Item = (String, u32)> {
        (0..7).map(|n| (format!("k{n}"), n))
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let mut token = String::new();
        let mut seen = Vec::new();
        loop {
            let page = page("d", "list", 3, &token).unwrap();
            let (items, next) = cut("list", &page, keys());
            seen.extend(items);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
    }

    #[test]
    fn a_negative_size_and_a_token_of_another_list_are_refused() {
        assert!(page("d", "list", -1, "").is_err());
        let (_, token) = cut("list", &page("d", "list", 1, "").unwrap(), keys());
        assert!(page("d", "other", 1, &token).is_err());
    }
}
