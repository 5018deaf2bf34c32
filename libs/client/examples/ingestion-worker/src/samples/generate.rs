//! Makes exports out of a seed.

use std::collections::BTreeSet;
use std::io::{self, Write};

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::platform::Platform;
use crate::stage::Totals;

/// A file made to measure has room for a header, a row and a last row of some length.
pub const SIZE_MIN_BYTES: u64 = 1_000;

const CAMPAIGNS: [&str; 6] =
    ["Spring", "Summer", "Winter, UK", "Always on", "Brand \"A\"", "Neue Kunden – DE"];
const DAYS: u64 = 28;
const ROW_ROOM_BYTES: u64 = 400; // A generated row is shorter than half of it.

/// `SplitMix64`: small, seedable, the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What is written and what it comes to.
struct Export<'o> {
    out: &'o mut dyn Write,
    platform: Platform,
    chance: Chance,
    line_end: &'static str,
    days: BTreeSet<(u64, u64)>,
    totals: Totals,
    written_bytes: u64,
}

/// Writes an export of `rows` rows and says what it comes to. Some seeds give a byte order mark,
/// some the line ends of Windows, all of them names that need quotes.
///
/// # Errors
/// Passes on what `out` says.
pub fn write_export(
    out: &mut dyn Write,
    platform: Platform,
    seed: u64,
    rows: u64,
) -> io::Result<Totals> {
    let mut export = Export::begin(out, platform, seed)?;
    for _ in 0..rows {
        export.write_row(0)?;
    }
    Ok(export.finish())
}

/// Writes an export of exactly `size_bytes`, row by row, and says how many rows it has and what it
/// comes to.
///
/// # Errors
/// Refuses sizes below [`SIZE_MIN_BYTES`], and passes on what `out` says.
pub fn write_sized(
    out: &mut dyn Write,
    platform: Platform,
    seed: u64,
    size_bytes: u64,
) -> io::Result<(u64, Totals)> {
    if size_bytes < SIZE_MIN_BYTES {
        let message = format!("{size_bytes} bytes: expected at least {SIZE_MIN_BYTES}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut export = Export::begin(out, platform, seed)?;
    let mut rows = 1;
    while size_bytes - export.written_bytes > ROW_ROOM_BYTES {
        export.write_row(0)?;
        rows += 1;
    }
    let rest = usize::try_from(size_bytes - export.written_bytes).unwrap_or(usize::MAX);
    export.write_row(rest)?;
    Ok((rows, export.finish()))
}

/// An export in memory, and what it comes to.
pub(super) fn export(platform: Platform, seed: u64, rows: u64) -> (Vec<u8>, Totals) {
    let mut bytes = Vec::new();
    let totals = write_export(&mut bytes, platform, seed, rows).unwrap_or_default(); // Memory takes all.
    (bytes, totals)
}

impl<'o> Export<'o> {
    fn begin(out: &'o mut dyn Write, platform: Platform, seed: u64) -> io::Result<Self> {
        let line_end = if seed % 2 == 1 { "\r\n" } else { "\n" };
        let mark = if seed % 5 == 4 { "\u{feff}" } else { "" };
        let mut chance = Chance(seed);
        let _warm_up = chance.below(2); // Neighbouring seeds begin alike.
        let (days, totals) = (BTreeSet::new(), Totals::default());
        let mut export = Self { out, platform, chance, line_end, days, totals, written_bytes: 0 };
        export.write(&format!("{mark}{}{line_end}", platform.headers().join(",")))?;
        Ok(export)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.written_bytes += text.len() as u64;
        self.out.write_all(text.as_bytes())
    }

    fn write_row(&mut self, length: usize) -> io::Result<()> {
        let row = self.row(length);
        self.write(&row)
    }

    /// One row; `length` bytes long if that is not zero.
    fn row(&mut self, length: usize) -> String {
        let day = self.chance.below(DAYS);
        let campaign = self.chance.below(CAMPAIGNS.len() as u64);
        let impressions = self.chance.below(100_000);
        let clicks = impressions / 40 + self.chance.below(20);
        let spend_cents = self.chance.below(500_000);
        let conversions_hundredths = self.conversions();
        self.days.insert((day, campaign));
        self.totals.impressions += signed(impressions);
        self.totals.clicks += signed(clicks);
        self.totals.spend_micros += signed(spend_cents) * 10_000;
        self.totals.conversions_micros += signed(conversions_hundredths) * 10_000;
        let first = date(day);
        let name = CAMPAIGNS[usize::try_from(campaign).unwrap_or(0)].replace('"', "\"\"");
        let row = |ad_group: &str| {
            format!(
                "{first},\"{name}\",{ad_group},{impressions},{clicks},{},{}{}",
                hundredths(spend_cents),
                hundredths(conversions_hundredths),
                self.line_end
            )
        };
        let ad_group = format!("Group {}", campaign % 4);
        let plain = row(&ad_group);
        let padding = length.saturating_sub(plain.len());
        if padding == 0 { plain } else { row(&format!("{ad_group}{}", "x".repeat(padding))) }
    }

    /// Google counts fractions of a conversion, the others whole ones.
    fn conversions(&mut self) -> u64 {
        let hundredths = self.chance.below(5_000);
        if self.platform == Platform::Google { hundredths } else { hundredths / 100 * 100 }
    }

    fn finish(mut self) -> Totals {
        self.totals.results = i64::try_from(self.days.len()).unwrap_or(i64::MAX);
        self.totals
    }
}

fn date(day: u64) -> Date {
    jiff::civil::date(2024, 11, 25).saturating_add(signed(day).days())
}

fn hundredths(amount: u64) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
