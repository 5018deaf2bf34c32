//! How long a scenario is.

/// How many rounds to run: `short`, or as many times that as `SOFTLAUNCH_FAULTS_TIMES` says.
///
/// # Panics
/// Where the variable is not a number of 1 or more.
#[must_use]
pub fn rounds(short: usize) -> usize {
    let times = std::env::var_os("SOFTLAUNCH_FAULTS_TIMES");
    let times = times.map_or(1, |text| {
        let number = text.to_str().and_then(|text| text.parse().ok()).filter(|times| *times > 0);
        number.unwrap_or_else(|| panic!("SOFTLAUNCH_FAULTS_TIMES: {text:?} is not 1 or more"))
    });
    short * times
}
