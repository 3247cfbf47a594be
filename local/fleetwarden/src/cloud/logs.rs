//! CloudWatch Logs: the streams of a group and every event of a stream.

use super::{Cloud, refused};
use anyhow::Result;

impl Cloud {
    /// The names of all streams of a group.
    pub(crate) async fn log_streams(&self, group: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let streams = self.logs.describe_log_streams().log_group_name(group).limit(50);
        // The same token again is the end in some services, an endless loop in others.
        let mut pages = streams.into_paginator().stop_on_duplicate_token(true).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(refused(format!("cannot list the streams of {group}")))?;
            names.extend(page.log_streams.into_iter().flatten().filter_map(|stream| stream.log_stream_name));
        }
        Ok(names)
    }

    /// Every event of a stream, oldest first.
    pub(crate) async fn log_events(&self, group: &str, stream: &str) -> Result<Vec<String>> {
        let mut messages = Vec::new();
        let events = self.logs.get_log_events().log_group_name(group).log_stream_name(stream);
        let events = events.start_from_head(true).limit(10_000);
        // The last page has the token that led to it.
        let mut pages = events.into_paginator().stop_on_duplicate_token(true).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(refused(format!("cannot read {stream} of {group}")))?;
            messages.extend(page.events.into_iter().flatten().filter_map(|event| event.message));
        }
        Ok(messages)
    }
}
