//! A log level that may change while it is read.

use std::sync::atomic::{AtomicU8, Ordering};

use ordermill_crds::LogLevel;
use tracing::Level;
use tracing::level_filters::LevelFilter;

/// The least level that is logged, live settable.
#[derive(Debug)]
pub(super) struct LiveLevel(AtomicU8);

impl LiveLevel {
    pub(super) const fn new(level: LogLevel) -> Self {
        Self(AtomicU8::new(rank(level)))
    }

    pub(super) fn set(&self, level: LogLevel) {
        self.0.store(rank(level), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> LogLevel {
        match self.0.load(Ordering::Relaxed) {
            0 => LogLevel::Trace,
            1 => LogLevel::Debug,
            2 => LogLevel::Info,
            3 => LogLevel::Warn,
            _ => LogLevel::Error,
        }
    }

    pub(super) fn filter(&self) -> LevelFilter {
        match self.get() {
            LogLevel::Trace => LevelFilter::TRACE,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        }
    }

    pub(super) fn allows(&self, level: Level) -> bool {
        level <= self.filter()
    }
}

const fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Trace => 0,
        LogLevel::Debug => 1,
        LogLevel::Info => 2,
        LogLevel::Warn => 3,
        LogLevel::Error => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_allows_itself_and_what_is_worse() {
        let levels = [
            Level::TRACE,
            Level::DEBUG,
            Level::INFO,
            Level::WARN,
            Level::ERROR,
        ];
        for (rank, name) in ["trace", "debug", "info", "warn", "error"]
            .into_iter()
            .enumerate()
        {
            let level = name.parse::<LogLevel>().unwrap();
            let live = LiveLevel::new(LogLevel::Info);
            live.set(level);
            assert_eq!(live.get(), level);
            for (other, tracing_level) in levels.into_iter().enumerate() {
                assert_eq!(
                    live.allows(tracing_level),
                    other >= rank,
                    "{name} {tracing_level}"
                );
            }
        }
    }

    #[test]
    fn the_words_of_python_are_understood() {
        for (word, level) in [
            ("WARNING", LogLevel::Warn),
            ("CRITICAL", LogLevel::Error),
            ("Debug", LogLevel::Debug),
        ] {
            assert_eq!(word.parse::<LogLevel>().unwrap(), level);
        }
        assert!("loud".parse::<LogLevel>().is_err());
    }
}
