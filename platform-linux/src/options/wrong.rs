//! What can be wrong with the command line or the file, and what is said of it.

use qga_core::phrases;
use qga_core::text::Phrases;

/// What is wrong with the command line, or with the file. Which word it is about stands in
/// [`super::Options::subject`]: an error that carried it would be copied wherever it passes, 500
/// bytes of code in all.
#[derive(Clone, Copy)]
pub enum Wrong {
    /// No such option.
    Unknown,
    /// The beginning of several options.
    Ambiguous,
    /// The option needs a value.
    NoValue,
    /// The option takes no value.
    HasValue,
    /// No such method.
    Method,
    /// No number of seconds.
    Seconds,
    /// Neither `fail` nor `log`.
    Unreachable,
    /// A method that needs a path.
    NoPath,
    /// More lists than there is room for.
    Lists,
    /// A line of the file that is none of its kinds, or stands before the first group.
    Line,
    /// A value of the file that is no yes or no.
    Boolean,
    /// A value of the file with a backslash before something else than it may stand before.
    Escape,
}

/// What is said of [`Wrong`], in its order, before the word.
pub const WRONG: Phrases = phrases![
    "unknown option",
    "ambiguous option",
    "a value is missing after option",
    "no value belongs to option",
    "unknown method",
    "not a number of seconds above 0:",
    "not log or fail:",
    "a path (-p) is missing for method",
    "too many lists of commands:",
    "not a group, key or comment",
    "not true or false:",
    "a wrong escape in",
];
