//! Ad platforms and the columns of their exports.

use std::fmt;

/// A platform whose exports can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// Meta Ads.
    Meta,
    /// Google Ads.
    Google,
    /// TikTok Ads.
    TikTok,
}

/// What a column means, whatever a platform calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// The day.
    Date,
    /// The campaign.
    Campaign,
    /// The ad set or ad group.
    AdGroup,
    /// Times shown.
    Impressions,
    /// Times clicked.
    Clicks,
    /// Money spent.
    Spend,
    /// Conversions, possibly fractions of one.
    Conversions,
}

impl Column {
    /// Every column.
    pub const ALL: [Self; 7] = [
        Self::Date,
        Self::Campaign,
        Self::AdGroup,
        Self::Impressions,
        Self::Clicks,
        Self::Spend,
        Self::Conversions,
    ];
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 3] = [Self::Meta, Self::Google, Self::TikTok];

    /// The name used in labels and attributes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Google => "google",
            Self::TikTok => "tiktok",
        }
    }

    /// The headers of an export, in the order of [`Column::ALL`].
    #[must_use]
    pub const fn headers(self) -> [&'static str; 7] {
        match self {
            Self::Meta => [
                "Reporting starts",
                "Campaign name",
                "Ad set name",
                "Impressions",
                "Link clicks",
                "Amount spent (USD)",
                "Results",
            ],
            Self::Google => {
                ["Day", "Campaign", "Ad group", "Impr.", "Clicks", "Cost", "Conversions"]
            }
            Self::TikTok => [
                "Date",
                "Campaign name",
                "Ad group name",
                "Impressions",
                "Clicks",
                "Cost",
                "Conversions",
            ],
        }
    }

    /// The platform whose headers are all there, in any order and among others.
    #[must_use]
    pub fn of_headers(headers: &[String]) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.missing(headers).is_empty())
    }

    /// The platform most of whose headers are there; `None` where none is meant.
    #[must_use]
    pub fn nearest_to(headers: &[String]) -> Option<Self> {
        let near =
            Self::ALL.into_iter().map(|platform| (platform.missing(headers).len(), platform));
        near.filter(|(missing, _)| *missing <= 3).min().map(|(_, platform)| platform)
    }

    /// The headers an export of this platform lacks.
    #[must_use]
    pub fn missing(self, headers: &[String]) -> Vec<&'static str> {
        let lacks = |header: &&str| !headers.iter().any(|other| other == header);
        self.headers().into_iter().filter(lacks).collect()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(headers: &[&str]) -> Vec<String> {
        headers.iter().map(|header| (*header).to_owned()).collect()
    }

    #[test]
    fn a_platform_is_known_by_its_headers_in_any_order_and_among_others() {
        for platform in Platform::ALL {
            let mut headers = owned(&platform.headers());
            headers.reverse();
            headers.push("Currency".to_owned());
            assert_eq!(Platform::of_headers(&headers), Some(platform));
        }
    }

    #[test]
    fn a_header_short_of_a_platform_is_near_to_it_and_no_other_is_meant() {
        for platform in Platform::ALL {
            let headers = owned(&platform.headers()[..6]);
            assert_eq!(Platform::of_headers(&headers), None);
            assert_eq!(Platform::nearest_to(&headers), Some(platform));
            assert_eq!(platform.missing(&headers), [platform.headers()[6]]);
        }
        assert_eq!(Platform::nearest_to(&owned(&["name", "age"])), None);
    }
}
