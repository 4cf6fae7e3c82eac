//! The filter of a running log, exchanged on reload.
//!
//! Not `tracing_subscriber::reload`: that takes a lock, which all threads share, twice for every event.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::{EnvFilter, Layer};

/// An [`EnvFilter`] of which all clones are one.
#[derive(Clone)]
pub(super) struct SharedFilter(Arc<ArcSwap<EnvFilter>>);

impl SharedFilter {
    pub(super) fn new(filter: EnvFilter) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(filter)))
    }

    /// Filters by `filter` from now on.
    pub(super) fn replace(&self, filter: EnvFilter) {
        self.0.store(Arc::new(filter));
        // What every place that logs remembers of the filter before.
        tracing::callsite::rebuild_interest_cache();
    }
}

// Whatever `EnvFilter` implements: `[span{field=value}]` goes by what spans are entered.
impl<S: Subscriber> Layer<S> for SharedFilter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        Layer::<S>::register_callsite(&**self.0.load(), metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&**self.0.load())
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        Layer::<S>::enabled(&**self.0.load(), metadata, context)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.load().on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        Layer::<S>::on_record(&**self.0.load(), id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_enter(&**self.0.load(), id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        Layer::<S>::on_exit(&**self.0.load(), id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        Layer::<S>::on_close(&**self.0.load(), id, context);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn another_filter_holds_from_the_next_event_on_and_spans_count() {
        let (filter, lines) = (SharedFilter::new(EnvFilter::new("warn")), Lines::default());
        let writer = lines.clone();
        let subscriber = super::super::subscriber(super::super::Format::Json, filter.clone(), move || writer.clone());
        let log = |text: &str| tracing::info!("{text}");
        tracing::subscriber::with_default(subscriber, || {
            log("first");
            filter.replace(EnvFilter::new("info"));
            log("second");
            filter.replace(EnvFilter::new("warn,[of{number=7}]=info"));
            tracing::info_span!("of", number = 6).in_scope(|| log("third"));
            tracing::info_span!("of", number = 7).in_scope(|| log("fourth"));
            filter.replace(EnvFilter::new("off"));
            log("fifth");
        });
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let told = |word: &str| lines.contains(word);
        assert_eq!(
            ["first", "second", "third", "fourth", "fifth"].map(told),
            [false, true, false, true, false],
            "{lines}"
        );
    }
}
