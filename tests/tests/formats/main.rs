//! The formats of other programs, each on its own: tables of what real systems have
//! (tests/data/formats) and of what none should have, and a second opinion where there is one.

mod addresses;
mod calendar;
mod logins;
mod rules;
mod tables;
mod zones;
