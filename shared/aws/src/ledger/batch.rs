//! Many items in as few calls as possible.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_sdk_dynamodb::types::PutRequest;
use aws_sdk_dynamodb::types::WriteRequest;

use super::Item;
use super::Ledger;
use super::key;
use crate::Error;

/// How many items one call reads (`BatchGetItem`).
const BATCH_GET: usize = 100;
/// How many items one call writes (`BatchWriteItem`).
const BATCH_WRITE: usize = 25;
/// How often what the table held back is asked for again, or sent again.
const ROUNDS: u32 = 4;

impl Ledger {
    /// Reads items as they are now, in as few calls as possible. What does not exist is not among them.
    ///
    /// # Errors
    /// If the table does not answer, or holds back some items however often it is asked.
    pub async fn get_all(&self, keys: &[(String, &str)]) -> Result<Vec<Item>, Error> {
        let mut items = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BATCH_GET) {
            let wanted = KeysAndAttributes::builder().consistent_read(true);
            let wanted = wanted.set_keys(Some(chunk.iter().map(|(pk, sk)| key(pk, sk)).collect()));
            let mut left = Some(wanted.build().map_err(|e| Error::Input(e.to_string()))?);
            for round in 0..ROUNDS {
                let Some(wanted) = left.take() else { break };
                let get = self.client.batch_get_item().request_items(&self.table, wanted);
                let mut got = get.send().await.map_err(Error::aws("BatchGetItem", &self.table))?;
                items.extend(got.responses.into_iter().flat_map(HashMap::into_values).flatten().map(Item));
                left = got.unprocessed_keys.as_mut().and_then(|keys| keys.remove(&self.table));
                if left.is_some() && round + 1 < ROUNDS {
                    tokio::time::sleep(Duration::from_millis(50) * 4_u32.pow(round)).await;
                }
            }
            if let Some(left) = left {
                let count = left.keys().len();
                return Err(Error::Later(format!(
                    "BatchGetItem on {}: {count} items were not given in {ROUNDS} rounds",
                    self.table
                )));
            }
        }
        Ok(items)
    }

    /// Writes items in as few calls as possible, each replacing the one with the same keys.
    ///
    /// # Errors
    /// If the table does not answer, or does not take some items however often they are sent.
    pub async fn put_all(&self, items: Vec<Item>) -> Result<(), Error> {
        let mut left = items.into_iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item.into_attributes())).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        });
        loop {
            let batch = left.by_ref().take(BATCH_WRITE).collect::<Result<Vec<_>, _>>();
            let batch = batch.map_err(|e| Error::Input(e.to_string()))?;
            if batch.is_empty() {
                return Ok(());
            }
            self.put_batch(batch).await?;
        }
    }

    async fn put_batch(&self, mut left: Vec<WriteRequest>) -> Result<(), Error> {
        for round in 0..ROUNDS {
            let batch = self.client.batch_write_item().request_items(&self.table, left);
            let wrote = batch.send().await.map_err(Error::aws("BatchWriteItem", &self.table))?;
            let unprocessed = wrote.unprocessed_items.and_then(|mut tables| tables.remove(&self.table));
            left = unprocessed.unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50) * 4_u32.pow(round)).await;
        }
        Err(Error::Later(format!(
            "BatchWriteItem on {}: {} items were not taken in {ROUNDS} rounds",
            self.table,
            left.len()
        )))
    }
}
