//! All pages of a list: of a short one as its entries, of any as one answer, as far as an answer and the time go.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwarden_aws::Error;
use fleetwarden_aws::iot_api::UNREADABLE;
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::shape::Shape;
use fleetwarden_core::pages::Endless;
use fleetwarden_core::pages::Pages;
use fleetwarden_core::timestamp::Millis;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Service;
use crate::calls::PAGE;
use crate::calls::is;
use crate::calls::members;
use crate::calls::value;
use crate::command::Command;
use crate::failure::Failure;

/// Lambda gives back 6 MB at most; what is over this goes into the next answer (bytes).
const MAX_ANSWER: usize = 5_000_000;
/// No page is begun when less than this is left, and one that is not there by then is given up.
const MARGIN_MS: i64 = 10_000;
const LAST_MS: i64 = 4_000;

/// The largest page that a list gives.
fn largest_page(list: &Operation) -> u32 {
    let size = list.members.iter().find(|member| member.name == "maxResults");
    match size.map(|member| member.shape) {
        Some(Shape::Whole { max, .. }) => u32::try_from(*max).unwrap_or(PAGE),
        _ => PAGE,
    }
}

/// Turns to the page after the one that came with this token. Says whether there is one.
///
/// # Errors
/// If the token came before.
pub fn turn(
    list: &str,
    pages: &mut Pages,
    input: &mut Map<String, Value>,
    token: Option<String>,
) -> Result<bool, Failure> {
    let more = pages.turn(token).map_err(|Endless| Failure::Refused {
        name: "RepeatedToken",
        what: format!("{list}: the service gave the same nextToken twice"),
    })?;
    if let Some(token) = pages.token() {
        input.insert("nextToken".to_owned(), token.into());
    }
    Ok(more)
}

impl Service {
    /// All entries of a list that is known to be short.
    ///
    /// # Errors
    /// The service's.
    pub async fn ask_all(&self, name: &str, input: Value) -> Result<Vec<Value>, Failure> {
        let operation = self.operation(name)?;
        let mut input = members(input);
        input.insert("maxResults".to_owned(), largest_page(operation).into());
        let (mut entries, mut pages) = (Vec::new(), Pages::default());
        loop {
            let mut page = value(&self.iot.call(operation, &input).await?);
            if let Some(Value::Array(more)) = page.get_mut((self.family.entries)(name)).map(Value::take) {
                entries.extend(more);
            }
            let token = page.get("nextToken").and_then(Value::as_str);
            if !turn(name, &mut pages, &mut input, token.map(ToOwned::to_owned))? {
                return Ok(entries);
            }
        }
    }

    /// Pages to the end, and gives the token of the first page that did not fit.
    ///
    /// # Errors
    /// The service's, if nothing was listed before.
    pub async fn all_pages(&self, command: &Command, deadline: Millis) -> Result<Box<RawValue>, Failure> {
        let name = command.operation.name;
        let member = (self.family.entries)(name);
        let mut input = command.input.clone();
        input.entry("maxResults").or_insert_with(|| largest_page(command.operation).into());
        let mut entries = String::new();
        let mut pages = Pages::default();
        loop {
            let left = |until: i64| deadline.0.saturating_sub(until).saturating_sub(self.clock.now().0);
            // Whether something is listed that is not thrown away for what comes after it.
            let has_some = pages.token().is_some();
            if has_some && left(MARGIN_MS) < 0 {
                break;
            }
            let time = Duration::from_millis(u64::try_from(left(LAST_MS)).unwrap_or_default());
            let page = tokio::time::timeout(time, self.iot.call(command.operation, &input)).await;
            let page = match page {
                // Others use the account's rate too.
                Ok(Err(error)) if has_some && is(&error, "ThrottlingException") => break,
                Ok(page) => page?,
                Err(_) if has_some => break,
                Err(_) => return Err(Failure::out_of_time()),
            };
            let (more, token) = read(name, member, &page)?;
            if has_some && entries.len() + more.len() > MAX_ANSWER {
                break;
            }
            if !more.is_empty() {
                if !entries.is_empty() {
                    entries.push(',');
                }
                entries.push_str(&more);
            }
            if !turn(name, &mut pages, &mut input, token)? {
                break;
            }
        }
        let token = pages.token().map(|token| format!(",\"nextToken\":{}", Value::from(token)));
        let text = format!("{{\"{member}\":[{entries}]{}}}", token.unwrap_or_default());
        RawValue::from_string(text).map_err(|e| unreadable(name, &e))
    }
}

/// The entries of a page, as the service wrote them, and its token.
fn read(name: &'static str, member: &str, page: &RawValue) -> Result<(String, Option<String>), Failure> {
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(page.get()).map_err(|e| unreadable(name, &e))?;
    let entries = members.get(member).map(|entries| entries.get().trim());
    let entries = entries.and_then(|text| text.strip_prefix('[')).and_then(|text| text.strip_suffix(']'));
    let token =
        members.get("nextToken").and_then(|token| serde_json::from_str::<Option<String>>(token.get()).ok());
    Ok((entries.unwrap_or_default().trim().to_owned(), token.flatten()))
}

fn unreadable(operation: &'static str, error: &serde_json::Error) -> Failure {
    let (on, code) = (String::new(), UNREADABLE.to_owned());
    Error::Aws { operation, on, code, message: format!("the answer is not what a list is: {error}") }.into()
}
