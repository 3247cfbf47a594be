//! The answers of the registry, each asked for once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::OnceCell;

use super::Unknown;

/// A cache with so many entries is emptied: some megabytes.
pub(super) const FULL: usize = 10_000;

/// Answers by key. Whoever asks while another waits for the same answer waits too; a failure is not cached.
pub(super) struct Cache<V>(pub(super) Mutex<HashMap<String, Arc<OnceCell<V>>>>);

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Cache<V> {
    /// The answer to a key, asked for if it is not known.
    pub(super) async fn get(
        &self,
        key: &str,
        ask: impl Future<Output = Result<V, Unknown>>,
    ) -> Result<V, Unknown> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if cells.len() >= FULL && !cells.contains_key(key) {
                cells.clear();
            }
            Arc::clone(cells.entry(key.to_owned()).or_default())
        };
        // On the heap: an answer often needs others, and each call is large.
        cell.get_or_try_init(|| Box::pin(ask)).await.cloned()
    }
}
