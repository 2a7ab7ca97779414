//! Why a request was not answered.

/// Why a request was not answered.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Returns why something failed, with the causes.
pub(super) fn describe(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}
