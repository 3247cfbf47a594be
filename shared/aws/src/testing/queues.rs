//! SQS in memory: messages wait on their queues, are hidden while they are delayed or worked on, come again, and end on
//! a dead-letter queue, all by the cloud's clock. So a test can run several functions in a row as Lambda does.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_lambda_events::sqs::SqsEvent;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::cloud::Cloud;
use super::cloud::list;
use super::cloud::text;

/// The largest sum of bodies that a call sends, in bytes, and the most messages.
const MAX_BYTES: usize = 1_048_576;
const MAX_ENTRIES: usize = 10;

/// The queues by URL, each with its messages in the order of sending.
#[derive(Default)]
pub(super) struct Queues {
    waiting: BTreeMap<String, Vec<Message>>,
    sent: usize,
}

/// A message on a queue.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, for as long as it exists.
    pub id: String,
    /// Its body.
    pub body: String,
    /// How often it has been received.
    pub receives: u32,
    /// When it was sent.
    pub sent_at: Millis,
    /// When it can be received.
    pub visible_at: Millis,
    attributes: Value,
}

/// How Lambda takes messages off a queue, as the template declares it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'q> {
    /// The queue's URL.
    pub queue: &'q str,
    /// Where a message goes that was received too often.
    pub dead_letters: &'q str,
    /// How often a message is received at most.
    pub max_receives: u32,
    /// For how long a message that is received is hidden, in seconds.
    pub visibility_seconds: i64,
    /// How many messages an event has at most.
    pub batch: usize,
}

impl Queues {
    /// Answers a call, if it is one of SQS.
    pub(super) fn answer(&mut self, operation: &str, body: &Value, now: Millis) -> Option<Answer> {
        Some(match operation {
            "SendMessage" => Answer::ok(json!({"MessageId": self.add(text(body, "QueueUrl"), body, now)})),
            "SendMessageBatch" => self.send(text(body, "QueueUrl"), list(body, "Entries"), now),
            _ => return None,
        })
    }

    fn send(&mut self, queue: &str, entries: &[Value], now: Millis) -> Answer {
        let bytes: usize = entries.iter().map(|entry| text(entry, "MessageBody").len()).sum();
        if entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
            return Answer::error(400, "BatchRequestTooLong", json!({"message": "the batch is too long"}));
        }
        let sent = entries.iter().map(|entry| {
            let id = self.add(queue, entry, now);
            json!({"Id": entry["Id"], "MessageId": id, "MD5OfMessageBody": "5"})
        });
        Answer::ok(json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []}))
    }

    fn add(&mut self, queue: &str, message: &Value, now: Millis) -> String {
        self.sent += 1;
        let id = format!("m-{}", self.sent);
        self.waiting.entry(queue.to_owned()).or_default().push(Message {
            id: id.clone(),
            body: text(message, "MessageBody").to_owned(),
            receives: 0,
            sent_at: now,
            visible_at: now.plus_seconds(message["DelaySeconds"].as_i64().unwrap_or_default()),
            attributes: message["MessageAttributes"].clone(),
        });
        id
    }

    fn on(&mut self, queue: &str) -> &mut Vec<Message> {
        self.waiting.entry(queue.to_owned()).or_default()
    }
}

impl Cloud {
    /// The messages on a queue, also those that are hidden, in the order of sending.
    pub fn waiting(&self, queue: &str) -> Vec<Message> {
        self.with_queues(|queues, _| queues.on(queue).clone())
    }

    /// Receives messages that are not hidden, and hides them.
    pub fn receive(&self, queue: &str, up_to: usize, visibility_seconds: i64) -> Vec<Message> {
        self.with_queues(|queues, now| {
            let visible = queues.on(queue).iter_mut().filter(|message| message.visible_at <= now);
            let received = visible.take(up_to).map(|message| {
                message.receives += 1;
                message.visible_at = now.plus_seconds(visibility_seconds);
                message.clone()
            });
            received.collect()
        })
    }

    /// Puts a message on a queue, as a service sends it.
    pub fn send_to(&self, queue: &str, body: &str) -> String {
        self.with_queues(|queues, now| queues.add(queue, &json!({ "MessageBody": body }), now))
    }

    /// The queues on which there are messages.
    pub fn queues(&self) -> Vec<String> {
        self.with_queues(|queues, _| {
            queues.waiting.iter().filter(|(_, all)| !all.is_empty()).map(|(queue, _)| queue.clone()).collect()
        })
    }

    /// Receives the messages with these ids, whether they are hidden or not, and hides them.
    pub fn receive_these(&self, queue: &str, ids: &[String], visibility_seconds: i64) -> Vec<Message> {
        self.with_queues(|queues, now| {
            let received = queues.on(queue).iter_mut().filter(|message| ids.contains(&message.id));
            let received = received.map(|message| {
                message.receives += 1;
                message.visible_at = now.plus_seconds(visibility_seconds);
                message.clone()
            });
            received.collect()
        })
    }

    /// Shows a hidden message again at a moment, if that is sooner: a queue hands out at least once.
    pub fn reveal(&self, queue: &str, id: &str, at: Millis) {
        self.with_queues(|queues, _| {
            for message in queues.on(queue).iter_mut().filter(|message| message.id == id) {
                message.visible_at = message.visible_at.min(at);
            }
        });
    }

    /// Moves what is visible and was received too often to the dead-letter queue.
    pub fn bury(&self, queue: &str, dead_letters: &str, max_receives: u32) {
        self.with_queues(|queues, now| {
            let is_dead = |m: &mut Message| m.visible_at <= now && m.receives >= max_receives;
            let mut dead: Vec<Message> = queues.on(queue).extract_if(.., is_dead).collect();
            queues.on(dead_letters).append(&mut dead);
        });
    }

    /// Deletes a message.
    pub fn delete(&self, queue: &str, id: &str) {
        self.with_queues(|queues, _| queues.on(queue).retain(|message| message.id != id));
    }

    /// Moves a message to another queue.
    pub fn move_message(&self, from: &str, id: &str, to: &str) {
        self.with_queues(|queues, _| {
            let mut moved: Vec<Message> =
                queues.on(from).extract_if(.., |message| message.id == id).collect();
            queues.on(to).append(&mut moved);
        });
    }

    /// Moves all messages of a queue to another, as a person moves those of a dead-letter queue back. Says how many.
    pub fn redrive(&self, from: &str, to: &str) -> usize {
        self.with_queues(|queues, now| {
            let mut moved = std::mem::take(queues.on(from));
            let count = moved.len();
            for message in &mut moved {
                (message.receives, message.visible_at) = (0, now);
            }
            queues.on(to).append(&mut moved);
            count
        })
    }

    /// Gives one batch to a function, as Lambda does: what the function does not report as failed is deleted, what it
    /// does report comes again, and what was received too often goes to the dead-letter queue. Says how many messages
    /// the function got; none if no message is visible.
    pub async fn deliver<E>(
        &self,
        source: Source<'_>,
        function: impl AsyncFnOnce(SqsEvent) -> Result<SqsBatchResponse, E>,
    ) -> usize {
        let Source { queue, dead_letters, max_receives, visibility_seconds, batch } = source;
        self.bury(queue, dead_letters, max_receives);
        let received = self.receive(queue, batch, visibility_seconds);
        if received.is_empty() {
            return 0;
        }
        if let Ok(response) = function(event(&received)).await {
            let failed: BTreeSet<&str> =
                response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
            for message in received.iter().filter(|message| !failed.contains(message.id.as_str())) {
                self.delete(queue, &message.id);
            }
        }
        received.len()
    }
}

/// Messages as the event of Lambda.
pub fn event(messages: &[Message]) -> SqsEvent {
    let attribute = |(name, given): (&String, &Value)| {
        (name.clone(), json!({"dataType": given["DataType"], "stringValue": given["StringValue"]}))
    };
    let record = |message: &Message| {
        let given = message.attributes.as_object().into_iter().flatten();
        let (receives, sent) = (message.receives.to_string(), message.sent_at.0.to_string());
        json!({
            "messageId": message.id,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": receives, "SentTimestamp": sent},
            "messageAttributes": given.map(attribute).collect::<Map<_, _>>(),
        })
    };
    let records: Vec<Value> = messages.iter().map(record).collect();
    serde_json::from_value(json!({"Records": records})).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::queue::Outgoing;
    use crate::queue::Queue;

    const SOURCE: Source<'_> =
        Source { queue: "work", dead_letters: "dead", max_receives: 2, visibility_seconds: 60, batch: 10 };

    fn ids(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| message.id.as_str()).collect()
    }

    #[tokio::test]
    async fn messages_are_hidden_come_again_and_end_on_the_dead_letter_queue() {
        let cloud = Cloud::default();
        let queue = Queue::new(cloud.clients().sqs(), SOURCE.queue.into());
        let delayed = Outgoing { body: "late".into(), delay_seconds: 30 };
        queue.send(&["good".to_owned().into(), "bad".to_owned().into(), delayed]).await.unwrap();
        let bad_fails = async |event: SqsEvent| {
            let mut response = SqsBatchResponse::default();
            for record in event.records.iter().filter(|record| record.body.as_deref() == Some("bad")) {
                response.add_failure(record.message_id.clone().unwrap());
            }
            Ok::<_, Error>(response)
        };
        assert_eq!(cloud.deliver(SOURCE, bad_fails).await, 2, "one is delayed");
        assert_eq!(ids(&cloud.waiting("work")), ["m-2", "m-3"]);
        cloud.pass_seconds(30);
        assert_eq!(cloud.deliver(SOURCE, bad_fails).await, 1, "the one that failed is hidden");
        cloud.pass_seconds(30);
        let all_fail = async |_| Err(Error::Later("failed".into()));
        assert_eq!(cloud.deliver(SOURCE, all_fail).await, 1);
        cloud.pass_seconds(60);
        assert_eq!(cloud.deliver(SOURCE, all_fail).await, 0, "two receives are the most");
        assert_eq!((ids(&cloud.waiting("dead")), cloud.redrive("dead", "work")), (vec!["m-2"], 1));
        assert_eq!(cloud.deliver(SOURCE, bad_fails).await, 1);
        assert_eq!(cloud.sent_to("work"), ["good", "bad", "late"]);
    }

    #[tokio::test]
    async fn a_parked_record_shows_its_reason() {
        let cloud = Cloud::default();
        Queue::new(cloud.clients().sqs(), "dead".into()).park("x", "why").await.unwrap();
        let event = event(&cloud.receive("dead", 10, 60));
        let record = &event.records[0];
        assert_eq!(record.message_attributes["reason"].string_value.as_deref(), Some("why"));
        assert_eq!((record.body.as_deref(), cloud.receive("dead", 10, 60).len()), (Some("x"), 0));
    }
}
