//! The pages of a list, asked for one after the other and shown as one.

use super::Request;
use super::line::{Pages, SIZE, TOKEN};
use crate::aws::function::{Answer, Function};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

impl Request {
    /// The answer, of all invocations that it takes.
    pub(super) async fn answer(&self, function: &Function, pages: Pages) -> Result<Answer> {
        let mut event = self.event.clone();
        let mut gathered: Option<Value> = None;
        let mut have = 0;
        loop {
            if let Pages::Most { entries, page } = pages {
                event.insert(SIZE.to_owned(), entries.saturating_sub(have).min(page).into());
            }
            let answer = self.invoke(function, &event).await?;
            if pages == Pages::One || answer.failed {
                return Ok(answer);
            }
            let page: Value = serde_json::from_slice(&answer.body).context("the answer is not JSON")?;
            let token = page.get("nextToken").and_then(Value::as_str).map(str::to_owned);
            let mut list = match gathered.take() {
                Some(list) => joined(list, page),
                None => page,
            };
            have = entries_of(&mut list).map_or(usize::MAX, |entries| entries.len());
            let is_full = matches!(pages, Pages::Most { entries, .. } if have >= entries);
            let Some(token) = token.filter(|_| !is_full) else {
                return Ok(Answer { body: list.to_string().into(), failed: false });
            };
            let before = event.insert(TOKEN.to_owned(), token.clone().into());
            ensure!(before != Some(token.into()), "the service gave the same nextToken twice");
            gathered = Some(list);
        }
    }
}

/// The entries of a list's answer.
fn entries_of(list: &mut Value) -> Option<&mut Vec<Value>> {
    list.as_object_mut()?.values_mut().find_map(Value::as_array_mut)
}

/// A list with the page after it, and the page's token.
fn joined(mut list: Value, mut page: Value) -> Value {
    let more = entries_of(&mut page).map(std::mem::take).unwrap_or_default();
    if let Some(entries) = entries_of(&mut list) {
        entries.extend(more);
    }
    if let Some(list) = list.as_object_mut() {
        list.remove(TOKEN);
        list.extend(page.get_mut(TOKEN).map(|token| (TOKEN.to_owned(), token.take())));
    }
    list
}
